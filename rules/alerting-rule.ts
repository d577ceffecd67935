/**
 * One alerting rule: which of its alerts are pending, firing, or resolved lately. Source: Prometheus `rules/alerting.go`; differs in that the state
 * is restored exactly from the state log: a pending alert goes on where it was (time in which we didn't run doesn't count), a firing one goes on
 * firing, and one the expression doesn't give right after a restart is held for two intervals, until scrapes have come in again.
 */
import { labelsOf, labelsToObject, labelsWith, labelsWithout, METRIC_NAME, type Labels } from '../lib/model/index.ts'
import { SightlineError } from '../lib/runtime/errors.ts'
import type { EvaluationContext, Notice, RuleSample } from './evaluation.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { RuleSpec } from './rule-file.ts'
import type { AlertTemplate, TemplateSample } from './template/index.ts'

export type AlertState = 'pending' | 'firing' | 'inactive'

export interface ActiveAlert {
  readonly fingerprint: string
  readonly labels: Labels
  annotations: Readonly<Record<string, string>>
  state: AlertState
  value: number
  activeAtMs: number
  /** 0 = never. */
  firedAtMs: number
  resolvedAtMs: number
  keepFiringSinceMs: number
  lastSentAtMs: number
  /** After a restart: until then it stays as it is, where the expression doesn't give it. */
  heldUntilMs: number
}

/** An alert as it lies in the state log. */
export interface AlertRecord {
  readonly labels: Labels
  readonly annotations: Readonly<Record<string, string>>
  readonly state: AlertState
  readonly activeAtMs: number
  readonly firedAtMs: number
  readonly resolvedAtMs: number
  readonly keepFiringSinceMs: number
}

/** A resolved alert is told again for so long, in case the first word of it was lost. */
export const RESOLVED_RETENTION_MS = 15 * 60_000
/** A pending alert from longer ago than this is not taken up again. */
export const OUTAGE_TOLERANCE_MS = 3_600_000

/** After so many samples (some 5 ms) others have their turn. */
const TURN_SAMPLES = 256

const NAME_ONLY = new Set([METRIC_NAME])

export class AlertingRule {
  readonly spec: RuleSpec
  /** By fingerprint. */
  active = new Map<string, ActiveAlert>()

  constructor(spec: RuleSpec) {
    this.spec = spec
  }

  get state(): AlertState {
    let state: AlertState = 'inactive'
    for (const alert of this.active.values()) {
      if (alert.state === 'firing') return 'firing'
      if (alert.state === 'pending') state = 'pending'
    }
    return state
  }

  /**
   * Moves the alerts on to `timeMs`; returns the samples of `ALERTS` and `ALERTS_FOR_STATE`.
   * Errors: those of the query; bad_data for two alerts of one label set, or more than `limit`. The state is then as before, but for a passed
   * limit, which takes all alerts away.
   */
  async evaluate(context: EvaluationContext, timeMs: number, queryOffsetMs: number, limit: number): Promise<RuleSample[]> {
    const found = await this.#expand(await context.query(this.spec.query, timeMs - queryOffsetMs), context, timeMs - queryOffsetMs)
    for (const [fingerprint, { labels, annotations, value }] of found) {
      const known = this.active.get(fingerprint)
      if (known !== undefined && known.state !== 'inactive') {
        known.value = value
        known.annotations = annotations
        continue
      }
      const blank = { firedAtMs: 0, resolvedAtMs: 0, keepFiringSinceMs: 0, lastSentAtMs: 0, heldUntilMs: 0 }
      this.active.set(fingerprint, { fingerprint, labels, annotations, value, state: 'pending', activeAtMs: timeMs, ...blank })
    }
    const samples: RuleSample[] = []
    let count = 0
    for (const alert of this.active.values()) {
      if (!this.#moveOn(alert, found.has(alert.fingerprint), timeMs)) continue
      count++
      samples.push(alertSample(alert), forStateSample(alert))
    }
    if (limit > 0 && count > limit) {
      this.active.clear()
      throw new SightlineError('bad_data', `exceeded limit of ${limit} with ${count} alerts`)
    }
    return samples
  }

  /** False where the alert is not active (any longer). */
  #moveOn(alert: ActiveAlert, isFound: boolean, timeMs: number): boolean {
    const { forMs, keepFiringForMs } = this.spec
    if (isFound) {
      alert.keepFiringSinceMs = 0
      alert.heldUntilMs = 0
    } else if (alert.state === 'inactive' || timeMs >= alert.heldUntilMs) {
      let isKept = false
      if (alert.state === 'firing' && keepFiringForMs > 0) {
        if (alert.keepFiringSinceMs === 0) alert.keepFiringSinceMs = timeMs
        isKept = timeMs - alert.keepFiringSinceMs < keepFiringForMs
      }
      if (alert.state === 'pending' || (alert.resolvedAtMs > 0 && timeMs - alert.resolvedAtMs > RESOLVED_RETENTION_MS)) {
        this.active.delete(alert.fingerprint)
      }
      if (alert.state !== 'inactive' && !isKept) {
        alert.state = 'inactive'
        alert.resolvedAtMs = timeMs
      }
      if (!isKept) return false
    }
    if (isFound && alert.state === 'pending' && timeMs - alert.activeAtMs >= forMs) {
      alert.state = 'firing'
      alert.firedAtMs = timeMs
    }
    return true
  }

