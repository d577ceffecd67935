/** The store of alerts and the groups they are in; a new configuration sorts all alerts anew. */
import { labelsKey } from '../../lib/model/index.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { gauge } from '../../lib/telemetry/index.ts'
import type { Notice } from '../evaluation.ts'
import { fingerprintOf } from '../fingerprint.ts'
import type { StateLog } from '../state-log.ts'
import type { AlertmanagerConfig } from './config.ts'
import { deliver, NotificationLog, type DeliveryDeps } from './delivery.ts'
import { AlertGroup, type Flush, type StoredAlert } from './group.ts'
import { createInhibitor } from './inhibit.ts'
import { integrationsOf, type ReceiverIntegration } from './notify/index.ts'
import { buildRoute, groupKeyOf, groupLabelsOf, routesFor, type Route } from './route.ts'

export interface AlertmanagerDeps extends Omit<DeliveryDeps, 'record'> {
  readonly state: StateLog
}

interface Routing {
  readonly root: Route
  readonly integrations: ReadonlyMap<string, readonly ReceiverIntegration[]>
  readonly isInhibited: ReturnType<typeof createInhibitor>
  readonly resolveTimeoutMs: number
  readonly externalUrl: string
}

const ALERT_PREFIX = 'alertmanager/alert/'
/** More alerts than this are refused, as a whole batch. */
const ALERTS_MAX = 200_000
/** The least time a flush has for its tries. */
const FLUSH_MS_MIN = 10_000

const alertsGauge = gauge('sightline_alertmanager_alerts', 'Alerts our Alertmanager holds, firing or resolved and not yet told.')

export class Alertmanager {
  readonly #deps: AlertmanagerDeps
  readonly #record: NotificationLog
  readonly #alerts = new Map<string, StoredAlert>()
  #groups = new Map<string, AlertGroup>()
  #routing: Routing | undefined
  #isStarted = false

  constructor(deps: AlertmanagerDeps) {
    this.#deps = deps
    this.#record = new NotificationLog(deps.state)
  }

  /** Goes over to a configuration. Requests under way end first. */
  async apply(config: AlertmanagerConfig, externalUrl: string): Promise<void> {
    await this.#stopGroups()
    this.#routing = {
      root: buildRoute(config.route),
      integrations: new Map(config.receivers.map((one) => [one.name, integrationsOf(one, config.global, config.templates)])),
      isInhibited: createInhibitor(config.inhibitRules),
      resolveTimeoutMs: config.global.resolve_timeout,
      externalUrl,
    }
    if (this.#isStarted) this.#sortAll()
  }

  /** Takes up alerts and notifications of the process before. */
  async start(): Promise<void> {
    const { state, clock } = this.#deps
    this.#record.load()
    await this.#record.forgetBefore(clock.now())
    const timeoutMs = this.#routing?.resolveTimeoutMs ?? 0
    for (const [key, value] of state.entries()) {
      if (!key.startsWith(ALERT_PREFIX)) continue
      const alert = value as StoredAlert
      // Whoever raised it has as long as before to say that it still fires, at least the time-out.
      const endsAtMs = clock.now() + Math.max(timeoutMs, alert.endsAtMs - alert.updatedAtMs)
      this.#alerts.set(alert.fingerprint, alert.isResolved ? alert : { ...alert, endsAtMs })
    }
    this.#isStarted = true
    this.#sortAll()
  }

  async stop(): Promise<void> {
    this.#isStarted = false
    await this.#stopGroups()
  }

