/**
 * One rule group: its rules in order, each evaluated after the samples of those before it are readable, all at one instant of the group's
 * interval. Source: Prometheus `rules/group.go`; differs in that alert state goes to the state log as it changes, before anybody is told.
 */
import { hashText, labelsKey, type Labels } from '../lib/model/index.ts'
import type { Clock } from '../lib/runtime/clock.ts'
import { messageOf } from '../lib/runtime/errors.ts'
import { counter, histogram, type Log } from '../lib/telemetry/index.ts'
import { AlertingRule, recordOf, type AlertRecord } from './alerting-rule.ts'
import type { AppendSamples, EvaluationContext, RuleSample, SendNotices } from './evaluation.ts'
import { RecordingRule } from './recording-rule.ts'
import { groupText, ruleKey, type GroupSpec } from './rule-file.ts'
import type { StateLog } from './state-log.ts'

const evaluations = counter('sightline_rule_evaluations_total', 'Rules evaluated.')
const failures = counter('sightline_rule_evaluations_failures_total', 'Rules whose query, samples or state failed.')
const missed = counter(
  'sightline_rule_group_iterations_missed_total',
  'Instants of groups that passed while the one before was still evaluated.',
)
const durations = histogram(
  'sightline_rule_group_duration_seconds',
  'Time one evaluation of a group took.',
  [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60],
)

/** Firing alerts are told again so often. */
export const RESEND_DELAY_MS = 60_000
/** Told at once; then others have their turn. */
const NOTICES_MAX = 512
/** So often the state log hears that a group still runs: a pending alert loses at most that much of its `for` over a restart. */
const HEARTBEAT_MS = 30_000

export interface GroupDeps {
  readonly clock: Clock
  readonly context: EvaluationContext
  readonly append: AppendSamples
  readonly state: StateLog
  readonly send: SendNotices
  readonly log: Log
  readonly intervalMs: number
  readonly queryOffsetMs: number
}

export interface RuleStatus {
  readonly rule: AlertingRule | RecordingRule
  health: 'unknown' | 'ok' | 'err'
  lastError: string
  lastEvaluationMs: number
  durationSeconds: number
}

interface RuleRun extends RuleStatus {
  /** The series its last evaluation gave, by key. */
  series: ReadonlyMap<string, Labels>
  /** By fingerprint, as they lie in the state log. */
  recorded: Map<string, string>
}

export class RuleGroup {
  readonly spec: GroupSpec
  readonly text: string
  readonly intervalMs: number
  readonly deps: GroupDeps
  lastEvaluationMs = 0
  durationSeconds = 0
  readonly #runs: readonly RuleRun[]
  readonly #queryOffsetMs: number
  readonly #context: EvaluationContext
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #heartbeatMs = 0
  /** Series of rules that a reload took out of this group. */
  #left: Labels[] = []
  /** Their alerts in the state log. */
  #leftKeys: string[] = []

