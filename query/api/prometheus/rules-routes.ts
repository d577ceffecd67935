/**
 * `rules`, `alerts`, `alertmanagers`: what is evaluated, what fires, and who is told. Source: Prometheus `web/api/v1/api.go`; paging is by
 * `group_limit` and an opaque `group_next_token` that names the last group shown.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { paramsOf } from '../../../lib/http/index.ts'
import { labelsOf, labelsToObject, matchesAll } from '../../../lib/model/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { AlertingRule, type ActiveAlert, type RuleGroup, type RuleStatus } from '../../../rules/index.ts'
import { sendData } from './envelope.ts'
import type { PrometheusApiDeps } from './index.ts'
import { formatValue } from './json.ts'
import { limitParam, selectorsParam } from './params.ts'

const FORWARD_TIMEOUT_MS = 10_000

const RULES_PATHS = new Set(['/api/v1/rules', '/api/v1/alerts', '/api/v1/alertmanagers'])

export function rulesRoutes(app: FastifyInstance, deps: PrometheusApiDeps): void {
  /** Rules are evaluated at one node: the others hand its answers on. */
  app.addHook('preHandler', async (request, reply) => {
    const { rules, rulesNode } = deps
    if (!RULES_PATHS.has(request.routeOptions.url?.replace(/^\/prometheus/, '') ?? '') || rules?.isHere() !== false) return
    const node = rulesNode?.()
    if (node === undefined) throw new SightlineError('unavailable', 'no node evaluates the rules at the moment', { retryAfterMs: 1000 })
    const { status, body } = await node.forward(request.url, request.tenant, FORWARD_TIMEOUT_MS)
    return reply.code(status).type('application/json').send(body)
  })

  app.get('/api/v1/rules', async (request, reply) => {
    const params = paramsOf(request)
    const isWanted = ruleFilter(params)
    const namesOf = (name: string): string[] => [...params.getAll(`${name}[]`), ...params.getAll(name)]
    const [files, names] = [namesOf('file'), namesOf('rule_group')]
    const hidesAlerts = booleanParam(params, 'exclude_alerts')
    const isFiltered = ['rule_name[]', 'rule_name', 'type', 'match[]'].some((name) => (params.get(name) ?? '') !== '')
    const { groups, nextToken } = page(sorted(groupsFor(deps, request.tenant)), params)
    const shown = groups
      .filter(({ spec }) => (files.length === 0 || files.includes(spec.file)) && (names.length === 0 || names.includes(spec.name)))
      .map((group) => writeGroup(group, group.rules.filter(isWanted), hidesAlerts))
      .filter(({ rules }) => rules.length > 0 || !isFiltered)
    return sendData(reply, { groups: shown, ...(nextToken === '' ? {} : { groupNextToken: nextToken }) })
  })

  app.get('/api/v1/alerts', async (request, reply) => {
    const alerts = groupsFor(deps, request.tenant).flatMap(({ rules }) =>
      rules.flatMap(({ rule }) => (rule instanceof AlertingRule ? alertsOf(rule) : [])),
    )
    return sendData(reply, { alerts })
  })

  app.get('/api/v1/alertmanagers', async (_request, reply) =>
    sendData(reply, { activeAlertmanagers: deps.rules?.alertmanagers().map((url) => ({ url })) ?? [], droppedAlertmanagers: [] }),
  )
}

/** Rules run for one tenant; others have none. */
function groupsFor({ rules }: PrometheusApiDeps, tenant: string): readonly RuleGroup[] {
  return rules === undefined || tenant !== rules.tenant ? [] : rules.groups()
}

