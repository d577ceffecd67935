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
import { ControlLog, type Ingest } from './ingest/index.ts'
import { parseExpr, printExpr, type Engine, type MetricsQueryable, type QueryResult } from './promql/index.ts'

export interface RulesOptions {
  readonly engine: Engine
  readonly queryable: MetricsQueryable
  readonly ingest: Ingest
  readonly journal: Journal
  readonly clock: Clock
  readonly log: Log
}

/** What the API shows. */
export interface RulesView {
  /** The tenant whose rules these are. */
  readonly tenant: string
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
  /** Takes up the state of the process before; after the replay. */
  start(): Promise<void>
  stop(): Promise<void>
}

const TENANT = 'default'

export function buildRules({ engine, queryable, ingest, journal, clock, log }: RulesOptions): RulesProgram {
  let externalLabels: Labels = []
  const state = new ControlLog({ journal, compacted: (offset) => ingest.controlCompacted(offset) })
  const query: RuleQuery = async (expression, timeMs, signal) =>
    samplesOf(await engine.instant(queryable, expression, timeMs, signal === undefined ? {} : { signal }))
  const alertmanager = new Alertmanager({ clock, log, state, random: Math.random })
  const external = new ExternalAlertmanagers(log)
  const rules = new Rules({
    clock,
    query,
    parse: parseRuleExpression,
    append: createSamplesAppender(createRowsAppender(ingest, clock), TENANT, () => externalLabels),
    state,
    async send(notices) {
      external.send(notices)
      await alertmanager.put(notices.map((notice) => ({ ...notice, labels: withExternal(notice.labels, externalLabels) })))
    },
    log,
  })
  return {
    view: { tenant: TENANT, groups: () => rules.groups, alertmanagers: () => external.urls },
    prepare(config, externalUrl) {
      const labels = externalLabelsOf(config)
      const routing = loadAlertmanagerConfig(config.alertmanager)
      const applyExternal = external.prepare(config.alerting, labels)
      const apply = rules.prepare({
        files: config.rule_files,
        intervalMs: config.global.evaluation_interval,
        queryOffsetMs: config.global.rule_query_offset,
        externalLabels: labels,
        externalUrl,
      })
      return async () => {
        externalLabels = labels
        applyExternal()
        await alertmanager.apply(routing, externalUrl)
        await apply()
      }
    },
    async start() {
      state.load(ingest.takeControls())
      await alertmanager.start()
      await rules.start()
    },
    async stop() {
      await rules.stop()
      await alertmanager.stop()
      await external.stop()
    },
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