  /**
   * Resolves once the alerts can't be lost.
   * Errors: as the state log's; then nothing was taken and the sender tells again.
   */
  async put(notices: readonly Notice[]): Promise<void> {
    const nowMs = this.#deps.clock.now()
    const changes: [string, unknown][] = []
    const merged: StoredAlert[] = []
    for (const notice of notices) {
      const fingerprint = fingerprintOf(notice.labels)
      const known = this.#alerts.get(fingerprint)
      const alert = merge(fingerprint, known, notice, nowMs)
      if (alert === undefined) continue
      merged.push(alert)
      if (known === undefined || known.isResolved !== alert.isResolved || known.startsAtMs !== alert.startsAtMs) {
        changes.push([ALERT_PREFIX + alert.fingerprint, alert])
      }
    }
    if (this.#alerts.size + merged.length > ALERTS_MAX) {
      await this.#forgetTold()
      if (this.#alerts.size + merged.length > ALERTS_MAX) throw new SightlineError('too_many', `cannot take alerts: ${ALERTS_MAX} are held`)
    }
    await this.#deps.state.put(changes)
    for (const alert of merged) {
      this.#alerts.set(alert.fingerprint, alert)
      if (this.#isStarted) this.#sort(alert)
    }
    alertsGauge.set(this.#alerts.size)
  }

  #sortAll(): void {
    for (const alert of this.#alerts.values()) this.#sort(alert)
  }

  #sort(alert: StoredAlert): void {
    const routing = this.#routing
    if (routing === undefined) return
    for (const route of routesFor(routing.root, alert.labels)) {
      const labels = groupLabelsOf(route, alert.labels)
      const key = `${route.key}\n${route.receiver}\n${labelsKey(labels)}`
      let group = this.#groups.get(key)
      if (group === undefined) {
        group = new AlertGroup(route, labels, groupKeyOf(route, labels), this.#deps.clock, this.#flush, (told) => {
          if (told.alerts.size === 0) this.#groups.delete(key)
          this.#forgetTold().catch((error: unknown) => this.#deps.log.error({ error: messageOf(error) }, 'alerts could not be let go'))
        })
        this.#groups.set(key, group)
      }
      group.insert(alert)
    }
  }

  readonly #flush: Flush = async (group, alerts, signal) => {
    const { clock, log } = this.#deps
    const { integrations, isInhibited, externalUrl } = this.#routing!
    const nowMs = clock.now()
    const firing = [...this.#alerts.values()].filter((alert) => !alert.isResolved && alert.endsAtMs > nowMs).map(({ labels }) => labels)
    const told = alerts.filter(({ labels }) => !isInhibited(labels, firing))
    const { receiver } = group.route
    const notification = { receiver, groupKey: group.key, groupLabels: group.labels, externalUrl, alerts: told }
    const deadlineMs = nowMs + Math.max(FLUSH_MS_MIN, group.route.groupIntervalMs)
    const deps = { ...this.#deps, record: this.#record }
    let isTold = true
    if (told.length > 0) {
      const results = await Promise.allSettled(
        (integrations.get(receiver) ?? []).map((one) => deliver(deps, one, notification, group.route.repeatIntervalMs, deadlineMs, signal)),
      )
      for (const result of results) {
        if (result.status === 'rejected') log.error({ receiver, error: messageOf(result.reason) }, 'a notification could not be recorded')
      }
      isTold = results.every((result) => result.status === 'fulfilled' && result.value)
    }
    return isTold
  }

  /** Resolved alerts that no group holds any longer. */
  async #forgetTold(): Promise<void> {
    const nowMs = this.#deps.clock.now()
    const held = new Set([...this.#groups.values()].flatMap((group) => [...group.alerts.keys()]))
    const gone = [...this.#alerts.values()].filter(
      ({ fingerprint, isResolved, endsAtMs }) => (isResolved || endsAtMs <= nowMs) && !held.has(fingerprint),
    )
    await this.#deps.state.put(gone.map(({ fingerprint }) => [ALERT_PREFIX + fingerprint, null] as const))
    for (const { fingerprint, updatedAtMs } of gone) {
      if (this.#alerts.get(fingerprint)?.updatedAtMs === updatedAtMs) this.#alerts.delete(fingerprint)
    }
    alertsGauge.set(this.#alerts.size)
  }

  async #stopGroups(): Promise<void> {
    const groups = [...this.#groups.values()]
    this.#groups = new Map()
    await Promise.all(groups.map((group) => group.stop()))
    for (const integration of [...(this.#routing?.integrations.values() ?? [])].flat()) integration.close()
  }
}

/** What is known of an alert with what is told of it now; undefined for the end of what we never saw begin. */
function merge(fingerprint: string, known: StoredAlert | undefined, notice: Notice, nowMs: number): StoredAlert | undefined {
  const { labels, annotations, startsAtMs, endsAtMs, isResolved, generatorUrl } = notice
  if (isResolved && (known === undefined || (known.isResolved && known.endsAtMs >= endsAtMs))) return undefined
  const goesOn = known !== undefined && (!known.isResolved || startsAtMs <= known.endsAtMs)
  return {
    fingerprint,
    labels,
    annotations,
    startsAtMs: goesOn ? Math.min(known.startsAtMs, startsAtMs) : startsAtMs,
    endsAtMs,
    isResolved,
    generatorUrl,
    updatedAtMs: nowMs,
  }
}