function sorted(groups: readonly RuleGroup[]): RuleGroup[] {
  return [...groups].sort((a, b) => (a.spec.file === b.spec.file ? order(a.spec.name, b.spec.name) : order(a.spec.file, b.spec.file)))
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function ruleFilter(params: URLSearchParams): (status: RuleStatus) => boolean {
  const type = params.get('type') ?? ''
  if (type !== '' && type !== 'alert' && type !== 'record') throw new SightlineError('bad_data', `not supported value "${type}"`)
  const names = [...params.getAll('rule_name[]'), ...params.getAll('rule_name')]
  const selectors = selectorsParam(params)
  return ({ rule: { spec } }) => {
    if (type !== '' && (type === 'alert') !== (spec.kind === 'alerting')) return false
    if (names.length > 0 && !names.includes(spec.name)) return false
    if (selectors.length === 0) return true
    const labels = labelsOf(
      [...spec.labels].filter(([, { text }]) => !text.includes('{{')).map(([name, { text }]) => [name, text] as const),
    )
    return selectors.some((matchers) => matchesAll(matchers, labels))
  }
}

function booleanParam(params: URLSearchParams, name: string): boolean {
  const text = params.get(name) ?? ''
  if (['', '0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  throw new SightlineError('bad_data', `invalid parameter "${name}": strconv.ParseBool: parsing "${text}": invalid syntax`)
}

function page(groups: readonly RuleGroup[], params: URLSearchParams): { groups: readonly RuleGroup[]; nextToken: string } {
  const limit = limitParam(params, 'group_limit')
  const token = params.get('group_next_token') ?? ''
  if (token !== '' && limit === 0) throw new SightlineError('bad_data', 'group_limit needs to be set if group_next_token is set')
  let from = 0
  if (token !== '') {
    from = groups.findIndex((group) => tokenOf(group) === token) + 1
    if (from === 0) throw new SightlineError('bad_data', `invalid group_next_token '${token}'. were rule groups changed?`)
  }
  const to = limit === 0 ? groups.length : from + limit
  return { groups: groups.slice(from, to), nextToken: to < groups.length ? tokenOf(groups[to - 1]!) : '' }
}

function tokenOf({ spec }: RuleGroup): string {
  return createHash('sha1').update(`${spec.file};${spec.name}`).digest('hex')
}

interface ShownGroup {
  readonly name: string
  readonly file: string
  readonly rules: readonly object[]
  readonly interval: number
  readonly limit: number
  readonly evaluationTime: number
  readonly lastEvaluation: string
}

function writeGroup(group: RuleGroup, rules: readonly RuleStatus[], hidesAlerts: boolean): ShownGroup {
  return {
    name: group.spec.name,
    file: group.spec.file,
    rules: rules.map((status) => writeRule(status, hidesAlerts)),
    interval: group.intervalMs / 1000,
    limit: group.spec.limit,
    evaluationTime: group.durationSeconds,
    lastEvaluation: time(group.lastEvaluationMs),
  }
}

function writeRule({ rule, health, lastError, durationSeconds, lastEvaluationMs }: RuleStatus, hidesAlerts: boolean): object {
  const { name, query, labels, annotations, forMs, keepFiringForMs } = rule.spec
  const texts = (map: typeof labels): object => Object.fromEntries([...map].map(([key, { text }]) => [key, text]))
  const common = {
    labels: texts(labels),
    health,
    ...(lastError === '' ? {} : { lastError }),
    evaluationTime: durationSeconds,
    lastEvaluation: time(lastEvaluationMs),
  }
  if (!(rule instanceof AlertingRule)) return { name, query, ...common, type: 'recording' }
  return {
    state: rule.state,
    name,
    query,
    duration: forMs / 1000,
    keepFiringFor: keepFiringForMs / 1000,
    annotations: texts(annotations),
    alerts: hidesAlerts ? [] : alertsOf(rule),
    ...common,
    type: 'alerting',
  }
}

function alertsOf(rule: AlertingRule): object[] {
  return [...rule.active.values()].filter(({ state }) => state !== 'inactive').map(writeAlert)
}

function writeAlert({ labels, annotations, state, activeAtMs, keepFiringSinceMs, value }: ActiveAlert): object {
  return {
    labels: labelsToObject(labels),
    annotations,
    state,
    activeAt: time(activeAtMs),
    ...(keepFiringSinceMs === 0 ? {} : { keepFiringSince: time(keepFiringSinceMs) }),
    value: writeExponent(value),
  }
}

/** Go's `FormatFloat(v, 'e', -1, 64)`. */
function writeExponent(value: number): string {
  return Number.isFinite(value) ? value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2') : formatValue(value)
}

/** Go's zero time where it never happened. */
function time(ms: number): string {
  return ms === 0 ? '0001-01-01T00:00:00Z' : new Date(ms).toISOString()
}
