/**
 * One group's alerts to one integration: whether there is something new to say, the tries, and the record of what was said.
 *
 * Order: an intent is made durable, then the request goes out, then its outcome is made durable. After a kill between request and outcome the
 * next process finds the intent and sends again: a repeat, counted, never nothing. Source of the rules: Alertmanager `notify/notify.go`
 * (DedupStage, RetryStage, SetNotifiesStage) and `nflog`.
 */
import type { Clock } from '../../lib/runtime/clock.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter, type Log } from '../../lib/telemetry/index.ts'
import type { StateLog } from '../state-log.ts'
import type { Integration, Notification } from './notify/index.ts'

const notifications = counter('sightline_notifications_total', 'Notifications by how they ended, retries included.', [
  'integration',
  'result',
])
const repeated = counter(
  'sightline_notifications_repeated_total',
  'Notifications sent although an earlier try may have arrived: its outcome was never recorded.',
  ['integration'],
)

/** What a receiver was told last of a group, by fingerprints. */
export interface NotificationRecord {
  readonly firing: readonly string[]
  readonly resolved: readonly string[]
  readonly sentAtMs: number
  /** A request was about to be made at this time, and its outcome isn't known. */
  readonly intentMs?: number
}

export const LOG_PREFIX = 'alertmanager/log/'
/** Records older than this, and than twice the repeat interval, are let go. */
const RETENTION_MS = 120 * 3_600_000
const BACKOFF_FIRST_MS = 500
const BACKOFF_MAX_MS = 60_000

export class NotificationLog {
  readonly #state: StateLog
  readonly #records = new Map<string, NotificationRecord>()

  constructor(state: StateLog) {
    this.#state = state
  }

  load(): void {
    for (const [key, value] of this.#state.entries()) {
      if (key.startsWith(LOG_PREFIX)) this.#records.set(key.slice(LOG_PREFIX.length), value as NotificationRecord)
    }
  }

  get(key: string): NotificationRecord | undefined {
    return this.#records.get(key)
  }

  async put(key: string, record: NotificationRecord): Promise<void> {
    await this.#state.put([[LOG_PREFIX + key, record]])
    this.#records.set(key, record)
  }

  async forgetBefore(nowMs: number): Promise<void> {
    const old = [...this.#records].filter(([, { sentAtMs, intentMs = 0 }]) => Math.max(sentAtMs, intentMs) < nowMs - RETENTION_MS)
    for (const [key] of old) this.#records.delete(key)
    await this.#state.put(old.map(([key]) => [LOG_PREFIX + key, null] as const))
  }
}

export interface DeliveryDeps {
  readonly clock: Clock
  readonly log: Log
  readonly record: NotificationLog
  /** In [0, 1). */
  readonly random: () => number
}

/** True where the receiver has to hear of the group now. */
export function needsWord(
  last: NotificationRecord | undefined,
  firing: readonly string[],
  resolved: readonly string[],
  sendsResolved: boolean,
  repeatIntervalMs: number,
  nowMs: number,
): boolean {
  if (last === undefined) return firing.length > 0
  if (last.intentMs !== undefined) return firing.length > 0 || last.firing.length > 0 || resolved.length > 0
  const isSubset = (some: readonly string[], all: readonly string[]): boolean => some.every((one) => all.includes(one))
  if (!isSubset(firing, last.firing)) return true
  // All is well again: said once, to those that were told of trouble.
  if (firing.length === 0) return last.firing.length > 0
  if (sendsResolved && !isSubset(resolved, last.resolved)) return true
  return last.sentAtMs <= nowMs - repeatIntervalMs
}

/**
 * Tries until it is told, refused for good, `deadlineMs` has passed or `signal` is aborted; a request under way is waited for. False where it was not told; then the next flush tries again.
 */
export async function deliver(
  deps: DeliveryDeps,
  integration: Integration,
  notification: Notification,
  repeatIntervalMs: number,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { clock, record, log } = deps
  const { name } = integration
  const key = JSON.stringify([notification.receiver, name, integration.index, notification.groupKey])
  const firing = notification.alerts.filter(({ isResolved }) => !isResolved).map(({ fingerprint }) => fingerprint)
  const resolved = notification.alerts.filter(({ isResolved }) => isResolved).map(({ fingerprint }) => fingerprint)
  const last = record.get(key)
  if (!needsWord(last, firing, resolved, integration.sendsResolved, repeatIntervalMs, clock.now())) return true
  const said = { firing, resolved }
  if (!integration.sendsResolved && firing.length === 0) {
    await record.put(key, { ...said, sentAtMs: clock.now() })
    return true
  }
  const before: NotificationRecord = { firing: last?.firing ?? [], resolved: last?.resolved ?? [], sentAtMs: last?.sentAtMs ?? 0 }
  let mayHaveArrived = last?.intentMs !== undefined
  await record.put(key, { ...before, intentMs: clock.now() })
  const told = integration.sendsResolved
    ? notification
    : { ...notification, alerts: notification.alerts.filter((alert) => !alert.isResolved) }
  for (let attempt = 0; ; attempt++) {
    if (mayHaveArrived) repeated.inc({ integration: name })
    try {
      await integration.notify(told)
      notifications.inc({ integration: name, result: 'success' })
      await record.put(key, { ...said, sentAtMs: clock.now() })
      return true
    } catch (error) {
      const kind = error instanceof SightlineError ? error.kind : 'internal'
      notifications.inc({ integration: name, result: kind })
      mayHaveArrived ||= kind === 'timeout' || kind === 'canceled'
      log.warn({ receiver: notification.receiver, integration: name, attempt, error: messageOf(error) }, 'a notification failed')
      const waitMs = backoffMs(attempt, deps.random)
      let isOver = !(error instanceof SightlineError && error.retriable) || clock.now() + waitMs > deadlineMs
      if (!isOver) {
        await clock.sleep(waitMs, signal)
        isOver = signal.aborted
      }
      if (isOver) {
        // Nothing arrived for sure: the intent is taken back, so that the next try counts as the first.
        if (!mayHaveArrived) await record.put(key, before)
        return false
      }
    }
  }
}

/** Doubling from half a second to a minute, half of it by chance, so that many receivers don't come back at once. */
export function backoffMs(attempt: number, random: () => number): number {
  const fullMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 20))
  return Math.round(fullMs / 2 + (random() * fullMs) / 2)
}
