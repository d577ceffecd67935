/**
 * The whole pipeline in one process, killed again and again: the shop, a real node exporter, real container log files and a real OpenTelemetry SDK go in; every sample
 * of a stored scrape, every line and every acknowledged span is counted and found once through the APIs that Grafana uses; the broken shop raises an alert that
 * reaches three kinds of receivers once, and its end too.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startShop, SERVICES, type Shop } from '../../examples/shop/shop.ts'
import { eventually } from '../harness/eventually.ts'
import { startLogWriter, type LogWriter } from '../harness/log-writer.ts'
import { pause, randoms } from '../harness/seeded.ts'
import { laterBody, ledgerOf, linesOf, lokiVector, samplesAt, samplesIn, storedScrapes } from '../harness/found.ts'
import { startNodeExporter, type NodeExporter } from '../harness/node-exporter.ts'
import { startReceivers, type Receivers } from '../harness/receivers.ts'
import { SightlineProcess } from '../harness/sightline.ts'
import { startSpanWriter, type SpanWriter } from '../harness/span-writer.ts'

/** Instants of the kills come from this, so that a failure can be run again. */
const SEED = 20_261_121
const KILLS = 6

let sightline: SightlineProcess
let nodeExporter: NodeExporter | undefined
let shop: Shop
let logs: LogWriter
let spans: SpanWriter
let receivers: Receivers
let hasFailed = false

beforeAll(async () => {
  receivers = await startReceivers()
  nodeExporter = await startNodeExporter()
  sightline = await SightlineProcess.create()
  const podsDir = join(sightline.folder, 'pods')
  mkdirSync(podsDir)
  shop = await startShop({ podsDir, otlpEndpoint: `http://127.0.0.1:${sightline.ports.otlpHttp}` })
  writeFileSync(join(sightline.folder, 'rules.yml'), RULES)
  writeFileSync(sightline.configPath, configOf(podsDir))
  logs = startLogWriter(podsDir, 'writer-1', 10)
  spans = startSpanWriter(`http://127.0.0.1:${sightline.ports.otlpHttp}`, 10)
  shop.startLoad(5)
}, 60_000)

afterAll(async () => {
  logs?.stop()
  await spans?.stop()
  await shop?.stop()
  nodeExporter?.stop()
  receivers?.stop()
  await sightline?.dispose(hasFailed)
}, 60_000)

const RULES = `
groups:
  - name: shop
    rules:
      - alert: ShopErrors
        expr: sum by (service) (rate(http_requests_total{job="shop", service="payment", status=~"5.."}[10s])) > 0
        for: 1s
        labels: { severity: page }
        annotations: { summary: '{{ $labels.service }} fails' }
`

function configOf(podsDir: string): string {
  const targets = SERVICES.map((service) => `{ targets: ['${new URL(shop.urls[service]).host}'], labels: { service: ${service} } }`)
  return `
cluster: test
global: { scrape_interval: 500ms, evaluation_interval: 500ms, external_labels: { region: here } }
shards: { checkpoint_interval: 2s }
self: { scrape: false, traces: false }
scrape_configs:
${nodeExporter === undefined ? '' : `  - { job_name: node, static_configs: [{ targets: ['${nodeExporter.address}'] }] }\n`}  - { job_name: shop, static_configs: [${targets.join(', ')}] }
tail: [{ include: ['${podsDir}/*/*/*.log'] }]
rule_files: ['${join(sightline.folder, 'rules.yml')}']
alertmanager:
  route: { receiver: team, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 1h }
  receivers:
    - name: team
      slack_configs: [{ api_url: '${receivers.url}/slack', channel: '#shop', send_resolved: true }]
      pagerduty_configs: [{ routing_key: key, url: '${receivers.url}/pagerduty' }]
      webhook_configs: [{ url: '${receivers.url}/webhook' }]
`
}

async function onFailure<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    hasFailed = true
    throw new Error(`seed ${SEED}, folder ${sightline.folder}, last output:\n${sightline.output.slice(-2000)}`, { cause: error })
  }
}

