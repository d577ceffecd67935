/** Parameters as Tempo reads them. */
import { SightlineError } from '../../../lib/runtime/errors.ts'

/** Where a request names no range: Tempo searches recent data only, we all of it that a filter can't rule out in this time. */
const DEFAULT_RANGE_MS = 24 * 3_600_000

/** 16 bytes of an id in hex digits, padded on the left. */
export function traceIdOf(text: string): Uint8Array {
  if (!/^[0-9a-fA-F]{1,32}$/.test(text))
    throw new SightlineError('bad_data', `trace IDs can only contain hex characters, at most 32 of them: ${text.slice(0, 100)}`)
  return new Uint8Array(Buffer.from(text.padStart(32, '0'), 'hex'))
}

/** `start` and `end` in seconds. */
export function rangeOf(params: URLSearchParams, nowMs: number): { startMs: number; endMs: number } {
  const seconds = (name: string): number | undefined => {
    const text = params.get(name)
    if (text === null || text === '' || text === '0') return undefined
    const value = Number(text)
    if (!Number.isFinite(value)) throw new SightlineError('bad_data', `invalid ${name}: ${text} is no Unix time in seconds`)
    return value * 1000
  }
  const endMs = seconds('end')
  const startMs = seconds('start')
  if (startMs !== undefined && endMs !== undefined && endMs <= startMs)
    throw new SightlineError('bad_data', 'invalid start: it must be before end')
  // The last second is meant whole.
  return { startMs: startMs ?? (endMs ?? nowMs) - DEFAULT_RANGE_MS, endMs: endMs === undefined ? nowMs + 600_000 : endMs + 999 }
}

export function countParam(params: URLSearchParams, name: string, fallback: number, max: number): number {
  const text = params.get(name)
  if (text === null || text === '') return fallback
  const count = Number(text)
  if (!Number.isInteger(count) || count < 0) throw new SightlineError('bad_data', `invalid ${name}: must be a non-negative number`)
  return count === 0 ? fallback : Math.min(count, max)
}
