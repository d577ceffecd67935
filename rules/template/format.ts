/** Values as Go prints them: `%v` and the verbs of `printf`. */

/** A float64 as `%v`: the shortest text, an exponent below 1e-4 and from 1e21. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const magnitude = Math.abs(value)
  if (magnitude >= 1e-4 && magnitude < 1e21) return String(value)
  return exponentOf(value.toExponential())
}

/** Go's exponents have at least two digits. */
function exponentOf(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (typeof value === 'string') return value
  if (typeof value === 'number') return formatNumber(value)
  if (typeof value === 'boolean') return String(value)
  if (value instanceof Date)
    return `${value
      .toISOString()
      .replace('T', ' ')
      .replace(/\.?0*Z$/, '')} +0000 UTC`
  if (value instanceof Map) {
    const names = [...(value as Map<string, unknown>).keys()].sort()
    return `map[${names.map((name) => `${name}:${formatValue((value as Map<string, unknown>).get(name))}`).join(' ')}]`
  }
  if (Array.isArray(value)) return `[${value.map(formatValue).join(' ')}]`
  if (typeof value === 'function') return '<func>'
  const fields = Object.values(value).filter((field) => typeof field !== 'function')
  return `{${fields.map(formatValue).join(' ')}}`
}

const VERB = /%([-+# 0]*)(\d+)?(?:\.(\d*))?([a-zA-Z%])/g
/** Padding and decimals beyond these are cut: an annotation needn't be a megabyte of blanks. */
const WIDTH_MAX = 1000
const DECIMALS_MAX = 100

/** `fmt.Sprintf`. A number is an integer where it has no fraction: `%d` of a float is printed, where Go prints an error. */
export function sprintf(format: string, args: readonly unknown[]): string {
  let next = 0
  const out = format.replaceAll(VERB, (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%'
    if (next >= args.length) return `%!${verb}(MISSING)`
    const digits = precision === undefined ? undefined : Math.min(DECIMALS_MAX, Number(precision))
    return pad(formatVerb(verb, args[next++], flags, digits), flags, Math.min(WIDTH_MAX, Number(width ?? 0)))
  })
  return next < args.length
    ? `${out}%!(EXTRA ${args
        .slice(next)
        .map((arg) => `${typeOf(arg)}=${formatValue(arg)}`)
        .join(', ')})`
    : out
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width)
  if (!flags.includes('0')) return text.padStart(width)
  const sign = /^[+-]/.exec(text)?.[0] ?? ''
  return sign + text.slice(sign.length).padStart(width - sign.length, '0')
}

function formatVerb(verb: string, value: unknown, flags: string, digits: number | undefined): string {
  const plus = (text: string): string => (flags.includes('+') && !/^[+-]/.test(text) ? `+${text}` : text)
  if (verb === 'v')
    return typeof value === 'number' ? plus(digits === undefined ? formatNumber(value) : general(value, digits)) : formatValue(value)
  if (verb === 's') return digits === undefined ? formatValue(value) : Array.from(formatValue(value)).slice(0, digits).join('')
  if (verb === 'q') return JSON.stringify(formatValue(value))
  if (verb === 't' && typeof value === 'boolean') return String(value)
  if ((verb === 'x' || verb === 'X') && typeof value === 'string') return cased(verb, Buffer.from(value).toString('hex'))
  if (typeof value !== 'number') return `%!${verb}(${typeOf(value)}=${formatValue(value)})`
  if (!Number.isFinite(value) && 'feEgGd'.includes(verb)) return plus(formatNumber(value))
  switch (verb) {
    case 'd':
      return Number.isInteger(value) ? plus(BigInt(value).toString()) : `%!d(float64=${formatNumber(value)})`
    case 'f':
    case 'F':
      return plus(fixed(value, digits ?? 6))
    case 'e':
    case 'E':
      return plus(cased(verb, exponentOf(value.toExponential(digits ?? 6))))
    case 'g':
    case 'G':
      return plus(cased(verb, digits === undefined ? formatNumber(value) : general(value, digits)))
    case 'x':
    case 'X':
      return cased(verb, Math.trunc(value).toString(16))
    case 'b':
      return Math.trunc(value).toString(2)
    case 'o':
      return Math.trunc(value).toString(8)
    case 'c':
      return Number.isInteger(value) && value >= 0 && value <= 0x10ffff ? String.fromCodePoint(value) : '\ufffd'
    default:
      return `%!${verb}(float64=${formatNumber(value)})`
  }
}

/** As `toFixed`, but ties go to the even digit as in Go, and there is no exponent from 1e21. */
function fixed(value: number, digits: number): string {
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}${digits === 0 ? '' : `.${'0'.repeat(digits)}`}`
  const rounded = value.toFixed(digits)
  const exact = value.toFixed(Math.min(100, digits + 25))
  const point = exact.indexOf('.')
  const cut = digits === 0 ? exact.slice(0, point) : exact.slice(0, point + 1 + digits)
  const isTie = /^50*$/.test(exact.slice(point + 1 + digits))
  return isTie && Number(cut.at(-1)) % 2 === 0 ? cut : rounded
}

/** `%.4g`: significant digits without trailing zeros. */
export function general(value: number, digits: number): string {
  if (value === 0 || !Number.isFinite(value)) return formatNumber(value)
  const significant = Math.max(1, digits)
  const [mantissa, exponent] = value.toExponential(significant - 1).split('e') as [string, string]
  const power = Number(exponent)
  const trimmed = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)
  if (power < -4 || power >= significant) return exponentOf(`${trimmed(mantissa)}e${exponent}`)
  return trimmed(value.toFixed(Math.max(0, significant - 1 - power)))
}

function cased(verb: string, text: string): string {
  return verb === verb.toUpperCase() ? text.toUpperCase() : text
}

function typeOf(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64'
  return typeof value === 'boolean' ? 'bool' : value === null || value === undefined ? '<nil>' : typeof value
}