describe('first light', () => {
  test('kill -9 at seeded instants, with everything coming in', { timeout: 120_000 }, () =>
    onFailure(async () => {
      const random = randoms(SEED)
      for (let kill = 0; kill < KILLS; kill++) {
        await sightline.start()
        await pause(500 + random.next().value! * 3000)
        await sightline.end('SIGKILL')
      }
      await sightline.start()
      await pause(2000)
      expect(sightline.isRunning).toBe(true)
    }),
  )

  test('the broken shop raises an alert that reaches every receiver once, over a kill -9, and its end too', { timeout: 120_000 }, () =>
    onFailure(async () => {
      const every = (state: string): Map<string, number> =>
        new Map(['slack', 'pagerduty', 'webhook'].map((name) => [`${name} ${state}`, 1]))
      await shop.break()
      await eventually(() => expect(receivers.counts).toEqual(every('firing')), 40_000)
      await pause(500)
      await sightline.end('SIGKILL')
      await sightline.start()
      await pause(5000)
      expect(receivers.counts).toEqual(every('firing'))
      await shop.mend()
      const both = new Map([...every('firing'), ...every('resolved')])
      await eventually(() => expect(receivers.counts).toEqual(both), 60_000)
    }),
  )

  test(
    'every sample of every stored scrape of the node exporter is there, and no stored scrape is missing one',
    { timeout: 60_000 },
    ({ skip }) =>
      onFailure(async () => {
        if (nodeExporter === undefined) return skip('prometheus-node-exporter is not installed')
        const bodies = new Map(nodeExporter.bodies)
        const stored = await storedScrapes(sightline)
        expect(stored.numberAt.size).toBeGreaterThan(20)
        for (const [time, number] of stored.numberAt)
          expect(samplesAt(stored.series, time)).toEqual(samplesIn(bodies.get(number) ?? (await laterBody(nodeExporter!, number))))
        // A scrape is lost only where a kill came between its answer and its row: once a life at most.
        const found = new Set(stored.numberAt.values())
        const missing = [...bodies.keys()].filter((number) => !found.has(number))
        expect(missing.length).toBeLessThanOrEqual(KILLS + 2)
        expect(found.size).toBe(stored.numberAt.size)
      }),
  )

  test('every line is there once, in order, with the labels of its path', { timeout: 60_000 }, () =>
    onFailure(async () => {
      logs.stop()
      const written = [...logs.lines]
      const found = await eventually(async () => {
        const lines = await linesOf(sightline, '{namespace="load", pod="writer-1", container="app", cluster="test", region="here"}')
        expect(lines.length).toBeGreaterThanOrEqual(written.length)
        return lines
      }, 20_000)
      expect(found).toEqual(written)
    }),
  )

  test('the shop: its lines are as many as in its files, its traces are whole and linked to its logs', { timeout: 60_000 }, () =>
    onFailure(async () => {
      await shop.stopLoad()
      for (const path of shop.logPaths) {
        const pod = path.split('/').at(-3)!.split('_')[1]!
        await eventually(async () => {
          const inFile = readFileSync(path, 'utf8')
            .split('\n')
            .filter((line) => / F /.test(line)).length
          const [count] = await lokiVector(sightline, `sum(count_over_time({namespace="shop", pod="${pod}"}[1h]))`)
          expect(Number(count?.value[1] ?? 0)).toBe(inFile)
        }, 20_000)
      }
      // Services export on their own time, and what a killed process was not asked again for is the SDK's loss: the newest whole trace is looked for.
      const query = '{ resource.service.name = "frontend" && kind = server } >> { resource.service.name = "payment" }'
      const trace = await eventually(async () => {
        const search = await sightline.get<{ traces: FoundTrace[] }>(`/tempo/api/search?limit=50&q=${encodeURIComponent(query)}`)
        const whole = search.traces.find(({ serviceStats }) => Object.keys(serviceStats).length === 4)
        expect(Object.keys(whole?.serviceStats ?? {}).sort()).toEqual(['cart', 'checkout', 'frontend', 'payment'])
        return whole!
      })
      const [linked] = await lokiVector(
        sightline,
        `sum(count_over_time({namespace="shop"} | json | trace_id="${trace.traceID.padStart(32, '0')}" [1h]))`,
      )
      expect(Number(linked?.value[1] ?? 0)).toBeGreaterThan(0)
    }),
  )

  test('every acknowledged span is there once', { timeout: 60_000 }, () =>
    onFailure(async () => {
      await spans.stop()
      const acknowledged = [...spans.acknowledged]
      expect(acknowledged.length).toBeGreaterThan(500)
      for (let i = 0; i < acknowledged.length; i += 50) {
        await Promise.all(
          acknowledged.slice(i, i + 50).map(async (ids) => {
            const [traceId, spanId] = ids.split(' ') as [string, string]
            const trace = await sightline.get<{ data: { spans: { spanID: string }[] }[] }>(`/jaeger/api/traces/${traceId}`)
            expect(trace.data[0]!.spans.map((span) => span.spanID)).toEqual([spanId])
          }),
        )
      }
    }),
  )

  test('the ledger balances: what was stored is what is found, nothing was dropped, no producer has a gap', { timeout: 60_000 }, () =>
    onFailure(async () => {
      const ledger = await ledgerOf(sightline)
      const [lines] = await lokiVector(sightline, 'sum(count_over_time({cluster="test"}[1h]))')
      expect(ledger.get('logs stored')).toBe(Number(lines!.value[1]))
      expect([...ledger].filter(([key, value]) => key.startsWith('logs ') && key !== 'logs stored' && value > 0)).toEqual([])
      // A retried export and a scrape that was written twice are the only things that may be there to drop.
      const dropped = [...ledger.keys()].filter((key) => !/ (stored|repeated|duplicate|gaps)$/.test(key))
      expect(dropped).toEqual([])
      expect(['metrics', 'logs', 'traces'].map((signal) => ledger.get(`${signal} gaps`))).toEqual([0, 0, 0])
    }),
  )

  test('SIGTERM drains and ends with 0; the next start replays nothing', { timeout: 60_000 }, () =>
    onFailure(async () => {
      const before = await lokiVector(sightline, 'sum(count_over_time({namespace="load"}[1h]))')
      expect(await sightline.end('SIGTERM')).toBe(0)
      await sightline.start()
      const walreplay = await sightline.get<{ data: { max: number } }>('/api/v1/status/walreplay')
      expect(walreplay.data.max).toBe(0)
      expect((await lokiVector(sightline, 'sum(count_over_time({namespace="load"}[1h]))'))[0]!.value[1]).toBe(before[0]!.value[1])
    }),
  )
})

interface FoundTrace {
  readonly traceID: string
  readonly serviceStats: Record<string, unknown>
}
