/** Errors of the language, in Loki's texts. */
import { SightlineError } from '../../lib/runtime/errors.ts'

/** A query that doesn't parse; `at` is the offset the message is about, absent where it is about the whole. */
export function parseError(text: string, message: string, at?: number): SightlineError {
  if (at === undefined) return new SightlineError('bad_data', `parse error : ${message}`)
  const before = text.slice(0, at).split('\n')
  return new SightlineError('bad_data', `parse error at line ${before.length}, col ${before.at(-1)!.length + 1}: ${message}`)
}

export function syntaxError(text: string, at: number, unexpected: string, expecting?: string): SightlineError {
  return parseError(text, `syntax error: unexpected ${unexpected}${expecting === undefined ? '' : `, expecting ${expecting}`}`, at)
}

export function notBuilt(feature: string): SightlineError {
  return new SightlineError('bad_data', `cannot run the query: ${feature} is not built yet`)
}