  constructor(spec: GroupSpec, deps: GroupDeps) {
    this.spec = spec
    this.deps = deps
    this.intervalMs = spec.intervalMs ?? deps.intervalMs
    this.#queryOffsetMs = spec.queryOffsetMs ?? deps.queryOffsetMs
    this.text = groupText(spec)
    // A query under way ends with the group: a drain doesn't wait for it.
    this.#context = { ...deps.context, query: (expression, timeMs) => deps.context.query(expression, timeMs, this.#stop.signal) }
    this.#runs = spec.rules.map((rule) => ({
      rule: rule.kind === 'alerting' ? new AlertingRule(rule) : new RecordingRule(rule),
      health: 'unknown',
      lastError: '',
      lastEvaluationMs: 0,
      durationSeconds: 0,
      series: new Map(),
      recorded: new Map(),
    }))
  }

  get rules(): readonly RuleStatus[] {
    return this.#runs
  }

  get key(): string {
    return `${this.spec.file};${this.spec.name}`
  }

  /** Takes over what the group of this name knew before a reload, rule by rule. */
  adopt(old: RuleGroup): void {
    const left = new Set(old.#runs)
    for (const run of this.#runs) {
      const same = old.#runs.find((other) => left.has(other) && ruleKey(other.rule.spec) === ruleKey(run.rule.spec))
      if (same === undefined) continue
      left.delete(same)
      Object.assign(run, { ...same, rule: run.rule })
      if (run.rule instanceof AlertingRule && same.rule instanceof AlertingRule) run.rule.active = same.rule.active
    }
    this.lastEvaluationMs = old.lastEvaluationMs
    this.durationSeconds = old.durationSeconds
    this.#left = [...left].flatMap((run) => [...run.series.values()])
    this.#leftKeys = [...left].flatMap((run) => [...run.recorded.keys()].map((fingerprint) => this.#alertKey(run, fingerprint)))
  }

  /** Takes over alerts of the process before. */
  restore(records: ReadonlyMap<string, readonly AlertRecord[]>, lastMs: number): void {
    for (const run of this.#runs) {
      const found = run.rule instanceof AlertingRule ? records.get(ruleKey(run.rule.spec)) : undefined
      if (found === undefined || !(run.rule instanceof AlertingRule)) continue
      run.rule.restore(found, lastMs, this.deps.clock.now(), this.intervalMs)
      for (const alert of run.rule.active.values()) run.recorded.set(alert.fingerprint, '')
    }
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Waits for the evaluation under way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** Ends the series and alerts of a group that was taken away. */
  async end(): Promise<void> {
    const timeMs = this.deps.clock.now()
    const series = [...this.#left, ...this.#runs.flatMap((run) => [...run.series.values()])]
    if (series.length > 0) await this.deps.append([], series, timeMs)
    const gone = this.#runs.flatMap((run) =>
      [...run.recorded.keys()].map((fingerprint) => [this.#alertKey(run, fingerprint), null] as const),
    )
    await this.deps.state.put([...gone, [this.#groupKey(), null]])
  }

  async #run(): Promise<void> {
    const { clock, log } = this.deps
    const { signal } = this.#stop
    let plannedMs = this.nextInstant(clock.now())
    while (!signal.aborted) {
      await clock.sleep(plannedMs - clock.now(), signal)
      if (signal.aborted) return
      try {
        await this.evaluate(plannedMs)
      } catch (error) {
        log.error({ group: this.key, error: messageOf(error) }, 'a rule group failed')
      }
      const nextMs = this.nextInstant(clock.now())
      const passed = (nextMs - plannedMs) / this.intervalMs - 1
      if (passed > 0) missed.inc(passed)
      plannedMs = nextMs
    }
  }

  /** The first instant after `nowMs` on the group's own phase of the interval, the same after every restart. */
  nextInstant(nowMs: number): number {
    const phaseMs = hashText(this.spec.file, this.spec.name) % this.intervalMs
    return Math.floor((nowMs - phaseMs) / this.intervalMs) * this.intervalMs + phaseMs + this.intervalMs
  }

  /** All rules at `timeMs`, one after another. A rule that fails doesn't hold up the next. */
  async evaluate(timeMs: number): Promise<void> {
    const started = performance.now()
    if (this.#left.length > 0) await this.deps.append([], this.#left.splice(0), timeMs - this.#queryOffsetMs)
    if (this.#leftKeys.length > 0) await this.deps.state.put(this.#leftKeys.splice(0).map((key) => [key, null] as const))
    for (const run of this.#runs) {
      if (this.#stop.signal.aborted) return
      await this.#evaluateRule(run, timeMs)
    }
    this.lastEvaluationMs = timeMs
    this.durationSeconds = (performance.now() - started) / 1000
    durations.observe(this.durationSeconds)
  }

  async #evaluateRule(run: RuleRun, timeMs: number): Promise<void> {
    const { rule } = run
    const started = performance.now()
    evaluations.inc()
    const problems: string[] = []
    try {
      const samples = await rule.evaluate(this.#context, timeMs, this.#queryOffsetMs, this.spec.limit)
      await this.#appendSamples(run, samples, timeMs - this.#queryOffsetMs)
    } catch (error) {
      problems.push(messageOf(error))
    }
    try {
      if (rule instanceof AlertingRule) await this.#tell(run, rule, timeMs)
    } catch (error) {
      problems.push(messageOf(error))
    }
    if (problems.length > 0) {
      failures.inc()
      this.deps.log.warn({ group: this.key, rule: rule.spec.name, error: problems.join('; ') }, 'evaluating a rule failed')
    }
    run.health = problems.length > 0 ? 'err' : 'ok'
    run.lastError = problems.join('; ')
    run.lastEvaluationMs = timeMs
    run.durationSeconds = (performance.now() - started) / 1000
  }

  async #appendSamples(run: RuleRun, samples: readonly RuleSample[], timeMs: number): Promise<void> {
    const series = new Map(samples.map(({ labels }) => [labelsKey(labels), labels]))
    const stale = [...run.series].filter(([key]) => !series.has(key)).map(([, labels]) => labels)
    if (samples.length + stale.length > 0) await this.deps.append(samples, stale, timeMs)
    run.series = series
  }

  /** State first, then word of it: after a kill in between, the alert is told again by the next process. */
  async #tell(run: RuleRun, rule: AlertingRule, timeMs: number): Promise<void> {
    const changes: [string, unknown][] = []
    const recorded = new Map<string, string>()
    for (const alert of rule.active.values()) {
      const { state, activeAtMs, firedAtMs, resolvedAtMs, keepFiringSinceMs } = alert
      const text = `${state} ${activeAtMs} ${firedAtMs} ${resolvedAtMs} ${keepFiringSinceMs}`
      recorded.set(alert.fingerprint, text)
      if (run.recorded.get(alert.fingerprint) !== text) changes.push([this.#alertKey(run, alert.fingerprint), recordOf(alert)])
    }
    for (const fingerprint of run.recorded.keys()) if (!recorded.has(fingerprint)) changes.push([this.#alertKey(run, fingerprint), null])
    if (changes.length > 0 || (recorded.size > 0 && timeMs - this.#heartbeatMs >= HEARTBEAT_MS)) {
      await this.deps.state.put([...changes, [this.#groupKey(), timeMs]])
      this.#heartbeatMs = timeMs
    }
    run.recorded = recorded
    const { externalUrl } = this.deps.context
    const link = `${externalUrl.replace(/\/$/, '')}/graph?g0.expr=${encodeURIComponent(rule.spec.query).replaceAll('%20', '+')}&g0.tab=1`
    const notices = rule.notices(timeMs, RESEND_DELAY_MS, this.intervalMs, link)
    if (notices.length === 0) return
    try {
      for (let at = 0; at < notices.length; at += NOTICES_MAX) {
        if (at > 0) await new Promise((resolve) => setImmediate(resolve))
        await this.deps.send(notices.slice(at, at + NOTICES_MAX))
      }
    } catch (error) {
      rule.unsent(timeMs)
      throw error
    }
  }

  #alertKey(run: RuleRun, fingerprint: string): string {
    return `${ALERT_PREFIX}${JSON.stringify([this.spec.file, this.spec.name, ruleKey(run.rule.spec), fingerprint])}`
  }

  #groupKey(): string {
    return `${GROUP_PREFIX}${this.key}`
  }
}

export const ALERT_PREFIX = 'rules/alert/'
export const GROUP_PREFIX = 'rules/group/'
