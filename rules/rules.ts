/** All groups: loading, reloading with their state kept, starting, stopping, and the look into them. */
import type { Labels } from '../lib/model/index.ts'
import type { Clock } from '../lib/runtime/clock.ts'
import type { Log } from '../lib/telemetry/index.ts'
import type { AlertRecord } from './alerting-rule.ts'
import type { AppendSamples, RuleQuery, SendNotices } from './evaluation.ts'
import { ALERT_PREFIX, GROUP_PREFIX, RuleGroup } from './group.ts'
import { loadRuleFiles, ruleKey, type ParseExpression } from './rule-file.ts'
import type { StateLog } from './state-log.ts'

export interface RulesDeps {
  readonly clock: Clock
  readonly query: RuleQuery
  readonly parse: ParseExpression
  readonly append: AppendSamples
  readonly state: StateLog
  readonly send: SendNotices
  readonly log: Log
}

export interface RulesConfig {
  /** Paths and patterns. */
  readonly files: readonly string[]
  readonly intervalMs: number
  readonly queryOffsetMs: number
  readonly externalLabels: Labels
  readonly externalUrl: string
}

export class Rules {
  readonly #deps: RulesDeps
  #groups: RuleGroup[] = []
  #settings = ''
  #isStarted = false

  constructor(deps: RulesDeps) {
    this.#deps = deps
  }

  get groups(): readonly RuleGroup[] {
    return this.#groups
  }

  /**
   * Reads and checks the files; the function that is returned goes over to them. A group that is the same goes on untouched, one that
   * changed keeps the state of each rule it still has.
   * Errors: bad_data with every problem; then nothing changed.
   */
  prepare(config: RulesConfig): () => Promise<void> {
    const { clock, query, append, state, send, log, parse } = this.#deps
    const { externalLabels, externalUrl, intervalMs, queryOffsetMs } = config
    const context = { query, externalLabels, externalUrl }
    const next = loadRuleFiles(config.files, parse).map(
      (spec) => new RuleGroup(spec, { clock, context, append, state, send, log, intervalMs, queryOffsetMs }),
    )
    const settings = JSON.stringify([externalLabels, externalUrl, intervalMs, queryOffsetMs])
    return async () => {
      const old = new Map(this.#groups.map((group) => [group.key, group]))
      const isSame = (group: RuleGroup): boolean => settings === this.#settings && old.get(group.key)?.text === group.text
      const groups: RuleGroup[] = []
      for (const group of next) {
        const before = old.get(group.key)
        if (before !== undefined && isSame(group)) groups.push(before)
        else {
          await before?.stop()
          if (before !== undefined) group.adopt(before)
          groups.push(group)
          if (this.#isStarted) group.start()
        }
        old.delete(group.key)
      }
      this.#groups = groups
      this.#settings = settings
      for (const gone of old.values()) {
        await gone.stop()
        await gone.end()
      }
    }
  }

  /** Takes up the state of the process before, lets go what belongs to no rule any longer, and starts the loops. */
  async start(): Promise<void> {
    const records = new Map<string, Map<string, AlertRecord[]>>()
    const lastMs = new Map<string, number>()
    const rules = new Map(this.#groups.map((group) => [group.key, new Set(group.spec.rules.map(ruleKey))]))
    const orphans: string[] = []
    for (const [key, value] of this.#deps.state.entries()) {
      if (key.startsWith(GROUP_PREFIX)) {
        lastMs.set(key.slice(GROUP_PREFIX.length), value as number)
        if (!rules.has(key.slice(GROUP_PREFIX.length))) orphans.push(key)
      }
      if (!key.startsWith(ALERT_PREFIX)) continue
      const [file, name, rule] = JSON.parse(key.slice(ALERT_PREFIX.length)) as [string, string, string]
      const group = `${file};${name}`
      if (rules.get(group)?.has(rule) !== true) {
        orphans.push(key)
        continue
      }
      const byRule = records.get(group) ?? new Map<string, AlertRecord[]>()
      const list = byRule.get(rule) ?? []
      list.push(value as AlertRecord)
      byRule.set(rule, list)
      records.set(group, byRule)
    }
    await this.#deps.state.put(orphans.map((key) => [key, null] as const))
    this.#isStarted = true
    for (const group of this.#groups) {
      const found = records.get(group.key)
      if (found !== undefined) group.restore(found, lastMs.get(group.key) ?? 0)
      group.start()
    }
  }

  /** Ends the loops after the evaluations under way; state stays for the next process. */
  async stop(): Promise<void> {
    this.#isStarted = false
    await Promise.all(this.#groups.map((group) => group.stop()))
  }
}
