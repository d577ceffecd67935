/** Parameters as Prometheus reads them: times, durations, selectors, escaped label names. */
import { parseDuration, type Matcher } from '../../../lib/model/index.ts'
import { messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import { parseMetricSelector } from '../../promql/index.ts'

/** The bounds Prometheus uses where a range is open; they also stand for `-292273086-05-16T16:47:06Z` and its opposite. */
export const MIN_TIME_MS = -9_007_199_254_740_000
export const MAX_TIME_MS = 9_007_199_254_740_000

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

/** Seconds with decimals, or RFC 3339, to Unix milliseconds. */
export function parseTimeMs(text: string, name: string): number {
  const seconds = Number(text)
  if (text !== '' && !Number.isNaN(seconds) && Math.abs(seconds) < 1e15) return clampTime(Math.round(seconds * 1000))
  if (text !== '' && Number.isFinite(seconds)) return seconds > 0 ? MAX_TIME_MS : MIN_TIME_MS
  if (RFC3339.test(text)) return Date.parse(text)
  if (text === '-292273086-05-16T16:47:06Z') return MIN_TIME_MS
  if (text === '292277025-08-18T07:12:54.999999999Z') return MAX_TIME_MS
  throw new SightlineError('bad_data', `invalid parameter "${name}": cannot parse "${text}" to a valid timestamp`)
}

function clampTime(ms: number): number {
  return Math.min(MAX_TIME_MS, Math.max(MIN_TIME_MS, ms))
}

export function timeParam(params: URLSearchParams, name: string, fallbackMs: number): number {
  const text = params.get(name)
  return text === null || text === '' ? fallbackMs : parseTimeMs(text, name)
}

/** Seconds with decimals, or a duration, to milliseconds. */
export function durationParam(params: URLSearchParams, name: string): number | undefined {
  const text = params.get(name)
  if (text === null || text === '') return undefined
  const seconds = Number(text)
  const ms = Number.isNaN(seconds) ? parseDuration(text) : seconds * 1000
  if (ms === undefined || !Number.isFinite(ms))
    throw new SightlineError('bad_data', `invalid parameter "${name}": cannot parse "${text}" to a valid duration`)
  return ms
}

/** A count; 0 = no limit. */
export function limitParam(params: URLSearchParams, name = 'limit'): number {
  const text = params.get(name)
  if (text === null || text === '') return 0
  const limit = Number(text)
  if (!Number.isInteger(limit)) throw new SightlineError('bad_data', `invalid parameter "${name}": cannot parse "${text}" to a valid limit`)
  if (limit < 0) throw new SightlineError('bad_data', `invalid parameter "${name}": limit must be non-negative`)
  return limit
}

export function selectorsParam(params: URLSearchParams): (readonly Matcher[])[] {
  return params.getAll('match[]').map((text) => {
    try {
      return parseMetricSelector(text)
    } catch (error) {
      throw new SightlineError('bad_data', `invalid parameter "match[]": ${messageOf(error)}`)
    }
  })
}

export interface TimeRange {
  readonly startMs: number
  readonly endMs: number
}

export function rangeParam(params: URLSearchParams): TimeRange {
  const startMs = timeParam(params, 'start', MIN_TIME_MS)
  const endMs = timeParam(params, 'end', MAX_TIME_MS)
  if (endMs < startMs) throw new SightlineError('bad_data', 'invalid parameter "end": end timestamp must not be before start timestamp')
  return { startMs, endMs }
}

/**
 * A name in Prometheus' value encoding: `U__http_2e_status` is `http.status`; `__` is an underscore, `_<hex>_` a code point. Text that
 * is not in the encoding stays as it is.
 */
export function unescapeName(text: string): string {
  if (!text.startsWith('U__')) return text
  let out = ''
  for (let at = 3; at < text.length;) {
    if (text[at] !== '_') out += text[at++]
    else if (text[at + 1] === '_') {
      out += '_'
      at += 2
    } else {
      const match = /_([0-9a-fA-F]{1,6})_/y
      match.lastIndex = at
      const code = match.exec(text)
      if (code === null || Number.parseInt(code[1]!, 16) > 0x10ffff) return text
      out += String.fromCodePoint(Number.parseInt(code[1]!, 16))
      at = match.lastIndex
    }
  }
  return out
}
