/** Parameters as Loki reads them: nanoseconds, seconds or RFC 3339; steps with or without unit; selectors. */
import type { MatcherSpec } from '../../../lib/model/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { leavesOf, parseDurationLiteral, parseExpr, parseMatchers, type Direction } from '../../logql/index.ts'
import type { NanoTime } from '../../store/index.ts'

const RFC3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/
/** Whole numbers up to this many digits are seconds, longer ones nanoseconds. */
const SECONDS_DIGITS_MAX = 10

function bad(message: string): SightlineError {
  return new SightlineError('bad_data', message)
}

/** Errors: bad_data. */
export function parseTime(text: string, name: string): NanoTime {
  if (/^-?\d+$/.test(text)) {
    if (text.length <= SECONDS_DIGITS_MAX) return { ms: Number(text) * 1000, subNs: 0 }
    const ns = BigInt(text)
    const ms = ns >= 0n ? ns / 1_000_000n : (ns - 999_999n) / 1_000_000n
    return checked({ ms: Number(ms), subNs: Number(ns - ms * 1_000_000n) }, text, name)
  }
  if (/^-?\d*\.\d*(e[+-]?\d+)?$/i.test(text) || /^-?\d+e[+-]?\d+$/i.test(text)) {
    const number = Number(text)
    // A JavaScript number of nanoseconds may come with an exponent.
    const ms = Math.abs(number) > 1e15 ? number / 1e6 : number * 1000
    return checked({ ms: Math.floor(ms), subNs: Math.min(999_999, Math.round((ms - Math.floor(ms)) * 1e6)) }, text, name)
  }
  const match = RFC3339.exec(text)
  if (match === null) throw bad(`could not parse '${name}' parameter: "${text}" is no time`)
  const fraction = (match[2] ?? '').padEnd(9, '0')
  return checked({ ms: Date.parse(`${match[1]}${match[3]}`) + Number(fraction.slice(0, 3)), subNs: Number(fraction.slice(3)) }, text, name)
}

function checked(time: NanoTime, text: string, name: string): NanoTime {
  if (!Number.isSafeInteger(time.ms) || Math.abs(time.ms) > 8.64e15)
    throw bad(`could not parse '${name}' parameter: "${text}" is out of range`)
  return time
}

export interface TimeRange {
  readonly start: NanoTime
  readonly end: NanoTime
}

/** `start`, `end`, `since`. Without: the last `sinceMs` up to now. */
export function rangeParam(params: URLSearchParams, nowMs: number, sinceMs: number): TimeRange {
  const endText = params.get('end') ?? ''
  const end = endText === '' ? { ms: nowMs, subNs: 0 } : parseTime(endText, 'end')
  const startText = params.get('start') ?? ''
  const sinceText = params.get('since') ?? ''
  const backMs = sinceText === '' ? sinceMs : durationMs(sinceText, 'since')
  const start = startText === '' ? { ms: Math.min(end.ms, nowMs) - backMs, subNs: 0 } : parseTime(startText, 'start')
  if (end.ms < start.ms || (end.ms === start.ms && end.subNs < start.subNs))
    throw bad('end timestamp must not be before or equal to start time')
  return { start, end }
}

function durationMs(text: string, name: string): number {
  const seconds = text === '' ? Number.NaN : Number(text)
  const ns = Number.isNaN(seconds) ? parseDurationLiteral(text) : seconds * 1e9
  if (ns === undefined || !Number.isFinite(ns)) throw bad(`cannot parse "${text}" to a valid duration of '${name}'`)
  return ns / 1e6
}

/** Milliseconds. Without: a 250th of the range, at least a second. */
export function stepParam(params: URLSearchParams, { start, end }: TimeRange): number {
  const text = params.get('step') ?? ''
  if (text === '') return Math.max(1000, Math.floor((end.ms - start.ms) / 250_000) * 1000)
  const ms = durationMs(text, 'step')
  if (ms <= 0) throw bad('zero or negative query resolution step widths are not accepted. Try a positive integer')
  return Math.max(1, Math.round(ms))
}

export function limitParam(params: URLSearchParams, fallback: number, name = 'limit'): number {
  const text = params.get(name) ?? ''
  if (text === '') return fallback
  const limit = Number(text)
  if (!Number.isInteger(limit)) throw bad(`could not parse '${name}' parameter: "${text}" is no whole number`)
  if (limit <= 0) throw bad(`${name} must be a positive value`)
  return limit
}

export function directionParam(params: URLSearchParams): Direction {
  const text = (params.get('direction') ?? '').toLowerCase()
  if (text === '' || text === 'backward') return 'backward'
  if (text === 'forward') return 'forward'
  throw bad(`invalid direction '${text}'`)
}

export function requiredQuery(params: URLSearchParams): string {
  const query = params.get('query') ?? ''
  if (query === '') throw bad('parse error : syntax error: unexpected $end')
  return query
}

/** The matchers of a selector, or of a query's first selector; none for an empty text. */
export function matchersOf(query: string): readonly MatcherSpec[] {
  try {
    return parseMatchers(query)
  } catch (error) {
    if (!/[|!(]/.test(query)) throw error
    const leaf = leavesOf(parseExpr(query))[0]
    if (leaf === undefined) throw error
    return leaf.kind === 'log' ? leaf.matchers : leaf.log.matchers
  }
}
