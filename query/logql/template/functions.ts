/** The functions a template may call: Go's own, and those of sprig that Loki lists. The piped value is the last argument. */
import { compileRegexp, type Regexp } from '../../../lib/regexp/index.ts'
import { parseBytesText, parseDurationText } from '../units.ts'
import { formatDate, parseDate } from './dates.ts'
import { sprintf } from './printf.ts'
import { executionError, isTrue, OUTPUT_LENGTH_MAX, show, toInt, toNumber, toText, tooLong, type Value } from './value.ts'

export interface TemplateScope {
  readonly labels: ReadonlyMap<string, string>
  readonly line: () => string
  readonly timeMs: number
  readonly subNs: number
}

type TemplateFunction = (args: readonly Value[], scope: TemplateScope) => Value

const text1 =
  (apply: (text: string) => Value): TemplateFunction =>
  ([text]) =>
    apply(toText(text))
const text2 =
  (apply: (a: string, b: string) => Value): TemplateFunction =>
  ([a, b]) =>
    apply(toText(a), toText(b))
const fold =
  (convert: (value: Value) => number, apply: (a: number, b: number) => number): TemplateFunction =>
  (args) =>
    args.map(convert).reduce(apply)

const divisor = (name: string, value: number): number => {
  if (value === 0) throw executionError(name, 'division by zero')
  return value
}

const trimStart = (text: string, cut: string): string => {
  let at = 0
  while (at < text.length && cut.includes(text[at]!)) at++
  return text.slice(at)
}
const trimEnd = (text: string, cut: string): string => {
  let end = text.length
  while (end > 0 && cut.includes(text[end - 1]!)) end--
  return text.slice(0, end)
}

function repeated(text: string, count: number): string {
  if (text.length * count > OUTPUT_LENGTH_MAX) throw tooLong()
  return text.repeat(Math.max(0, count))
}

function aligned(count: Value, value: Value, side: 'left' | 'right'): string {
  const chars = Array.from(toText(value))
  const width = Math.max(0, toInt(count))
  if (width > OUTPUT_LENGTH_MAX) throw tooLong()
  if (chars.length >= width) return (side === 'left' ? chars.slice(0, width) : chars.slice(chars.length - width)).join('')
  const pad = ' '.repeat(width - chars.length)
  return side === 'left' ? chars.join('') + pad : pad + chars.join('')
}

function converted(name: string, result: number | string): number {
  if (typeof result === 'string') throw executionError(name, result)
  return result
}

/** Patterns of a template are few and the same for every line. */
const PATTERNS_MAX = 64
function regexpCache(): (pattern: string) => Regexp {
  const known = new Map<string, Regexp>()
  return (pattern) => {
    let regexp = known.get(pattern)
    if (regexp === undefined) {
      if (known.size >= PATTERNS_MAX) known.clear()
      known.set(pattern, (regexp = compileRegexp(pattern)))
    }
    return regexp
  }
}

function compare(a: Value, b: Value): number {
  if (typeof a === 'number' || typeof b === 'number') return toNumber(a) - toNumber(b)
  return toText(a) < toText(b) ? -1 : toText(a) > toText(b) ? 1 : 0
}

const equal = (a: Value, b: Value): boolean => (typeof a === typeof b ? a === b : compare(a, b) === 0)

