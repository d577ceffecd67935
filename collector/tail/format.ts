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

/** `<RFC 3339 with nanoseconds> <stdout|stderr> <tags> <text>`; the first tag is P (partial) or F (full). */
function parseCri(line: Buffer): Piece | undefined {
  const timeEnd = line.indexOf(32)
  if (timeEnd < 20 || timeEnd > 40) return undefined
  const streamEnd = line.indexOf(32, timeEnd + 1)
  if (streamEnd !== timeEnd + 7) return undefined
  const stream = line.toString('latin1', timeEnd + 1, streamEnd)
  if (stream !== 'stdout' && stream !== 'stderr') return undefined
  const tag = line[streamEnd + 1]
  if (tag !== 70 && tag !== 80) return undefined
  const tagsEnd = line.indexOf(32, streamEnd + 1)
  const time = parseTime(line.toString('latin1', 0, timeEnd))
  if (time === undefined) return undefined
  const text = tagsEnd === -1 ? line.subarray(line.length) : line.subarray(tagsEnd + 1)
  return { stream, ...time, text, isPartial: tag === 80 }
}

function parseDocker(line: Buffer): Piece | undefined {
  let entry: { log?: unknown; stream?: unknown; time?: unknown }
  try {
    entry = JSON.parse(line.toString()) as typeof entry
  } catch {
    return undefined
  }
  if (entry === null || typeof entry.log !== 'string' || typeof entry.time !== 'string') return undefined
  const time = parseTime(entry.time)
  if (time === undefined) return undefined
  const isPartial = !entry.log.endsWith('\n')
  const text = Buffer.from(isPartial ? entry.log : entry.log.slice(0, -1))
  return { stream: entry.stream === 'stderr' ? 'stderr' : 'stdout', ...time, text, isPartial }
}

const TIME = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/

function parseTime(text: string): { timeMs: number; subNs: number } | undefined {
  const match = TIME.exec(text)
  if (match === null) return undefined
  const secondsMs = Date.parse(`${match[1]}${match[3]}`)
  if (Number.isNaN(secondsMs)) return undefined
  const nanos = Number((match[2] ?? '').padEnd(9, '0'))
  return { timeMs: secondsMs + Math.floor(nanos / 1e6), subNs: nanos % 1e6 }
}
