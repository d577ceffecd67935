import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { labelsOf, labelsToObject } from '../../lib/model/index.ts'
import { FakeClock } from '../../lib/runtime/clock.ts'
import { createHttpClient } from '../../lib/http/index.ts'
import { messageOf } from '../../lib/runtime/errors.ts'
import { createLog } from '../../lib/telemetry/index.ts'
import { MemoryStateLog, type Notice, type StateLog } from '../index.ts'
import { backoffMs, needsWord } from './delivery.ts'
import { Alertmanager, parseAlertmanagerConfig } from './index.ts'
import { buildRoute, routesFor } from './route.ts'
import { parseMatcher } from './matchers.ts'
import { slackIntegration } from './notify/slack.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const START = 1_700_000_000_000
const log = createLog('silent')
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

interface Received {
  readonly path: string
  readonly atMs: number
  readonly body: Record<string, unknown>
}

/** A real server; `statusOf` is asked for each request, 0 = it never answers. */
async function receiverOf(clock: FakeClock, statusOf: (path: string, count: number) => number = () => 200) {
  const received: Received[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      received.push({ path: request.url!, atMs: clock.now() - START, body: JSON.parse(text) as Received['body'] })
      const status = statusOf(request.url!, received.length)
      if (status > 0) response.writeHead(status).end('answer')
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Moves the clock in small steps and lets real requests come and go in between. */
async function advance(clock: FakeClock, ms: number, stepMs = 5 * SECOND): Promise<void> {
  for (let at = 0; at < ms; at += stepMs) {
    await clock.advance(Math.min(stepMs, ms - at))
    await new Promise((resolve) => setTimeout(resolve, 8))
  }
}

function notice(name: string, clock: FakeClock, isResolved = false, extra: Record<string, string> = {}): Notice {
  return {
    labels: labelsOf({ alertname: name, ...extra }),
    annotations: { summary: `${name} is bad` },
    startsAtMs: START,
    endsAtMs: isResolved ? clock.now() : clock.now() + 100 * HOUR,
    isResolved,
    generatorUrl: 'http://x/graph',
  }
}

const CONFIG = (url: string, extra: object = {}): object => ({
  route: { receiver: 'team', group_by: ['alertname'], group_wait: '30s', group_interval: '5m', repeat_interval: '4h', ...extra },
  receivers: [{ name: 'team', webhook_configs: [{ url: `${url}/hook` }] }],
})

async function managerOf(clock: FakeClock, config: object, state: StateLog = new MemoryStateLog()): Promise<Alertmanager> {
  const manager = new Alertmanager({ clock, log, state, random: () => 0 })
  await manager.apply(parseAlertmanagerConfig(config, 'test', '.'), 'http://am')
  await manager.start()
  return manager
}

describe('timelines', () => {
  test('group_wait, then group_interval for what is new, repeat_interval for what is not, and the end once', async () => {
    const clock = new FakeClock(START)
    const { received, url } = await receiverOf(clock)
    const manager = await managerOf(clock, CONFIG(url))
    await manager.put([notice('A', clock, false, { i: '1' })])
    await advance(clock, 25 * SECOND)
    expect(received).toEqual([])
    await advance(clock, 10 * SECOND)
    expect(received.map(({ atMs }) => atMs)).toEqual([30 * SECOND])
    await manager.put([notice('A', clock, false, { i: '2' })])
    await advance(clock, 5 * MINUTE)
    expect(received.map(({ body }) => (body['alerts'] as unknown[]).length)).toEqual([1, 2])
    await advance(clock, 4 * HOUR + 10 * MINUTE, 5 * MINUTE)
    expect(received).toHaveLength(3)
    await manager.put([notice('A', clock, true, { i: '1' }), notice('A', clock, true, { i: '2' })])
    await advance(clock, HOUR, MINUTE)
    expect(received.map(({ body }) => body['status'])).toEqual(['firing', 'firing', 'firing', 'resolved'])
    await manager.stop()
  })

  test('what ends before it was ever told is not told', async () => {
    const clock = new FakeClock(START)
    const { received, url } = await receiverOf(clock)
    const manager = await managerOf(clock, CONFIG(url))
    await manager.put([notice('A', clock)])
    await advance(clock, 10 * SECOND)
    await manager.put([notice('A', clock, true)])
    await advance(clock, 10 * MINUTE, MINUTE)
    expect(received).toEqual([])
    await manager.stop()
  })

  test('failing answers are tried again with growing waits, a refusal is not', async () => {
    const clock = new FakeClock(START)
    const { received, url } = await receiverOf(clock, (path, count) => (path === '/refuses' ? 404 : count < 4 ? 500 : 200))
    const config = CONFIG(url) as { receivers: { webhook_configs: object[] }[] }
    const manager = await managerOf(clock, config)
    await manager.put([notice('A', clock)])
    await advance(clock, MINUTE, 250)
    expect(received.map(({ atMs }) => atMs - received[0]!.atMs)).toEqual([0, 250, 750, 1750])
    await manager.stop()
    const refused = await managerOf(clock, { ...config, receivers: [{ name: 'team', webhook_configs: [{ url: `${url}/refuses` }] }] })
    await refused.put([notice('B', clock)])
    await advance(clock, MINUTE)
    expect(received.filter(({ path }) => path === '/refuses')).toHaveLength(1)
    await refused.stop()
  })

  test('a request that is never answered times out and is tried again', async () => {
    const clock = new FakeClock(START)
    const { received, url } = await receiverOf(clock, (_path, count) => (count === 1 ? 0 : 200))
    const config = { ...CONFIG(url), receivers: [{ name: 'team', webhook_configs: [{ url: `${url}/hook`, timeout: '50ms' }] }] }
    const manager = await managerOf(clock, config)
    await manager.put([notice('A', clock)])
    await advance(clock, 2 * MINUTE, SECOND)
    expect(received).toHaveLength(2)
    await manager.stop()
  })

  test('a process that follows says nothing again, but the end', async () => {
    const clock = new FakeClock(START)
    const state = new MemoryStateLog()
    const { received, url } = await receiverOf(clock)
    const first = await managerOf(clock, CONFIG(url), state)
    await first.put([notice('A', clock)])
    await advance(clock, 40 * SECOND)
    await first.stop()
    const second = await managerOf(clock, CONFIG(url), state)
    await second.put([notice('A', clock)])
    await advance(clock, 20 * MINUTE, MINUTE)
    expect(received).toHaveLength(1)
    await second.put([notice('A', clock, true)])
    await second.stop()
    const third = await managerOf(clock, CONFIG(url), state)
    await advance(clock, 6 * MINUTE, MINUTE)
    expect(received.map(({ body }) => body['status'])).toEqual(['firing', 'resolved'])
    expect([...state.entries()].filter(([key]) => key.startsWith('alertmanager/alert/'))).toEqual([])
    await third.stop()
  })

  test('killed between request and record: the next process sends again, once', async () => {
    const clock = new FakeClock(START)
    const state = new MemoryStateLog()
    const { received, url } = await receiverOf(clock)
    // What is written after the intent never reaches the disk.
    let isKilled = false
    const dying: StateLog = {
      entries: () => state.entries(),
      put: async (changes) => {
        if (isKilled) return
        await state.put(changes)
        isKilled = changes.some(([, value]) => (value as { intentMs?: number } | null)?.intentMs !== undefined)
      },
    }
    const first = await managerOf(clock, CONFIG(url), dying)
    await first.put([notice('A', clock)])
    await advance(clock, 40 * SECOND)
    expect(received).toHaveLength(1)
    await first.stop()
    const second = await managerOf(clock, CONFIG(url), state)
    await second.put([notice('A', clock)])
    await advance(clock, 20 * MINUTE, MINUTE)
    expect(received).toHaveLength(2)
    await second.stop()
  })

  test('an inhibited alert is not told while its source fires', async () => {
    const clock = new FakeClock(START)
    const { received, url } = await receiverOf(clock)
    const inhibit_rules = [{ source_matchers: ['alertname="Down"'], target_matchers: ['alertname="Slow"'], equal: ['job'] }]
    const manager = await managerOf(clock, { ...CONFIG(url), inhibit_rules })
    await manager.put([
      notice('Down', clock, false, { job: 'a' }),
      notice('Slow', clock, false, { job: 'a' }),
      notice('Slow', clock, false, { job: 'b' }),
    ])
    await advance(clock, MINUTE)
    const told = received.flatMap(({ body }) =>
      (body['alerts'] as { labels: Record<string, string> }[]).map(({ labels }) => `${labels['alertname']} ${labels['job']}`),
    )
    expect(told.sort()).toEqual(['Down a', 'Slow b'])
    await manager.stop()
  })
})

describe('payloads', () => {
  test('slack, pagerduty and webhook get what they expect', async () => {
    const clock = new FakeClock(START)
    const { received, url } = await receiverOf(clock)
    const receivers = [
      {
        name: 'team',
        slack_configs: [{ api_url: `${url}/slack`, channel: '#x', fields: [{ title: 'n', value: '{{ .Alerts | len }}' }] }],
        pagerduty_configs: [
          { url: `${url}/pd`, routing_key: 'KEY', severity: '{{ .CommonLabels.severity }}', details: { extra: '{{ .Status }}' } },
        ],
        webhook_configs: [{ url: `${url}/hook`, max_alerts: 1 }],
      },
    ]
    const manager = await managerOf(clock, { ...CONFIG(url), receivers })
    await manager.put([
      notice('A', clock, false, { severity: 'critical', i: '1' }),
      notice('A', clock, false, { severity: 'critical', i: '2' }),
    ])
    await advance(clock, MINUTE)
    const bodies = Object.fromEntries(received.map(({ path, body }) => [path, body]))
    expect(bodies['/slack']).toMatchObject({
      channel: '#x',
      attachments: [
        {
          title: '[FIRING:2] A (critical)',
          title_link: 'http://am/#/alerts?receiver=team',
          color: 'danger',
          fields: [{ title: 'n', value: '2', short: false }],
        },
      ],
    })
    expect(bodies['/pd']).toMatchObject({
      routing_key: 'KEY',
      event_action: 'trigger',
      client: 'Alertmanager',
      payload: {
        summary: '[FIRING:2] A (critical)',
        severity: 'critical',
        custom_details: { num_firing: '2', num_resolved: '0', extra: 'firing' },
      },
    })
    expect(bodies['/pd']!['dedup_key']).toMatch(/^[0-9a-f]{64}$/)
    expect((bodies['/pd']!['payload'] as { custom_details: { firing: string } }).custom_details.firing).toContain(
      'Labels:\n - alertname = A\n - i = 1\n - severity = critical\nAnnotations:\n - summary = A is bad\nSource: http://x/graph\n',
    )
    expect(bodies['/hook']).toMatchObject({
      receiver: 'team',
      status: 'firing',
      version: '4',
      groupKey: '{}:{alertname="A"}',
      truncatedAlerts: 1,
      groupLabels: { alertname: 'A' },
      commonAnnotations: { summary: 'A is bad' },
      externalURL: 'http://am',
      alerts: [
        { status: 'firing', startsAt: new Date(START).toISOString(), endsAt: '0001-01-01T00:00:00Z', generatorURL: 'http://x/graph' },
      ],
    })
    await manager.stop()
  })
})

test('an error names no address: it holds the secret', async () => {
  const client = createHttpClient()
  const { receivers, global, templates } = parseAlertmanagerConfig(
    { route: { receiver: 'x' }, receivers: [{ name: 'x', slack_configs: [{ api_url: 'http://127.0.0.1:1/SECRET' }] }] },
    'am.yml',
    '.',
  )
  const integration = slackIntegration(receivers[0]!.slack_configs[0]!, global, 0, { client, templates })
  const failed = integration.notify({ receiver: 'x', groupKey: 'k', groupLabels: [], externalUrl: '', alerts: [] })
  const error: unknown = await failed.catch((thrown: unknown) => thrown)
  expect(messageOf(error)).toContain('<redacted>')
  expect(inspect(error)).not.toContain('SECRET')
  expect(JSON.stringify(receivers)).not.toContain('SECRET')
})

describe('configuration', () => {
  const problem = (config: unknown) => (): unknown => parseAlertmanagerConfig(config, 'am.yml', '.')

  test('unknown keys, unbuilt integrations and broken references are named', () => {
    const route = { receiver: 'x' }
    expect(problem({ route, receivers: [{ name: 'x', webhok_configs: [] }] })).toThrow('am.yml: receivers[0].webhok_configs: unknown key')
    expect(problem({ route, receivers: [{ name: 'x', email_configs: [{}] }] })).toThrow('receivers[0].email_configs: the integration email')
    expect(problem({ route, receivers: [] })).toThrow('undefined receiver "x" used in route')
    expect(problem({ receivers: [] })).toThrow('no routes provided')
    expect(problem({ route, receivers: [{ name: 'x', slack_configs: [{}] }] })).toThrow('no global Slack API URL set')
    expect(problem({ route: { ...route, mute_time_intervals: ['a'] }, receivers: [{ name: 'x' }] })).toThrow('not built yet')
    const slack_configs = [{ api_url: 'http://x', title: '{{ nope }}' }]
    expect(problem({ route, receivers: [{ name: 'x', slack_configs }] })).toThrow('slack_configs[0].title: 1: function "nope" not defined')
  })

  test('the deepest matching route wins; continue goes on to siblings', () => {
    const { route } = parseAlertmanagerConfig(
      {
        route: {
          receiver: 'root',
          routes: [
            { receiver: 'a', matchers: ['severity=~"page|warn"'], continue: true, routes: [{ match: { team: 'db' }, receiver: 'db' }] },
            { receiver: 'b', match_re: { severity: 'pa.*' } },
            { receiver: 'c' },
          ],
        },
        receivers: ['root', 'a', 'b', 'c', 'db'].map((name) => ({ name })),
      },
      'am.yml',
      '.',
    )
    const root = buildRoute(route)
    const to = (labels: Record<string, string>): string[] => routesFor(root, labelsOf(labels)).map(({ receiver }) => receiver)
    expect(to({ severity: 'page', team: 'db' })).toEqual(['db', 'b'])
    expect(to({ severity: 'warn' })).toEqual(['a', 'c'])
    expect(to({})).toEqual(['c'])
    expect(labelsToObject(labelsOf({}))).toEqual({})
  })

  test('matchers with and without quotes and braces', () => {
    const shown = (text: string): string =>
      parseMatcher(text)
        .map(({ name, op, value }) => `${name}${op}${value}`)
        .join(';')
    expect(shown('a="b"')).toBe('a=b')
    expect(shown('a = b')).toBe('a=b')
    expect(shown('{a="x,y", c!~"d|e"}')).toBe('a=x,y;c!~d|e')
    expect(() => parseMatcher('a')).toThrow('bad matcher format: a')
  })
})

test('when a receiver needs word', () => {
  const last = { firing: ['a'], resolved: [], sentAtMs: 0 }
  expect(needsWord(undefined, [], ['a'], true, HOUR, 0)).toBe(false)
  expect(needsWord(undefined, ['a'], [], true, HOUR, 0)).toBe(true)
  expect(needsWord(last, ['a'], [], true, HOUR, HOUR - 1)).toBe(false)
  expect(needsWord(last, ['a'], [], true, HOUR, HOUR)).toBe(true)
  expect(needsWord(last, ['a', 'b'], [], true, HOUR, 0)).toBe(true)
  expect(needsWord({ ...last, firing: ['a', 'b'] }, ['a'], ['b'], true, HOUR, 0)).toBe(true)
  expect(needsWord({ ...last, firing: ['a', 'b'] }, ['a'], ['b'], false, HOUR, 0)).toBe(false)
  expect(needsWord(last, [], ['a'], false, HOUR, 0)).toBe(true)
  expect(needsWord({ ...last, firing: [] }, [], ['a'], true, HOUR, HOUR * 9)).toBe(false)
})

test('waits double up to a minute and vary by half', () => {
  expect([0, 1, 2, 20].map((attempt) => backoffMs(attempt, () => 0))).toEqual([250, 500, 1000, 30_000])
  expect(backoffMs(20, () => 1)).toBe(60_000)
})
