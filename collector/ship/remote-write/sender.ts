/** One request to a remote write receiver, tried until it is taken or refused for good. */
import { retryAfterOf, type HttpClient } from '../../../lib/http/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import { kindOf, messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import { snappyEncode } from '../../../lib/wire/snappy/index.ts'

export interface SenderOptions {
  readonly client: HttpClient
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
  readonly clock: Clock
  /** Called before each wait for another try. */
  readonly onRetry: (cause: string) => void
}

export interface SendResult {
  readonly isTaken: boolean
  /** Why it was refused, '' where it was taken. */
  readonly cause: string
}

const ANSWER_BYTES_MAX = 64 * 1024
const CAUSE_LENGTH_MAX = 256

/**
 * Sends one WriteRequest (not compressed yet).
 *
 * Tried again after 5xx, 429, a timeout and a broken connection: first after `backoffMinMs`, twice as long each time up to `backoffMaxMs`, or as long as
 * `Retry-After` says. Any other answer but 2xx refuses the request. Errors: canceled. Source: Prometheus' `sendWriteRequestWithBackoff`.
 */
export async function sendWrite(options: SenderOptions, body: Uint8Array, signal: AbortSignal): Promise<SendResult> {
  const { client, url, clock, timeoutMs, backoffMaxMs } = options
  const compressed = snappyEncode(body)
  const headers = {
    ...options.headers,
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
  }
  let backoffMs = options.backoffMinMs
  for (;;) {
    let waitMs = backoffMs
    try {
      const request = { method: 'POST', headers, body: compressed, timeoutMs, bodyBytesMax: ANSWER_BYTES_MAX, signal }
      const answer = await client.request(url, request)
      if (answer.status >= 200 && answer.status < 300) return { isTaken: true, cause: '' }
      const cause = `${answer.status} ${answer.body.toString('utf8').trim().slice(0, CAUSE_LENGTH_MAX)}`
      if (answer.status < 500 && answer.status !== 429) return { isTaken: false, cause }
      waitMs = Math.max(waitMs, retryAfterOf(answer, clock.now()))
      options.onRetry(cause)
    } catch (error) {
      if (signal.aborted) throw new SightlineError('canceled', `cannot send to ${url}: stopped`, { cause: error })
      if (kindOf(error) === 'too_large') return { isTaken: false, cause: messageOf(error) }
      options.onRetry(messageOf(error))
    }
    await clock.sleep(waitMs, signal)
    if (signal.aborted) throw new SightlineError('canceled', `cannot send to ${url}: stopped`)
    backoffMs = Math.min(backoffMs * 2, backoffMaxMs)
  }
}
