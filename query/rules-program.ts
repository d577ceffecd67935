/**
 * Rules in the query program: what they ask the engine, where their samples and state go, and who is told. Rules run for the tenant `default`.
 */
import type { Config } from '../lib/config/index.ts'
import type { Journal } from '../lib/journal/index.ts'
import { labelsOf, type Labels } from '../lib/model/index.ts'
import { createRowsAppender } from '../lib/producer/index.ts'
import type { Clock } from '../lib/runtime/clock.ts'
import { SightlineError } from '../lib/runtime/errors.ts'
import type { Log } from '../lib/telemetry/index.ts'
import { Alertmanager, loadAlertmanagerConfig } from '../rules/alertmanager/index.ts'
import {
  createSamplesAppender,
  ExternalAlertmanagers,
  Rules,
  withExternal,
  type RuleGroup,
  type RuleQuery,
  type RuleSample,
} from '../rules/index.ts'
import type { MetricsReader } from './shard/metrics/index.ts'
import { ControlLog, type QueryIngest } from './ingest/index.ts'
import { parseExpr, printExpr, type Engine, type QueryResult } from './promql/index.ts'

export interface RulesOptions {
  readonly engine: Engine
  readonly readerOf: (tenant: string) => Pick<MetricsReader, 'queryable' | 'notes'>
  /** Resolves once what was appended so far is readable on every node. Errors: unavailable, where it took too long or a node is missing. */
  readonly caughtUp: () => Promise<void>
  readonly ingest: QueryIngest
  readonly journal: Journal
  readonly clock: Clock
  readonly log: Log
}

/** What the API shows. */
export interface RulesView {
  /** The tenant whose rules these are. */
  readonly tenant: string
  /** False: another node evaluates them. */
  readonly isHere: () => boolean
  groups(): readonly RuleGroup[]
  /** Addresses of the external Alertmanagers that are told. */
  alertmanagers(): readonly string[]
}

export interface RulesProgram {
  readonly view: RulesView
  /**
   * Reads and checks everything that `config` names; the function it returns goes over to it.
   * Errors: bad_data with every problem; then nothing changed.
   */
  prepare(config: Config, externalUrl: string): () => Promise<void>
  /** This node evaluates from now on: takes up the state of whoever did before. */
  start(): Promise<void>
  /** Ends the evaluations and notifications under way; their state is with the journal. */
  stop(): Promise<void>
}

const TENANT = 'default'

/** Everything that one term of evaluating holds; the next begins with what the journal says. */
class Term {
  readonly rules: Rules
  readonly #alertmanager: Alertmanager
  readonly #external: ExternalAlertmanagers
  readonly #state: ControlLog
  readonly #ingest: QueryIngest
  #externalLabels: Labels = []

  constructor({ engine, readerOf, caughtUp, ingest, journal, clock, log }: RulesOptions) {
    this.#ingest = ingest
    this.#state = new ControlLog({ journal, compacted: (offset) => ingest.controlCompacted(offset) })
    this.#alertmanager = new Alertmanager({ clock, log, state: this.#state, random: Math.random })
    this.#external = new ExternalAlertmanagers(log)
    const query: RuleQuery = async (expression, timeMs, signal) => {
      await unlessAborted(caughtUp(), signal)
      const { queryable, notes } = readerOf(TENANT)
      const result = await engine.instant(queryable, expression, timeMs, signal === undefined ? {} : { signal })
      // What is missing must not look like what is over: the rule fails, and its alerts stay as they are.
      const [incomplete] = notes.warnings()
      if (incomplete !== undefined) throw new SightlineError('unavailable', incomplete)
      return samplesOf(result)
    }
    this.rules = new Rules({
      clock,
      query,
      parse: parseRuleExpression,
      append: createSamplesAppender(createRowsAppender(ingest, clock), TENANT, () => this.#externalLabels),
      state: this.#state,
      send: async (notices) => {
        this.#external.send(notices)
        await this.#alertmanager.put(notices.map((notice) => ({ ...notice, labels: withExternal(notice.labels, this.#externalLabels) })))
      },
      log,
    })
  }

  get alertmanagers(): readonly string[] {
    return this.#external.urls
  }

  /** As `RulesProgram.prepare`. */
  prepare(config: Config, externalUrl: string): () => Promise<void> {
    const labels = externalLabelsOf(config)
    const routing = loadAlertmanagerConfig(config.alertmanager)
    const applyExternal = this.#external.prepare(config.alerting, labels)
    const apply = this.rules.prepare({
      files: config.rule_files,
      intervalMs: config.global.evaluation_interval,
      queryOffsetMs: config.global.rule_query_offset,
      externalLabels: labels,
      externalUrl,
    })
    return async () => {
      this.#externalLabels = labels
      applyExternal()
      await this.#alertmanager.apply(routing, externalUrl)
      await apply()
    }
  }

  async start(): Promise<void> {
    this.#state.load(await this.#ingest.takeControls())
    await this.#alertmanager.start()
    await this.rules.start()
  }

  async stop(): Promise<void> {
    await this.rules.stop()
    await this.#alertmanager.stop()
    await this.#external.stop()
  }
}

export function buildRules(options: RulesOptions): RulesProgram {
  let term: Term | undefined
  /** What the next term begins with. */
  let applied: { config: Config; externalUrl: string } | undefined
  return {
    view: {
      tenant: TENANT,
      isHere: () => term !== undefined,
      groups: () => term?.rules.groups ?? [],
      alertmanagers: () => term?.alertmanagers ?? [],
    },
    prepare(config, externalUrl) {
      // Where another node evaluates, the files are checked all the same.
      const apply = (term ?? new Term(options)).prepare(config, externalUrl)
      const prepared = term
      return async () => {
        applied = { config, externalUrl }
        if (prepared !== undefined && prepared === term) await apply()
      }
    },
    async start() {
      if (term !== undefined || applied === undefined) return
      const next = new Term(options)
      await next.prepare(applied.config, applied.externalUrl)()
      term = next
      await next.start()
    },
    async stop() {
      const last = term
      term = undefined
      await last?.stop()
    },
  }
}

/** What is waited for by others, too, goes on; who stops needn't wait for it. Errors: canceled. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(new SightlineError('canceled', 'the evaluation was stopped'))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Checks a rule's expression and gives its canonical text. Errors: bad_data with the parser's text. */
export function parseRuleExpression(expression: string): string {
  return printExpr(parseExpr(expression))
}

function externalLabelsOf(config: Config): Labels {
  return labelsOf({ ...(config.cluster === undefined ? {} : { cluster: config.cluster }), ...config.global.external_labels })
}

/** Errors: bad_data where the result is no vector and no scalar. */
function samplesOf(result: QueryResult): RuleSample[] {
  if (result.type === 'scalar') return [{ labels: [], value: result.values[0]! }]
  if (result.type !== 'vector') throw new SightlineError('bad_data', 'rule result is not a vector or scalar')
  return result.series
    .filter(({ present }) => present[0] === 1)
    .map(({ labels, values, histograms }) => {
      const histogram = histograms?.[0]
      return histogram === undefined ? { labels, value: values[0]! } : { labels, value: 0, histogram }
    })
}