const TEXT: Readonly<Record<string, TemplateFunction>> = {
  ToLower: text1((text) => text.toLowerCase()),
  ToUpper: text1((text) => text.toUpperCase()),
  lower: text1((text) => text.toLowerCase()),
  upper: text1((text) => text.toUpperCase()),
  title: text1((text) =>
    text.replaceAll(/(^|[^\p{L}\p{Nd}'])(\p{L})/gu, (_, before: string, first: string) => before + first.toUpperCase()),
  ),
  TrimSpace: text1((text) => text.trim()),
  trim: text1((text) => text.trim()),
  Trim: text2((text, cut) => trimEnd(trimStart(text, cut), cut)),
  TrimLeft: text2(trimStart),
  TrimRight: text2(trimEnd),
  TrimPrefix: text2((text, prefix) => (text.startsWith(prefix) ? text.slice(prefix.length) : text)),
  TrimSuffix: text2((text, suffix) => (suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text)),
  trimAll: text2((cut, text) => trimEnd(trimStart(text, cut), cut)),
  trimPrefix: text2((prefix, text) => (text.startsWith(prefix) ? text.slice(prefix.length) : text)),
  trimSuffix: text2((suffix, text) => (suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text)),
  Replace: ([text, from, to, count]) => replaceCount(toText(text), toText(from), toText(to), toInt(count)),
  replace: ([from, to, text]) => toText(text).replaceAll(toText(from), () => toText(to)),
  contains: text2((part, text) => text.includes(part)),
  hasPrefix: text2((prefix, text) => text.startsWith(prefix)),
  hasSuffix: text2((suffix, text) => text.endsWith(suffix)),
  trunc: ([count, text]) => (toInt(count) < 0 ? toText(text).slice(toInt(count)) : toText(text).slice(0, toInt(count))),
  substr: ([start, end, text]) => toText(text).slice(Math.max(0, toInt(start)), toInt(end) < 0 ? undefined : toInt(end)),
  repeat: ([count, text]) => repeated(toText(text), toInt(count)),
  indent: ([count, text]) => toText(text).replaceAll(/^/gm, repeated(' ', toInt(count))),
  nindent: ([count, text]) => `\n${toText(text).replaceAll(/^/gm, repeated(' ', toInt(count)))}`,
  alignLeft: ([count, text]) => aligned(count, text, 'left'),
  alignRight: ([count, text]) => aligned(count, text, 'right'),
  b64enc: text1((text) => Buffer.from(text).toString('base64')),
  b64dec: text1((text) => Buffer.from(text, 'base64').toString()),
  urlencode: text1((text) => new URLSearchParams([['', text]]).toString().slice(1)),
  urldecode: text1((text) => {
    try {
      return decodeURIComponent(text.replaceAll('+', ' '))
    } catch {
      throw executionError('urldecode', 'invalid URL escape')
    }
  }),
  fromJson: text1((text) => {
    try {
      return JSON.parse(text) as Value
    } catch {
      return undefined
    }
  }),
  default: ([fallback, value]) => (isTrue(value) ? value : fallback),
}

function replaceCount(text: string, from: string, to: string, count: number): string {
  if (count < 0) return text.replaceAll(from, () => to)
  let out = text
  for (let i = 0, at = 0; i < count; i++) {
    const found = out.indexOf(from, at)
    if (found === -1 || (from === '' && found >= out.length)) break
    out = out.slice(0, found) + to + out.slice(found + from.length)
    at = found + to.length + (from === '' ? 1 : 0)
  }
  return out
}

const NUMBERS: Readonly<Record<string, TemplateFunction>> = {
  int: ([value]) => toInt(value),
  float64: ([value]) => toNumber(value),
  add: fold(toInt, (a, b) => a + b),
  sub: fold(toInt, (a, b) => a - b),
  mul: fold(toInt, (a, b) => a * b),
  div: fold(toInt, (a, b) => Math.trunc(a / divisor('div', b))),
  mod: fold(toInt, (a, b) => a % divisor('mod', b)),
  addf: fold(toNumber, (a, b) => a + b),
  subf: fold(toNumber, (a, b) => a - b),
  mulf: fold(toNumber, (a, b) => a * b),
  divf: fold(toNumber, (a, b) => a / divisor('divf', b)),
  max: fold(toInt, Math.max),
  min: fold(toInt, Math.min),
  maxf: fold(toNumber, Math.max),
  minf: fold(toNumber, Math.min),
  ceil: ([value]) => Math.ceil(toNumber(value)),
  floor: ([value]) => Math.floor(toNumber(value)),
  round: ([value, digits, half]) => {
    const scale = 10 ** toInt(digits)
    const number = toNumber(value) * scale
    const edge = half === undefined ? 0.5 : toNumber(half)
    return (
      (Math.abs(number) - Math.floor(Math.abs(number)) >= edge ? Math.sign(number) * Math.ceil(Math.abs(number)) : Math.trunc(number)) /
      scale
    )
  },
  bytes: ([value]) => converted('bytes', parseBytesText(toText(value))),
  duration: ([value]) => converted('duration', parseDurationText(toText(value))) / 1e9,
  duration_seconds: ([value]) => converted('duration_seconds', parseDurationText(toText(value))) / 1e9,
}

const TIMES: Readonly<Record<string, TemplateFunction>> = {
  now: () => new Date(),
  date: ([layout, at]) => formatDate(toText(layout), timeOf(at).getTime(), 0),
  toDate: ([layout, text]) => dateOrZero(parseDate(toText(layout), toText(text))),
  toDateInZone: ([layout, zone, text]) => dateOrZero(parseDate(toText(layout), toText(text), toText(zone))),
  unixEpoch: ([at]) => String(Math.floor(timeOf(at).getTime() / 1000)),
  unixEpochMillis: ([at]) => String(timeOf(at).getTime()),
  unixEpochNanos: ([at]) => `${timeOf(at).getTime()}000000`,
  unixToTime: ([value]) => {
    const text = toText(value)
    const perMs = { 5: 86_400_000, 10: 1000, 13: 1, 16: 1e-3, 19: 1e-6 }[text.length]
    if (perMs === undefined || !/^\d+$/.test(text)) throw executionError('unixToTime', `unable to parse time '${text}'`)
    return new Date(Math.floor(Number(text) * perMs))
  },
  __timestamp__: (_, scope) => new Date(scope.timeMs),
}

function timeOf(value: Value): Date {
  return value instanceof Date ? value : new Date(toNumber(value) * 1000)
}

function dateOrZero(ms: number | undefined): Date {
  return new Date(ms ?? -62_135_596_800_000)
}

const LOGIC: Readonly<Record<string, TemplateFunction>> = {
  eq: ([first, ...others]) => others.some((other) => equal(first, other)),
  ne: ([a, b]) => !equal(a, b),
  lt: ([a, b]) => compare(a, b) < 0,
  le: ([a, b]) => compare(a, b) <= 0,
  gt: ([a, b]) => compare(a, b) > 0,
  ge: ([a, b]) => compare(a, b) >= 0,
  and: (args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1),
  or: (args) => args.find((arg) => isTrue(arg)) ?? args.at(-1),
  not: ([value]) => !isTrue(value),
  len: ([value]) =>
    typeof value === 'string' ? Buffer.byteLength(value) : Array.isArray(value) ? value.length : Object.keys(value ?? {}).length,
  index: ([value, ...path]) =>
    path.reduce<Value>(
      (at, step) => (at !== null && typeof at === 'object' ? (at as Readonly<Record<string, Value>>)[toText(step)] : undefined),
      value,
    ),
  print: (args) => args.map(show).join(''),
  println: (args) => `${args.map(show).join(' ')}\n`,
  printf: ([format, ...args]) => sprintf(toText(format), args),
  html: ([value]) =>
    toText(value).replaceAll(/[&<>"']/g, (ch) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' })[ch]!),
  urlquery: ([value]) => new URLSearchParams([['', toText(value)]]).toString().slice(1),
  __line__: (_, scope) => scope.line(),
}

/** The functions of one template; patterns they compile live as long as it. */
export function templateFunctions(): ReadonlyMap<string, TemplateFunction> {
  const regexpOf = regexpCache()
  const replaceAll: TemplateFunction = ([pattern, text, replacement]) =>
    regexpOf(toText(pattern)).replaceAll(toText(text), toText(replacement))
  return new Map<string, TemplateFunction>([
    ...Object.entries(TEXT),
    ...Object.entries(NUMBERS),
    ...Object.entries(TIMES),
    ...Object.entries(LOGIC),
    ['regexReplaceAll', replaceAll],
    [
      'regexReplaceAllLiteral',
      ([pattern, text, replacement]) => regexpOf(toText(pattern)).replaceAll(toText(text), toText(replacement).replaceAll('$', '$$$$')),
    ],
    ['count', ([pattern, text]) => regexpOf(toText(pattern)).findAll(toText(text), OUTPUT_LENGTH_MAX).length],
  ])
}
