/**
 * Container log formats: CRI (`2026-01-02T03:04:05.000000006Z stdout F text`), Docker JSON (`{"log":"text\n","stream":"stdout","time":"…"}`), and
 * raw lines. One physical line in, one piece of a logical line out.
 */

export type LineFormat = 'cri' | 'docker' | 'raw'

/** One physical line, decoded. `text` may be a view into the bytes it was read from. */
export interface Piece {
  readonly stream: 'stdout' | 'stderr' | ''
  /** Unix milliseconds and the nanoseconds below; NaN where the line has no time. */
  readonly timeMs: number
  readonly subNs: number
  readonly text: Uint8Array
  /** More of the same logical line follows. */
  readonly isPartial: boolean
}

/** The format of a file, from its first whole line. A line that is neither is raw. */
export function detectFormat(line: Buffer): LineFormat {
  if (line[0] === 123 && parseDocker(line) !== undefined) return 'docker'
  return parseCri(line) === undefined ? 'raw' : 'cri'
}

/** A line that isn't in the format comes out whole, without a time: it is not lost for that. */
export function parseLine(format: LineFormat, line: Buffer): Piece {
  const piece = format === 'cri' ? parseCri(line) : format === 'docker' ? parseDocker(line) : undefined
  return piece ?? { stream: '', timeMs: Number.NaN, subNs: 0, text: line, isPartial: false }
}

const STDOUT = Buffer.from('stdout')
const STDERR = Buffer.from('stderr')

/** `<RFC 3339 with nanoseconds> <stdout|stderr> <tags> <text>`; the first tag is P (partial) or F (full). */
function parseCri(line: Buffer): Piece | undefined {
  const timeEnd = line.indexOf(32)
  if (timeEnd < 20 || timeEnd > 40) return undefined
  const streamEnd = timeEnd + 7
  if (line[streamEnd] !== 32) return undefined
  const isOut = startsWith(line, STDOUT, timeEnd + 1)
  if (!isOut && !startsWith(line, STDERR, timeEnd + 1)) return undefined
  const tag = line[streamEnd + 1]
  if (tag !== 70 && tag !== 80) return undefined
  const time = parseTime(line, timeEnd)
  if (time === undefined) return undefined
  const tagsEnd = line[streamEnd + 2] === 32 ? streamEnd + 2 : line.indexOf(32, streamEnd + 1)
  const text = line.subarray(tagsEnd === -1 ? line.length : tagsEnd + 1)
  return { stream: isOut ? 'stdout' : 'stderr', timeMs: time.ms, subNs: time.subNs, text, isPartial: tag === 80 }
}

function startsWith(line: Buffer, word: Buffer, at: number): boolean {
  for (let i = 0; i < word.length; i++) if (line[at + i] !== word[i]) return false
  return true
}

function parseDocker(line: Buffer): Piece | undefined {
  let entry: { log?: unknown; stream?: unknown; time?: unknown }
  try {
    entry = JSON.parse(line.toString()) as typeof entry
  } catch {
    return undefined
  }
  if (entry === null || typeof entry.log !== 'string' || typeof entry.time !== 'string') return undefined
  const time = parseTime(Buffer.from(entry.time, 'latin1'), entry.time.length)
  if (time === undefined) return undefined
  const isPartial = !entry.log.endsWith('\n')
  const text = Buffer.from(isPartial ? entry.log : entry.log.slice(0, -1))
  return { stream: entry.stream === 'stderr' ? 'stderr' : 'stdout', timeMs: time.ms, subNs: time.subNs, text, isPartial }
}

/** Shapes of `2026-01-02T03:04:05`: what stands where a digit does not. */
const MARKS: readonly (readonly [number, number])[] = [[4, 45], [7, 45], [10, 84], [13, 58], [16, 58]] // prettier-ignore
const SECONDS_LENGTH = 19

/** RFC 3339 in bytes [0, end), read without making a string: it is every line's cost. */
function parseTime(bytes: Buffer, end: number): { ms: number; subNs: number } | undefined {
  if (end < SECONDS_LENGTH + 1) return undefined
  for (const [at, mark] of MARKS) if (bytes[at] !== mark) return undefined
  const year = digits(bytes, 0, 4)
  const month = digits(bytes, 5, 7)
  const day = digits(bytes, 8, 10)
  const hour = digits(bytes, 11, 13)
  const minute = digits(bytes, 14, 16)
  const second = digits(bytes, 17, 19)
  let at = SECONDS_LENGTH
  let nanos = 0
  if (bytes[at] === 46) {
    const from = at + 1
    for (at = from; at < end && bytes[at]! >= 48 && bytes[at]! <= 57; at++);
    if (at === from || at - from > 9) return undefined
    nanos = digits(bytes, from, at) * 10 ** (9 - (at - from))
  }
  const offsetMs = zoneMs(bytes, at, end)
  // A field that is no number makes the sum none.
  const ms = Date.UTC(year, month - 1, day, hour, minute, second) + Math.floor(nanos / 1e6) - offsetMs
  return Number.isNaN(ms) || month > 12 || day > 31 || hour > 24 || minute > 59 ? undefined : { ms, subNs: nanos % 1e6 }
}

/** NaN where a byte is no digit. */
function digits(bytes: Buffer, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = bytes[i]! - 48
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** `Z` or `±hh:mm` up to the end. */
function zoneMs(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] === 90 && at + 1 === end) return 0
  const sign = bytes[at] === 43 ? 1 : bytes[at] === 45 ? -1 : Number.NaN
  if (at + 6 !== end || bytes[at + 3] !== 58) return Number.NaN
  return sign * (digits(bytes, at + 1, at + 3) * 60 + digits(bytes, at + 4, at + 6)) * 60_000
}
