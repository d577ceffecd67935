/** The functions every Go template has. */
import { SightlineError } from '../../lib/runtime/errors.ts'
import { isTrue, type TemplateFunction } from './execute.ts'
import { formatValue, sprintf } from './format.ts'

export const BUILTINS: readonly (readonly [string, TemplateFunction])[] = [
  // `and` and `or` are evaluated by the executor, which stops early; they are here to be known.
  ['and', (...args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1)],
  ['or', (...args) => args.find(isTrue) ?? args.at(-1)],
  ['not', (value) => !isTrue(value)],
  ['eq', (first, ...rest) => rest.some((other) => compare(first, other) === 0)],
  ['ne', (a, b) => compare(a, b) !== 0],
  ['lt', (a, b) => ordered(a, b) < 0],
  ['le', (a, b) => ordered(a, b) <= 0],
  ['gt', (a, b) => ordered(a, b) > 0],
  ['ge', (a, b) => ordered(a, b) >= 0],
  ['len', lengthOf],
  ['index', (value, ...keys) => keys.reduce(elementOf, value)],
  ['slice', slice],
  [
    'print',
    (...args) =>
      args.map((arg, i) => (i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string' ? ' ' : '') + formatValue(arg)).join(''),
  ],
  ['println', (...args) => `${args.map(formatValue).join(' ')}\n`],
  ['printf', (format, ...args) => sprintf(text(format), args)],
  ['html', (...args) => escapeHtml(args.map(formatValue).join(''))],
  ['js', (...args) => JSON.stringify(args.map(formatValue).join('')).slice(1, -1).replaceAll('<', '\\u003C').replaceAll('>', '\\u003E')],
  ['urlquery', (...args) => queryEscape(args.map(formatValue).join(''))],
]

export function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new SightlineError('bad_data', `wrong type for value; expected string; got ${describe(value)}`)
}

export function escapeHtml(value: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' }
  return value.replaceAll(/[&<>"']/g, (char) => entities[char]!)
}

/** Go's `url.QueryEscape`. */
export function queryEscape(value: string): string {
  return encodeURIComponent(value)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function describe(value: unknown): string {
  return value === null || value === undefined ? 'nil' : typeof value === 'number' ? 'float64' : typeof value
}

/** 0 where equal; texts, numbers and booleans compare with their own kind only. */
function compare(a: unknown, b: unknown): number {
  if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null) ? 0 : 1
  if (typeof a !== typeof b || typeof a === 'object')
    throw new SightlineError('bad_data', 'error calling eq: incompatible types for comparison')
  return a === b ? 0 : 1
}

function ordered(a: unknown, b: unknown): number {
  const areTexts = typeof a === 'string' && typeof b === 'string'
  const areNumbers = typeof a === 'number' && typeof b === 'number'
  if (!areTexts && !areNumbers) throw new SightlineError('bad_data', 'error calling lt: incompatible types for comparison')
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : NaN
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (value instanceof Map) return value.size
  throw new SightlineError('bad_data', `error calling len: len of type ${describe(value)}`)
}

function elementOf(value: unknown, key: unknown): unknown {
  if (value instanceof Map) return (value as Map<unknown, unknown>).get(key) ?? ''
  if (!Array.isArray(value) && typeof value !== 'string')
    throw new SightlineError('bad_data', `error calling index: can't index item of type ${describe(value)}`)
  if (typeof key !== 'number' || key < 0 || key >= value.length)
    throw new SightlineError('bad_data', `error calling index: index out of range: ${formatValue(key)}`)
  return typeof value === 'string' ? value.charCodeAt(key) : (value as unknown[])[key]
}

function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (typeof value !== 'string' && !Array.isArray(value))
    throw new SightlineError('bad_data', `error calling slice: can't slice item of type ${describe(value)}`)
  const end = to === undefined ? value.length : to
  if (typeof from !== 'number' || typeof end !== 'number' || from < 0 || from > end || end > value.length) {
    throw new SightlineError('bad_data', `error calling slice: index out of range: ${formatValue(to ?? from)}`)
  }
  return value.slice(from, end)
}
