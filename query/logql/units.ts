/**
 * Numbers, durations and sizes in label values, as Go's `strconv.ParseFloat`, `time.ParseDuration` and humanize's `ParseBytes` read them,
 * with their error texts: these end up in `__error_details__`. A reader answers the number, or the text of its error.
 */
const FLOAT = /^[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][+-]?\d+)?$/
const HEX_FLOAT = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)$/
const SPECIAL: Readonly<Record<string, number>> = { inf: Infinity, infinity: Infinity, nan: Number.NaN }

export function goQuote(text: string): string {
  return JSON.stringify(text)
}

/** @returns a number, or the error's text */
export function parseFloatText(text: string): number | string {
  const code = text.charCodeAt(0)
  // The common case: plain digits.
  if (code >= 48 && code <= 57 && text.length < 16 && /^\d+(\.\d+)?$/.test(text)) return Number(text)
  if (FLOAT.test(text) && !text.includes('_')) {
    const value = Number(text)
    return Number.isFinite(value) ? value : `strconv.ParseFloat: parsing ${goQuote(text)}: value out of range`
  }
  const sign = text[0] === '-' ? -1 : 1
  const bare = (text[0] === '-' || text[0] === '+' ? text.slice(1) : text).toLowerCase()
  const special = SPECIAL[bare]
  if (special !== undefined && !(Number.isNaN(special) && bare !== text.toLowerCase())) return sign * special
  const hex = HEX_FLOAT.exec(text)
  if (hex !== null && hex[2]! + hex[3]! !== '') {
    const mantissa = Number.parseInt(hex[2]! + hex[3]!, 16)
    return (hex[1] === '-' ? -1 : 1) * mantissa * 2 ** (Number(hex[4]) - 4 * hex[3]!.length)
  }
  return `strconv.ParseFloat: parsing ${goQuote(text)}: invalid syntax`
}

const DURATION_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }
const DURATION_PART = /(\d*)(\.\d*)?([^\d.]*)/y

/** @returns nanoseconds, or the error's text */
export function parseDurationText(text: string): number | string {
  const invalid = `time: invalid duration ${goQuote(text)}`
  const negative = text[0] === '-'
  const body = negative || text[0] === '+' ? text.slice(1) : text
  if (body === '0') return 0
  if (body === '') return invalid
  let ns = 0
  for (let at = 0; at < body.length;) {
    DURATION_PART.lastIndex = at
    const [, whole = '', fraction = '', unit = ''] = DURATION_PART.exec(body)!
    if (whole === '' && fraction.length < 2) return invalid
    if (unit === '') return body[DURATION_PART.lastIndex] === undefined ? `time: missing unit in duration ${goQuote(text)}` : invalid
    const size = DURATION_NS[unit]
    if (size === undefined) return `time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`
    ns += Number(`${whole}${fraction}`) * size
    at = DURATION_PART.lastIndex
  }
  if (ns > 9.223372036854776e18) return invalid
  return negative ? -ns : ns
}

const BYTES: Readonly<Record<string, number>> = Object.fromEntries(
  ['', 'k', 'm', 'g', 't', 'p', 'e'].flatMap((prefix, power) =>
    prefix === ''
      ? [
          ['', 1],
          ['b', 1],
        ]
      : [
          [`${prefix}`, 1000 ** power],
          [`${prefix}b`, 1000 ** power],
          [`${prefix}i`, 1024 ** power],
          [`${prefix}ib`, 1024 ** power],
        ],
  ),
)

/** @returns bytes, whole, or the error's text */
export function parseBytesText(text: string): number | string {
  let end = 0
  while (end < text.length && /[\d.,]/.test(text[end]!)) end++
  const number = parseFloatText(text.slice(0, end).replaceAll(',', ''))
  if (typeof number === 'string') return number
  const unit = text.slice(end).trim().toLowerCase()
  const size = BYTES[unit]
  if (size === undefined) return `unhandled size name: ${unit}`
  const bytes = number * size
  return bytes >= 2 ** 64 ? `too large: ${text}` : Math.trunc(bytes)
}

const LITERAL_NS: Readonly<Record<string, number>> = { ...DURATION_NS, d: 86400e9, w: 7 * 86400e9, y: 365 * 86400e9 }

/** A duration in a query: Go's units, and `d`, `w`, `y` in whole numbers. Nanoseconds; undefined where the text is none. */
export function parseDurationLiteral(text: string): number | undefined {
  const go = parseDurationText(text)
  if (typeof go === 'number') return go
  if (!/^(\d+(?:ms|ns|us|µs|[smhdwy]))+$/.test(text)) return undefined
  let ns = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|ns|us|µs|[smhdwy])/g)) ns += Number(count) * LITERAL_NS[unit!]!
  return ns
}

/** Go's duration text of some nanoseconds: `1h30m0s`, `1.5s`, `20ms`. */
export function formatGoDuration(ns: number): string {
  if (ns === 0) return '0s'
  const sign = ns < 0 ? '-' : ''
  const size = Math.abs(ns)
  if (size < 1e3) return `${sign}${size}ns`
  if (size < 1e6) return `${sign}${size / 1e3}µs`
  if (size < 1e9) return `${sign}${size / 1e6}ms`
  const hours = Math.floor(size / 3600e9)
  const minutes = Math.floor((size % 3600e9) / 60e9)
  const seconds = `${Math.floor((size % 60e9) / 1e9)}.${String(size % 1e9).padStart(9, '0')}`.replace(/\.?0+$/, '') || '0'
  return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}
