/**
 * Which level a log line has, when nobody said so.
 *
 * A JSON object or a logfmt line is asked for a level field first; every line for a level word last. All of it reads
 * bytes, at most the first LINE_BYTES_MAX of a line. Source: Loki's field detection (`detected_level`); differs in that a level
 * word must stand alone (`errors` and `information_schema` are no levels) and the first one of the line wins.
 */
export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical' | 'fatal' | 'unknown'

/** Fields that hold a level, as Loki's `log_level_fields`, compared without regard to case. */
export const LEVEL_FIELDS: readonly string[] = ['level', 'severity', 'severitytext', 'severity_text', 'lvl', 'log.level', 'loglevel']

const LEVELS: Readonly<Record<string, Level>> = {
  trace: 'trace',
  trc: 'trace',
  debug: 'debug',
  dbg: 'debug',
  info: 'info',
  inf: 'info',
  information: 'info',
  informational: 'info',
  notice: 'info',
  warn: 'warn',
  wrn: 'warn',
  warning: 'warn',
  error: 'error',
  err: 'error',
  critical: 'critical',
  crit: 'critical',
  fatal: 'fatal',
  panic: 'fatal',
  emerg: 'fatal',
}

const FIELD_NAMES: ReadonlySet<string> = new Set(LEVEL_FIELDS)
/** pino and bunyan write levels as numbers. */
const NUMBERED: Readonly<Record<string, Level>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

const LINE_BYTES_MAX = 8192
const WORD_BYTES_MAX = 13
const OPEN = 0x7b
const QUOTE = 0x22
const BACKSLASH = 0x5c
const EQUALS = 0x3d
const SPACE = 0x20

/** The level a value names (`WARN`, `Warning`, `40`); undefined where it names none. */
export function normaliseLevel(value: string): Level | undefined {
  return LEVELS[value.toLowerCase()] ?? NUMBERED[value]
}

/** The level of an OTLP severity number: 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn, 17–20 error, 21–24 fatal, others unknown. */
export function levelOfSeverity(severity: number): Level {
  if (severity < 1 || severity > 24) return 'unknown'
  return (['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const)[Math.floor((severity - 1) / 4)]!
}

/** The level of a line, given as text or as UTF-8 bytes `line[from, to)`. Cost: one pass, no strings but for candidate words. */
export function detectLevel(line: string | Uint8Array, from = 0, to = line.length): Level {
  const bytes = typeof line === 'string' ? Buffer.from(line) : line
  const first = typeof line === 'string' ? 0 : from
  const end = Math.min(typeof line === 'string' ? bytes.length : to, first + LINE_BYTES_MAX)
  let at = first
  while (at < end && bytes[at]! <= SPACE) at++
  const named = bytes[at] === OPEN ? levelInJson(bytes, at, end) : levelInLogfmt(bytes, at, end)
  return named ?? levelWord(bytes, at, end)
}

/** The level field of a JSON object's own members; members of nested values are not looked at. */
function levelInJson(bytes: Uint8Array, from: number, end: number): Level | undefined {
  let depth = 0
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!
    if (byte === OPEN || byte === 0x5b) depth++
    else if (byte === 0x7d || byte === 0x5d) depth--
    else if (byte === QUOTE) {
      const close = stringEnd(bytes, at + 1, end)
      if (depth === 1 && close - at - 1 <= WORD_BYTES_MAX && nextVisible(bytes, close + 1, end) === 0x3a && isField(bytes, at + 1, close)) {
        return jsonValueLevel(bytes, bytes.indexOf(0x3a, close) + 1, end)
      }
      at = close
    }
  }
  return undefined
}

function jsonValueLevel(bytes: Uint8Array, from: number, end: number): Level | undefined {
  let at = from
  while (at < end && bytes[at]! <= SPACE) at++
  if (bytes[at] === QUOTE) return levelOfRange(bytes, at + 1, stringEnd(bytes, at + 1, end))
  let stop = at
  while (stop < end && bytes[stop]! >= 0x30 && bytes[stop]! <= 0x39) stop++
  return levelOfRange(bytes, at, stop)
}

function stringEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return Math.min(at, end)
}

function nextVisible(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at]! <= SPACE) at++
  return at < end ? bytes[at]! : -1
}

/** `level=warn`, `lvl="warn"`, at the start of the line or after a space. */
function levelInLogfmt(bytes: Uint8Array, from: number, end: number): Level | undefined {
  let wordStart = from
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!
    if (byte === QUOTE) at = stringEnd(bytes, at + 1, end)
    else if (byte <= SPACE) wordStart = at + 1
    else if (byte === EQUALS && at - wordStart <= WORD_BYTES_MAX && isField(bytes, wordStart, at)) {
      const quoted = bytes[at + 1] === QUOTE
      let stop = quoted ? stringEnd(bytes, at + 2, end) : at + 1
      while (!quoted && stop < end && bytes[stop]! > SPACE) stop++
      return levelOfRange(bytes, quoted ? at + 2 : at + 1, stop)
    }
  }
  return undefined
}

function isField(bytes: Uint8Array, from: number, to: number): boolean {
  const last = bytes[to - 1]! | 0x20
  // Level fields end in l, y or t: most names are turned away here.
  if (to - from < 3 || (last !== 0x6c && last !== 0x79 && last !== 0x74)) return false
  return FIELD_NAMES.has(lowerText(bytes, from, to))
}

function levelOfRange(bytes: Uint8Array, from: number, to: number): Level | undefined {
  return to - from > WORD_BYTES_MAX || to <= from ? undefined : normaliseLevel(lowerText(bytes, from, to))
}

/** The first word of the line that is a level's name. */
function levelWord(bytes: Uint8Array, from: number, end: number): Level {
  let start = from
  for (let at = from; at <= end; at++) {
    const byte = at < end ? bytes[at]! : SPACE
    const letter = byte | 0x20
    if ((letter >= 0x61 && letter <= 0x7a) || byte === 0x5f || (byte >= 0x30 && byte <= 0x39)) continue
    const size = at - start
    if (size >= 3 && size <= WORD_BYTES_MAX && canStartLevel(bytes[start]! | 0x20)) {
      const level = LEVELS[lowerText(bytes, start, at)]
      if (level !== undefined) return level
    }
    start = at + 1
  }
  return 'unknown'
}

/** c d e f i n p t w */
function canStartLevel(letter: number): boolean {
  return letter >= 0x63 && letter <= 0x77 && ((1 << (letter - 0x63)) & 0b1_0010_0010_1000_0100_1111) !== 0
}

function lowerText(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    text += String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)
  }
  return text
}
