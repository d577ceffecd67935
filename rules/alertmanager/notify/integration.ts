/** What every integration is, and how each of them posts. */
import type { HttpClient } from '../../../lib/http/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { NotificationTemplates } from '../../template/index.ts'
import type { Notification } from './template-data.ts'

export interface Integration {
  readonly name: 'slack' | 'pagerduty' | 'webhook'
  /** Among those of its kind in the receiver. */
  readonly index: number
  readonly sendsResolved: boolean
  /** Errors: `retriable` where another try may help; timeout where it may have arrived all the same. */
  notify(notification: Notification): Promise<void>
}

export interface IntegrationDeps {
  readonly client: HttpClient
  readonly templates: NotificationTemplates
}

const TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 64 * 1024
const SHOWN_CHARS = 200

/** Errors name no address: it may hold a secret. */
export async function postJson(deps: IntegrationDeps, url: string, payload: object, timeoutMs: number): Promise<void> {
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payload),
    timeoutMs: timeoutMs > 0 ? timeoutMs : TIMEOUT_MS,
    bodyBytesMax: ANSWER_BYTES_MAX,
  }
  let answer
  try {
    answer = await deps.client.request(url, request)
  } catch (error) {
    if (!(error instanceof SightlineError)) throw error
    throw new SightlineError(error.kind, error.message.replaceAll(url, '<redacted>'), { cause: error.kind })
  }
  if (answer.status >= 200 && answer.status < 300) return
  const text = `unexpected status code ${answer.status}: ${answer.body.toString().replaceAll(url, '<redacted>').slice(0, SHOWN_CHARS)}`
  throw new SightlineError(answer.status >= 500 || answer.status === 429 ? 'unavailable' : 'bad_data', text)
}
