/** Numbers in Go's notations. */

/** `strconv.FormatFloat(v, 'f', -1, 64)`: never an exponent. */
export function formatFixed(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  const text = Object.is(value, -0) ? '-0' : String(value)
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (match === null) return text
  const digits = match[2]! + (match[3] ?? '')
  const point = 1 + Number(match[4])
  if (point <= 0) return `${match[1]}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return match[1]! + digits + '0'.repeat(point - digits.length)
  return `${match[1]}${digits.slice(0, point)}.${digits.slice(point)}`
}

/** `%v` / `%g`: an exponent of at least two digits below 1e-4 and from 1e21. */
export function formatGeneral(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const magnitude = Math.abs(value)
  if (magnitude < 1e-4 || magnitude >= 1e21) {
    const [mantissa, exponent] = value.toExponential().split('e') as [string, string]
    return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
  }
  return formatFixed(value)
}

/**
 * A number as Go's `ParseInt(text, 0, 64)`, then `ParseFloat`, read it: decimal, hexadecimal, octal, binary, underscores,
 * hexadecimal floats, `inf`, `nan`. `undefined` where the text is none, 'range' where it is too large.
 */
export function parseGoNumber(text: string): number | undefined | 'range' {
  const lower = text.toLowerCase()
  if (/^[+-]?inf(inity)?$/.test(lower)) return lower.startsWith('-') ? -Infinity : Infinity
  if (lower === 'nan') return NaN
  const compact = lower.replaceAll('_', '')
  const hexFloat = /^0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?\d+))?$/.exec(compact)
  if (hexFloat !== null) {
    const digits = hexFloat[1]! + (hexFloat[2] ?? '')
    if (digits === '') return undefined
    return Number.parseInt(digits, 16) * 2 ** (Number(hexFloat[3] ?? 0) - 4 * (hexFloat[2]?.length ?? 0))
  }
  if (/^0[bo][0-7]+$/.test(compact)) return Number(compact)
  if (/^0[0-7]+$/.test(compact)) return Number.parseInt(compact, 8)
  if (!/^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/.test(compact)) return undefined
  const value = Number(compact)
  return Number.isFinite(value) ? value : 'range'
}
