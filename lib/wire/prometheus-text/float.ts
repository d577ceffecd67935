/** Sample values as text, from bytes, without making a string where the digits allow it. */

const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))

/**
 * The number in bytes [from, to); undefined where there is none. Exact: up to 15 digits and powers of ten to 22 are computed in one
 * correctly rounded operation; everything else goes through the engine's own parser.
 */
export function parseFloatBytes(bytes: Buffer, from: number, to: number): number | undefined {
  let at = from
  let negative = false
  if (bytes[at] === 45 || bytes[at] === 43) negative = bytes[at++] === 45
  let mantissa = 0
  let digits = 0
  let scale = 0
  let seenPoint = false
  for (; at < to; at++) {
    const byte = bytes[at]!
    if (byte >= 48 && byte <= 57) {
      mantissa = mantissa * 10 + (byte - 48)
      // Leading zeros are no digits of the mantissa.
      if (mantissa !== 0) digits++
      if (seenPoint) scale++
    } else if (byte === 46 && !seenPoint) seenPoint = true
    else break
  }
  const first = negative || bytes[from] === 43 ? from + 1 : from
  const isPlain = at === to && digits <= 15 && scale <= 22 && at > first + (seenPoint ? 1 : 0)
  if (!isPlain) return parseSlow(bytes.toString('latin1', from, to))
  const value = scale === 0 ? mantissa : mantissa / POWERS_OF_TEN[scale]!
  return negative ? -value : value
}

/** What Go's ParseFloat takes: any case of NaN and Inf, exponents, hexadecimal floats. */
function parseSlow(text: string): number | undefined {
  const lower = text.toLowerCase()
  if (/^[+-]?\d+\.?\d*(e[+-]?\d+)?$|^[+-]?\.\d+(e[+-]?\d+)?$/.test(lower)) return Number(lower)
  if (lower === 'nan' || lower === '+nan' || lower === '-nan') return Number.NaN
  if (/^[+-]?inf(inity)?$/.test(lower)) return lower.startsWith('-') ? -Infinity : Infinity
  const hex = /^([+-]?)0x([0-9a-f]*)\.?([0-9a-f]*)p([+-]?\d+)$/.exec(lower)
  if (hex === null || `${hex[2]}${hex[3]}` === '') return undefined
  const magnitude = Number.parseInt(`${hex[2]}${hex[3]}`, 16) * 2 ** (Number(hex[4]) - 4 * hex[3]!.length)
  return hex[1] === '-' ? -magnitude : magnitude
}