  async #expand(vector: readonly RuleSample[], context: EvaluationContext, timeMs: number): Promise<Map<string, Found>> {
    const found = new Map<string, Found>()
    const externalLabels = mapOf(context.externalLabels)
    const query = async (expression: string): Promise<TemplateSample[]> =>
      (await context.query(expression, timeMs)).map(({ labels, value }) => ({ Labels: mapOf(labels), Value: value }))
    for (const [i, { labels, value }] of vector.entries()) {
      if (i % TURN_SAMPLES === TURN_SAMPLES - 1) await new Promise((resolve) => setImmediate(resolve))
      const data = { labels: mapOf(labels), externalLabels, externalUrl: context.externalUrl, value, nowMs: timeMs }
      const expandAll = async (templates: ReadonlyMap<string, AlertTemplate>): Promise<[string, string][]> => {
        const out: [string, string][] = []
        for (const [name, template] of templates) out.push([name, await template.expand(data, query)])
        return out
      }
      const own = await expandAll(this.spec.labels)
      const all = labelsOf([...mapOf(labelsWithout(labels, NAME_ONLY)), ...own, ['alertname', this.spec.name]])
      const fingerprint = fingerprintOf(all)
      if (found.has(fingerprint)) {
        throw new SightlineError('bad_data', 'vector contains metrics with the same labelset after applying alert labels')
      }
      found.set(fingerprint, { labels: all, annotations: Object.fromEntries(await expandAll(this.spec.annotations)), value })
    }
    return found
  }

  /** What has to be told now: firing alerts every `resendDelayMs`, resolved ones at once and then as often while they are kept. */
  notices(timeMs: number, resendDelayMs: number, intervalMs: number, generatorUrl: string): Notice[] {
    const out: Notice[] = []
    for (const alert of this.active.values()) {
      if (alert.state === 'pending') continue
      const isDue = alert.resolvedAtMs > alert.lastSentAtMs || alert.lastSentAtMs + resendDelayMs <= timeMs
      if (!isDue) continue
      alert.lastSentAtMs = timeMs
      const isResolved = alert.state === 'inactive'
      out.push({
        labels: alert.labels,
        annotations: alert.annotations,
        startsAtMs: alert.firedAtMs,
        endsAtMs: isResolved ? alert.resolvedAtMs : timeMs + 4 * Math.max(resendDelayMs, intervalMs),
        isResolved,
        generatorUrl,
      })
    }
    return out
  }

  /** The notices of `timeMs` did not get through: they are due again. */
  unsent(timeMs: number): void {
    for (const alert of this.active.values()) if (alert.lastSentAtMs === timeMs) alert.lastSentAtMs = 0
  }

  /** Takes up alerts of the process before, last evaluated at `lastMs`. */
  restore(records: readonly AlertRecord[], lastMs: number, nowMs: number, intervalMs: number): void {
    const outageMs = Math.max(0, nowMs - lastMs)
    for (const record of records) {
      const isPending = record.state === 'pending'
      if (isPending && outageMs > OUTAGE_TOLERANCE_MS) continue
      const fingerprint = fingerprintOf(record.labels)
      this.active.set(fingerprint, {
        ...record,
        fingerprint,
        activeAtMs: isPending ? record.activeAtMs + outageMs : record.activeAtMs,
        value: NaN,
        lastSentAtMs: 0,
        heldUntilMs: nowMs + 2 * intervalMs,
      })
    }
  }
}

interface Found {
  readonly labels: Labels
  readonly annotations: Readonly<Record<string, string>>
  readonly value: number
}

export function recordOf({ labels, annotations, state, activeAtMs, firedAtMs, resolvedAtMs, keepFiringSinceMs }: ActiveAlert): AlertRecord {
  return { labels, annotations, state, activeAtMs, firedAtMs, resolvedAtMs, keepFiringSinceMs }
}

function alertSample({ labels, state }: ActiveAlert): RuleSample {
  return { labels: labelsOf({ ...labelsToObject(labels), [METRIC_NAME]: 'ALERTS', alertstate: state }), value: 1 }
}

function forStateSample({ labels, activeAtMs }: ActiveAlert): RuleSample {
  return { labels: labelsWith(labels, METRIC_NAME, 'ALERTS_FOR_STATE'), value: Math.floor(activeAtMs / 1000) }
}

function mapOf(labels: Labels): Map<string, string> {
  return new Map(Object.entries(labelsToObject(labels)))
}
