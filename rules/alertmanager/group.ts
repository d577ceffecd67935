/**
 * The alerts of one route that share their group labels: told together, first after `group_wait`, then at each `group_interval` where something
 * changed. Source: Alertmanager `dispatch/dispatch.go` (aggrGroup); no known difference.
 */
import type { Clock } from '../../lib/runtime/clock.ts'
import type { Labels } from '../../lib/model/index.ts'
import type { NotifiedAlert } from './notify/index.ts'
import type { Route } from './route.ts'

/** An alert as the store keeps it. */
export interface StoredAlert extends Omit<NotifiedAlert, 'isResolved'> {
  readonly isResolved: boolean
  readonly updatedAtMs: number
}

/** The alerts as they stand now, resolved by time too. False where somebody was not told: they stay for the next flush. */
export type Flush = (group: AlertGroup, alerts: readonly StoredAlert[], signal: AbortSignal) => Promise<boolean>

export class AlertGroup {
  readonly route: Route
  readonly labels: Labels
  readonly key: string
  readonly alerts = new Map<string, StoredAlert>()
  readonly #clock: Clock
  readonly #flush: Flush
  /** Resolved alerts were told and let go; a group left without any is not used again. */
  readonly #onGone: (group: AlertGroup) => void
  readonly #stop = new AbortController()
  #hurry = new AbortController()
  #hasFlushed = false
  #running: Promise<void> | undefined

  constructor(route: Route, labels: Labels, key: string, clock: Clock, flush: Flush, onGone: (group: AlertGroup) => void) {
    this.route = route
    this.labels = labels
    this.key = key
    this.#clock = clock
    this.#flush = flush
    this.#onGone = onGone
  }

  insert(alert: StoredAlert): void {
    this.alerts.set(alert.fingerprint, alert)
    // Waiting is for what begins now: what fires for longer has been waited for already (after a restart, say).
    if (!this.#hasFlushed && alert.startsAtMs + this.route.groupWaitMs < this.#clock.now()) this.#hurry.abort()
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#hurry.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    await this.#clock.sleep(this.#hurry.signal.aborted ? 0 : this.route.groupWaitMs, AbortSignal.any([signal, this.#hurry.signal]))
    while (!signal.aborted) {
      this.#hasFlushed = true
      const plannedMs = this.#clock.now() + this.route.groupIntervalMs
      await this.#once(signal)
      if (this.alerts.size === 0) return
      await this.#clock.sleep(Math.max(0, plannedMs - this.#clock.now()), signal)
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.now()
    const alerts = [...this.alerts.values()]
      .map((alert) => (alert.isResolved || alert.endsAtMs > nowMs ? alert : { ...alert, isResolved: true }))
      .sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
    if (!(await this.#flush(this, alerts, signal))) return
    let gone = 0
    for (const alert of alerts) {
      // One that fired again meanwhile is another object by now and stays.
      const isSame = this.alerts.get(alert.fingerprint)?.updatedAtMs === alert.updatedAtMs
      if (alert.isResolved && isSame && this.alerts.delete(alert.fingerprint)) gone++
    }
    if (gone > 0) this.#onGone(this)
  }
}
