/**
 * External Alertmanagers (`alerting.alertmanagers`): every notice is posted to all of them. Source: Prometheus `notifier/`; a set of Alertmanagers
 * is one that is a cluster of its own; discovery is static.
 */
import type { AlertmanagersConfig, Config } from '../lib/config/index.ts'
import { createHttpClient, type HttpClient } from '../lib/http/index.ts'
import { hasLabel, labelsOf, labelsToObject, labelsWith, type Labels } from '../lib/model/index.ts'
import { createRelabeler, type Relabeler } from '../lib/relabel/index.ts'
import { messageOf, SightlineError } from '../lib/runtime/errors.ts'
import { counter, type Log } from '../lib/telemetry/index.ts'
import type { Notice } from './evaluation.ts'

const sent = counter('sightline_external_alerts_total', 'Alerts posted to external Alertmanagers, by how it ended.', ['result'])
const dropped = counter(
  'sightline_external_alerts_dropped_total',
  'Alerts that no external Alertmanager took, or for which the queue had no room.',
  ['reason'],
)

const BATCH_MAX = 64
/** The oldest notices go first where it is full; firing ones are told again a minute later. */
const QUEUE_MAX = 10_000
const ANSWER_BYTES_MAX = 64 * 1024

interface Target {
  readonly url: string
  readonly client: HttpClient
  readonly timeoutMs: number
  readonly relabeler: Relabeler
}

export class ExternalAlertmanagers {
  readonly #log: Log
  #targets: readonly Target[] = []
  #relabeler: Relabeler = createRelabeler([])
  #externalLabels: Labels = []
  #queue: Notice[] = []
  #running: Promise<void> | undefined

  constructor(log: Log) {
    this.#log = log
  }

  get urls(): readonly string[] {
    return this.#targets.map(({ url }) => url)
  }

  /** Errors: bad_data for a relabeling or an address that is none; nothing changes before the function that is returned is called. */
  prepare(alerting: Config['alerting'], externalLabels: Labels): () => void {
    const targets = alerting.alertmanagers.flatMap(targetsOf)
    const relabeler = createRelabeler(alerting.alert_relabel_configs)
    return () => {
      for (const { client } of this.#targets) client.close()
      this.#targets = targets
      this.#relabeler = relabeler
      this.#externalLabels = externalLabels
    }
  }

  /** Takes notices into the queue; they are posted in the background. */
  send(notices: readonly Notice[]): void {
    if (this.#targets.length === 0) return
    this.#queue.push(...notices)
    const over = this.#queue.length - QUEUE_MAX
    if (over > 0) {
      this.#queue.splice(0, over)
      dropped.inc({ reason: 'queue_full' }, over)
    }
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined
    })
  }

  /** Posts what is queued and ends. */
  async stop(): Promise<void> {
    await this.#running
    for (const { client } of this.#targets) client.close()
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH_MAX)
      const relabeled = batch.flatMap((notice) =>
        withLabels(notice, this.#relabeler.apply(withExternal(notice.labels, this.#externalLabels))),
      )
      const results = await Promise.all(this.#targets.map((target) => this.#post(target, relabeled)))
      if (!results.includes(true)) dropped.inc({ reason: 'no_alertmanager' }, relabeled.length)
    }
  }

  async #post({ url, client, timeoutMs, relabeler }: Target, notices: readonly Notice[]): Promise<boolean> {
    const own = notices.flatMap((notice) => withLabels(notice, relabeler.apply(notice.labels)))
    if (own.length === 0) return true
    try {
      const body = JSON.stringify(own.map(writeAlert))
      const headers = { 'content-type': 'application/json' }
      const { status } = await client.request(url, { method: 'POST', headers, body, timeoutMs, bodyBytesMax: ANSWER_BYTES_MAX })
      if (status < 200 || status > 299) throw new SightlineError('unavailable', `bad response status ${status}`)
      sent.inc({ result: 'success' }, own.length)
      return true
    } catch (error) {
      sent.inc({ result: 'failed' }, own.length)
      this.#log.warn({ alertmanager: url, count: own.length, error: messageOf(error) }, 'an Alertmanager did not take alerts')
      return false
    }
  }
}

function targetsOf(config: AlertmanagersConfig): Target[] {
  const relabelTarget = createRelabeler(config.relabel_configs)
  const client = createHttpClient(config)
  const relabeler = createRelabeler(config.alert_relabel_configs)
  return config.static_configs.flatMap(({ targets, labels }) =>
    targets.flatMap((address) => {
      const prefix = `/${config.path_prefix}/api/${config.api_version}/alerts`.replaceAll(/\/+/g, '/')
      const discovered = labelsOf({ ...labels, __address__: address, __scheme__: config.scheme, __alerts_path__: prefix })
      const kept = relabelTarget.apply(discovered)
      if (kept === undefined) return []
      const of = labelsToObject(kept)
      const url = `${of['__scheme__']}://${of['__address__']}${of['__alerts_path__']}`
      if (!URL.canParse(url)) throw new SightlineError('bad_data', `alerting.alertmanagers: not an address: ${address}`)
      return [{ url, client, timeoutMs: config.timeout, relabeler }]
    }),
  )
}

function withLabels(notice: Notice, labels: Labels | undefined): Notice[] {
  return labels === undefined ? [] : [{ ...notice, labels }]
}

/** External labels go where an alert has none of that name. */
export function withExternal(labels: Labels, external: Labels): Labels {
  let out = labels
  for (let i = 0; i < external.length; i += 2) if (!hasLabel(out, external[i]!)) out = labelsWith(out, external[i]!, external[i + 1]!)
  return out
}

function writeAlert({ labels, annotations, startsAtMs, endsAtMs, generatorUrl }: Notice): object {
  return {
    labels: labelsToObject(labels),
    annotations,
    startsAt: new Date(startsAtMs).toISOString(),
    endsAt: new Date(endsAtMs).toISOString(),
    generatorURL: generatorUrl,
  }
}
