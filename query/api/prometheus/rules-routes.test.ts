import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { labelsOf } from '../../../lib/model/index.ts'
import { FakeClock } from '../../../lib/runtime/clock.ts'
import { createLog } from '../../../lib/telemetry/index.ts'
import { MemoryStateLog, Rules } from '../../../rules/index.ts'
import { useErrorEnvelope } from './envelope.ts'
import type { PrometheusApiDeps } from './index.ts'
import { rulesRoutes } from './rules-routes.ts'

const FILE = `
groups:
  - name: b
    interval: 1s
    rules:
      - { alert: Bad, expr: 'up == 0', for: 2s, labels: { severity: page }, annotations: { summary: 'v {{ $value }}' } }
      - { record: 'a:b', expr: up, labels: { team: x } }
  - name: a
    interval: 1s
    rules: [{ record: 'c:d', expr: up }]
`

let folder: string
let app: FastifyInstance
let rules: Rules

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rules-routes-'))
  writeFileSync(join(folder, 'r.yml'), FILE)
  const clock = new FakeClock(1_700_000_000_000)
  rules = new Rules({
    clock,
    log: createLog('silent'),
    parse: (text) => text,
    query: () => Promise.resolve([{ labels: labelsOf({ job: 'x' }), value: 0 }]),
    append: () => Promise.resolve(),
    state: new MemoryStateLog(),
    send: () => Promise.resolve(),
  })
  const config = { files: [join(folder, '*.yml')], intervalMs: 1000, queryOffsetMs: 0, externalLabels: [], externalUrl: '' }
  await rules.prepare(config)()
  await rules.start()
  await clock.advance(5000)
  app = fastify()
  app.decorateRequest('tenant', '')
  app.addHook('onRequest', async (request) => {
    request.tenant = (request.headers['x-scope-orgid'] as string | undefined) ?? 'default'
  })
  useErrorEnvelope(app, () => {})
  const view = { tenant: 'default', isHere: () => true, groups: () => rules.groups, alertmanagers: () => ['http://am/api/v2/alerts'] }
  rulesRoutes(app, { rules: view } as unknown as PrometheusApiDeps)
})

afterEach(async () => {
  await rules.stop()
  await app.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Shown {
  readonly status: string
  readonly data: { groups: { name: string; rules: { name: string; alerts?: object[] }[] }[]; groupNextToken?: string }
}

async function get(query: string, headers: Record<string, string> = {}): Promise<Shown> {
  return (await app.inject({ url: `/api/v1/${query}`, headers })).json<Shown>()
}

const names = ({ data }: Shown): string[] => data.groups.flatMap((group) => group.rules.map((rule) => `${group.name}/${rule.name}`))

test('groups by file and name, with what Grafana decodes', async () => {
  const answer = await get('rules')
  expect(names(answer)).toEqual(['a/c:d', 'b/Bad', 'b/a:b'])
  expect(answer.data.groups[1]).toMatchObject({
    name: 'b',
    file: join(folder, 'r.yml'),
    interval: 1,
    limit: 0,
    lastEvaluation: expect.stringMatching(/^2023-11-14T22:13:2\d/) as string,
    rules: [
      {
        type: 'alerting',
        state: 'firing',
        health: 'ok',
        query: 'up == 0',
        duration: 2,
        keepFiringFor: 0,
        labels: { severity: 'page' },
        annotations: { summary: 'v {{ $value }}' },
        alerts: [
          { state: 'firing', value: '0e+00', labels: { alertname: 'Bad', job: 'x', severity: 'page' }, annotations: { summary: 'v 0' } },
        ],
      },
      { type: 'recording', name: 'a:b', labels: { team: 'x' }, query: 'up' },
    ],
  })
})

test('filters by type, name, group, file, labels; alerts may be left out', async () => {
  expect(names(await get('rules?type=alert'))).toEqual(['b/Bad'])
  expect(names(await get('rules?type=record&rule_group[]=b'))).toEqual(['b/a:b'])
  expect(names(await get('rules?rule_name[]=c:d&rule_name[]=a:b'))).toEqual(['a/c:d', 'b/a:b'])
  expect(names(await get('rules?file[]=/none'))).toEqual([])
  expect(names(await get(`rules?match[]=${encodeURIComponent('{team="x"}')}`))).toEqual(['b/a:b'])
  expect((await get('rules?type=alert&exclude_alerts=true')).data.groups[0]!.rules[0]!.alerts).toEqual([])
  expect(names(await get('rules', { 'x-scope-orgid': 'other' }))).toEqual([])
  expect((await app.inject('/api/v1/rules?type=x')).json()).toEqual({
    status: 'error',
    errorType: 'bad_data',
    error: 'not supported value "x"',
  })
})

test('pages of groups', async () => {
  const first = await get('rules?group_limit=1')
  expect(names(first)).toEqual(['a/c:d'])
  const second = await get(`rules?group_limit=1&group_next_token=${first.data.groupNextToken}`)
  expect(names(second)).toEqual(['b/Bad', 'b/a:b'])
  expect(second.data.groupNextToken).toBeUndefined()
  expect((await app.inject('/api/v1/rules?group_limit=1&group_next_token=x')).statusCode).toBe(400)
})

test('alerts and alertmanagers', async () => {
  const alerts = (await app.inject('/api/v1/alerts')).json<{ data: { alerts: object[] } }>()
  expect(alerts.data.alerts).toMatchObject([{ state: 'firing', activeAt: expect.stringMatching(/Z$/) as string }])
  expect((await app.inject('/api/v1/alertmanagers')).json()).toEqual({
    status: 'success',
    data: { activeAlertmanagers: [{ url: 'http://am/api/v2/alerts' }], droppedAlertmanagers: [] },
  })
})
