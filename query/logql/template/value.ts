/** Values inside a template, and how Go prints, compares and converts them. */
import { SightlineError } from '../../../lib/runtime/errors.ts'

/** A time is a Date with what is below its millisecond left out. Objects come from `fromJson`. */
export type Value = string | number | boolean | undefined | null | Date | readonly Value[] | { readonly [name: string]: Value }

export function isTrue(value: Value): boolean {
  if (value === undefined || value === null || value === false || value === '' || value === 0) return false
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && !(value instanceof Date)) return Object.keys(value).length > 0
  return true
}

export function show(value: Value): string {
  if (value === undefined || value === null) return '<no value>'
  if (typeof value === 'number') return showNumber(value)
  if (value instanceof Date)
    return `${value
      .toISOString()
      .replace('T', ' ')
      .replace(/\.?0*Z$/, '')} +0000 UTC`
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`
  if (typeof value === 'object') {
    const fields = value as Readonly<Record<string, Value>>
    const pairs = Object.keys(fields)
      .sort()
      .map((name) => `${name}:${show(fields[name])}`)
    return `map[${pairs.join(' ')}]`
  }
  return String(value)
}

function showNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  const text = String(value)
  const e = text.indexOf('e')
  return e === -1 || text.length - e > 3 ? text : `${text.slice(0, e + 2)}0${text.slice(e + 2)}`
}

export function toText(value: Value): string {
  return value === undefined || value === null ? '' : show(value)
}

/** As sprig's `float64`: what isn't a number is 0. */
export function toNumber(value: Value): number {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value !== 'string' || value.trim() === '') return 0
  const number = Number(value)
  return Number.isNaN(number) ? 0 : number
}

export function toInt(value: Value): number {
  return Math.trunc(toNumber(value))
}

export function fieldOf(value: Value, path: readonly string[]): Value {
  let at = value
  for (const name of path) {
    if (at === null || typeof at !== 'object' || Array.isArray(at) || at instanceof Date) return undefined
    at = Object.hasOwn(at, name) ? (at as Readonly<Record<string, Value>>)[name] : undefined
  }
  return at
}

/** At most this many characters come out of one template. */
export const OUTPUT_LENGTH_MAX = 1024 * 1024

export function tooLong(): SightlineError {
  return new SightlineError('too_large', `template: the output is longer than ${OUTPUT_LENGTH_MAX} characters`)
}

export function executionError(name: string, why: string): SightlineError {
  return new SightlineError('execution', `template: error calling ${name}: ${why}`)
}
