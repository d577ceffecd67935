/** Go's `fmt.Sprintf` for the values a template holds. */
import { show, toInt, toNumber, type Value } from './value.ts'

const VERB = /%([-+# 0]*)(\d+|\*)?(?:\.(\d+|\*)?)?([A-Za-z%])/g
const WIDTH_MAX = 10_000

export function sprintf(format: string, args: readonly Value[]): string {
  let next = 0
  const out = format.replaceAll(
    VERB,
    (whole: string, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%'
      const columns = Math.min(WIDTH_MAX, width === '*' ? toInt(args[next++]) : Number(width ?? 0))
      const digits = precision === '*' ? toInt(args[next++]) : whole.includes('.') ? Number(precision ?? 0) : undefined
      if (next >= args.length) return `%!${verb}(MISSING)`
      const text = verbText(verb, flags, digits === undefined ? undefined : Math.min(digits, 100), args[next++])
      if (flags.includes('-')) return text.padEnd(columns)
      if (!flags.includes('0')) return text.padStart(columns)
      const sign = /^[+-]/.test(text) ? text[0]! : ''
      return sign + text.slice(sign.length).padStart(columns - sign.length, '0')
    },
  )
  return next < args.length
    ? `${out}%!(EXTRA ${args
        .slice(next)
        .map((arg) => `${typeName(arg)}=${show(arg)}`)
        .join(', ')})`
    : out
}

function typeName(value: Value): string {
  return typeof value === 'string' ? 'string' : typeof value === 'boolean' ? 'bool' : Number.isInteger(value) ? 'int' : 'float64'
}

function verbText(verb: string, flags: string, digits: number | undefined, value: Value): string {
  const signed = (text: string): string => (flags.includes('+') && !text.startsWith('-') ? `+${text}` : text)
  switch (verb) {
    case 'd':
      return typeof value === 'number' ? signed(String(toInt(value))) : `%!d(${typeName(value)}=${show(value)})`
    case 'f':
    case 'F':
      return typeof value === 'number' ? signed(toNumber(value).toFixed(digits ?? 6)) : `%!${verb}(${typeName(value)}=${show(value)})`
    case 'e':
      return signed(
        toNumber(value)
          .toExponential(digits ?? 6)
          .replace(/e([+-])(\d)$/, 'e$10$2'),
      )
    case 'g':
    case 'G':
      return signed(digits === undefined ? show(toNumber(value)) : String(Number(toNumber(value).toPrecision(Math.max(1, digits)))))
    case 'x':
    case 'X': {
      const text = typeof value === 'number' ? toInt(value).toString(16) : Buffer.from(show(value)).toString('hex')
      return verb === 'X' ? text.toUpperCase() : text
    }
    case 'o':
      return toInt(value).toString(8)
    case 'b':
      return toInt(value).toString(2)
    case 'c':
      return String.fromCodePoint(toInt(value))
    case 'q':
      return JSON.stringify(show(value))
    case 't':
    case 's':
    case 'v': {
      const text = show(value)
      return digits === undefined ? text : Array.from(text).slice(0, digits).join('')
    }
    case 'T':
      return typeName(value)
    default:
      return `%!${verb}(${typeName(value)}=${show(value)})`
  }
}
