/**
 * The road of a fleet: two collectors ship over a real Kafka to two query nodes. Every process and the broker are killed at seeded instants and partitions move between
 * the nodes; then everything that went in is found once, at either node, an alert reached its receivers once, and the ledgers balance.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startShop, SERVICES, type Shop } from '../../examples/shop/shop.ts'
import type { Ledger } from '../../ledger.ts'
import { eventually } from '../harness/eventually.ts'
import { laterBody, linesOf, lokiVector, samplesAt, samplesIn, storedScrapes } from '../harness/found.ts'
import { KafkaServer, whyNoKafka } from '../harness/kafka.ts'
import { startLogWriter, type LogWriter } from '../harness/log-writer.ts'
import { startNodeExporter, type NodeExporter } from '../harness/node-exporter.ts'
import { startReceivers, type Receivers } from '../harness/receivers.ts'
import { pause, randoms } from '../harness/seeded.ts'
import { SightlineProcess } from '../harness/sightline.ts'
import { startSpanWriter, type SpanWriter } from '../harness/span-writer.ts'

const SEED = 4_261_121
const PARTITIONS = 8

const missing = whyNoKafka()

let kafka: KafkaServer
let collectors: SightlineProcess[] = []
let nodes: SightlineProcess[] = []
let nodeExporter: NodeExporter | undefined
let shop: Shop
const logs: LogWriter[] = []
let spans: SpanWriter
let receivers: Receivers
let hasFailed = false

const kafkaSection = (): string =>
  `kafka: { brokers: ['${kafka.brokers[0]}'], session_timeout: 3s, rebalance_timeout: 10s, heartbeat_interval: 500ms, delivery_timeout: 30s }`

function nodeConfig(i: number): string {
  return `
node: query-${i}
journal: { type: kafka, partitions: ${PARTITIONS} }
${kafkaSection()}
query_cluster: { nodes: [${nodes.map(({ url }) => `'${url}'`).join(', ')}] }
shards: { checkpoint_interval: 2s }
self: { scrape: false, traces: false }
global: { evaluation_interval: 500ms }
rule_files: ['${join(nodes[0]!.folder, 'rules.yml')}']
alertmanager:
  route: { receiver: team, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 1h }
  receivers:
    - name: team
      slack_configs: [{ api_url: '${receivers.url}/slack', channel: '#shop', send_resolved: true }]
      pagerduty_configs: [{ routing_key: key, url: '${receivers.url}/pagerduty' }]
      webhook_configs: [{ url: '${receivers.url}/webhook' }]
`
}

const RULES = `
groups:
  - name: shop
    rules:
      - alert: ShopErrors
        expr: sum by (service) (rate(http_requests_total{job="shop", service="payment", status=~"5.."}[10s])) > 0
        for: 1s
        labels: { severity: page }
        annotations: { summary: '{{ $labels.service }} fails' }
      - { record: 'shop:requests:rate10s', expr: 'sum by (service) (rate(http_requests_total[10s]))' }
`

function collectorConfig(i: number, podsDir: string, jobs: string): string {
  return `
node: edge-${i}
cluster: c${i}
global: { scrape_interval: 500ms, external_labels: { region: here } }
journal: { partitions: ${PARTITIONS} }
self: { scrape: false, traces: false }
${kafkaSection()}
ship: [{ type: kafka, name: road, max_backoff: 500ms }]
scrape_configs: [${jobs}]
tail: [{ include: ['${podsDir}/*/*/*.log'] }]
`
}

beforeAll(async () => {
  if (missing !== undefined) return
  kafka = await KafkaServer.start()
  receivers = await startReceivers()
  nodeExporter = await startNodeExporter()
  for (let i = 0; i < 2; i++) {
    nodes.push(await SightlineProcess.create({ role: 'query' }))
    collectors.push(await SightlineProcess.create({ role: 'collector' }))
  }
  const pods = collectors.map(({ folder }) => join(folder, 'pods'))
  for (const dir of pods) mkdirSync(dir)
  shop = await startShop({ podsDir: pods[0]!, otlpEndpoint: `http://127.0.0.1:${collectors[0]!.ports.otlpHttp}` })
  const targets = SERVICES.map((service) => `{ targets: ['${new URL(shop.urls[service]).host}'], labels: { service: ${service} } }`)
  writeFileSync(join(nodes[0]!.folder, 'rules.yml'), RULES)
  for (const [i, node] of nodes.entries()) node.configure(nodeConfig(i))
  const exporter = nodeExporter === undefined ? '' : `{ job_name: node, static_configs: [{ targets: ['${nodeExporter.address}'] }] }`
  collectors[0]!.configure(collectorConfig(0, pods[0]!, `{ job_name: shop, static_configs: [${targets.join(', ')}] }`))
  collectors[1]!.configure(collectorConfig(1, pods[1]!, exporter))
  await Promise.all([...nodes, ...collectors].map((process) => process.start(60_000)))
  logs.push(startLogWriter(pods[0]!, 'writer-0', 20), startLogWriter(pods[1]!, 'writer-1', 20))
  spans = startSpanWriter(`http://127.0.0.1:${collectors[1]!.ports.otlpHttp}`, 20)
  shop.startLoad(5)
}, 180_000)

afterAll(async () => {
  for (const one of logs) one.stop()
  await spans?.stop()
  await shop?.stop()
  nodeExporter?.stop()
  receivers?.stop()
  for (const process of [...collectors, ...nodes]) await process.dispose(hasFailed)
  await kafka?.stop()
}, 60_000)

async function onFailure<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    hasFailed = true
    const outputs = [...nodes, ...collectors].map(({ folder, output }) => `${folder}:\n${output.slice(-1500)}`)
    throw new Error(`seed ${SEED}\n${outputs.join('\n')}`, { cause: error })
  }
}

const ledgerOf = (process: SightlineProcess): Promise<Ledger> => process.get<Ledger>('/sightline/api/v1/ledger')
const ownedBy = async (process: SightlineProcess): Promise<number[]> =>
  (await process.get<{ owned: number[] }>('/sightline/api/v1/shard/status')).owned

/** Both nodes up, and every partition with one of them. */
async function settled(): Promise<void> {
  await eventually(async () => {
    const owned = await Promise.all(nodes.map(ownedBy))
    expect(owned.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, p) => p))
  }, 40_000)
}

describe.skipIf(missing !== undefined)(`the wide road${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  test('kills of every process and the broker, at seeded instants', { timeout: 240_000 }, () =>
    onFailure(async () => {
      const random = randoms(SEED)
      const broker = { end: () => kafka.kill(), start: () => kafka.restart() }
      for (const victim of [nodes[0]!, collectors[0]!, broker, nodes[1]!, collectors[1]!, nodes[0]!]) {
        await pause(500 + random.next().value! * 2000)
        await victim.end('SIGKILL')
        await pause(random.next().value! * 1000)
        await victim.start()
      }
      await settled()
      for (const process of [...nodes, ...collectors]) expect(process.isRunning).toBe(true)
    }),
  )

  test('partitions move away and back while everything comes in', { timeout: 240_000 }, () =>
    onFailure(async () => {
      // Away for longer than its session: the other takes over; back: it gets its half again.
      for (const victim of nodes) {
        await victim.end('SIGKILL')
        const other = nodes.find((node) => node !== victim)!
        await eventually(async () => expect(await ownedBy(other)).toHaveLength(PARTITIONS), 40_000)
        await pause(1000)
        await victim.start()
        await settled()
        await eventually(async () => expect((await ownedBy(victim)).length).toBeGreaterThan(0), 40_000)
      }
    }),
  )

  test('an alert reaches every receiver once, while the node that evaluates is killed, and its end too', { timeout: 240_000 }, () =>
    onFailure(async () => {
      const every = (state: string): Map<string, number> =>
        new Map(['slack', 'pagerduty', 'webhook'].map((name) => [`${name} ${state}`, 1]))
      await shop.break()
      await eventually(() => expect(receivers.counts).toEqual(every('firing')), 60_000)
      // What was told is noted a moment later; between the two a notification is sent again, as every Alertmanager would.
      await pause(500)
      const rulesAt = await Promise.all(nodes.map(async (node) => (await ownedBy(node)).includes(0)))
      const evaluating = nodes[rulesAt.indexOf(true)]!
      await evaluating.end('SIGKILL')
      await pause(5000)
      await evaluating.start()
      await settled()
      await pause(3000)
      expect(receivers.counts).toEqual(every('firing'))
      await shop.mend()
      const both = new Map([...every('firing'), ...every('resolved')])
      await eventually(() => expect(receivers.counts).toEqual(both), 90_000)
      // Either node shows the rules.
      for (const node of nodes) {
        const { data } = await node.get<{ data: { groups: { name: string }[] } }>('/api/v1/rules')
        expect(data.groups.map(({ name }) => name)).toEqual(['shop'])
      }
    }),
  )

  test('every line is there once, in order, at either node', { timeout: 60_000 }, () =>
    onFailure(async () => {
      for (const [i, writer] of logs.entries()) {
        writer.stop()
        for (const node of nodes) {
          await eventually(
            async () => expect(await linesOf(node, `{namespace="load", pod="writer-${i}", cluster="c${i}"}`)).toEqual(writer.lines),
            20_000,
          )
        }
      }
    }),
  )

  test('every stored scrape of the node exporter is whole', { timeout: 60_000 }, ({ skip }) =>
    onFailure(async () => {
      if (nodeExporter === undefined) return skip('prometheus-node-exporter is not installed')
      const stored = await storedScrapes(nodes[1]!)
      expect(stored.numberAt.size).toBeGreaterThan(20)
      for (const [time, number] of stored.numberAt) {
        const body = nodeExporter.bodies.get(number) ?? (await laterBody(nodeExporter, number))
        expect(samplesAt(stored.series, time)).toEqual(samplesIn(body))
      }
      // A scrape that was answered but not durable at a kill of its collector is gone: it can't be repeated.
      const found = new Set(stored.numberAt.values())
      expect(found.size).toBe(stored.numberAt.size)
      expect(
        [...nodeExporter.bodies.keys()].filter((number) => number < Math.max(...found) && !found.has(number)).length,
      ).toBeLessThanOrEqual(2)
    }),
  )

  test('every acknowledged span is there once', { timeout: 60_000 }, () =>
    onFailure(async () => {
      await spans.stop()
      const acknowledged = [...spans.acknowledged]
      expect(acknowledged.length).toBeGreaterThan(300)
      await eventually(async () => expect((await ledgerOf(collectors[1]!)).destinations[0]!.queuedRecords).toBe(0), 20_000)
      for (const [i, ids] of acknowledged.entries()) {
        const [traceId, spanId] = ids.split(' ') as [string, string]
        const trace = await nodes[i % 2]!.get<{ data: { spans: { spanID: string }[] }[] }>(`/jaeger/api/traces/${traceId}`)
        expect(trace.data[0]!.spans.map((span) => span.spanID)).toEqual([spanId])
      }
    }),
  )

  test('the ledgers balance: what the collectors wrote is stored once over both nodes, no producer has a gap', { timeout: 60_000 }, () =>
    onFailure(async () => {
      await shop.stopLoad()
      await eventually(async () => {
        const there = await Promise.all(nodes.map(ledgerOf))
        for (const ledger of there) {
          expect(ledger.stored.map(({ gaps, unaccounted }) => ({ gaps, unaccounted }))).toEqual(Array(3).fill({ gaps: 0, unaccounted: 0 }))
          expect(ledger.lost).toEqual([])
        }
        for (const [i, collector] of collectors.entries()) {
          const here = await ledgerOf(collector)
          expect(here.destinations[0]).toMatchObject({ queuedRecords: 0, lostRecords: 0, refusedItems: {} })
          const theirs = there.flatMap(({ producers }) => producers).filter(({ producer }) => producer === `edge-${i}`)
          const last = (of: string): number => Math.max(-1, ...theirs.filter(({ key }) => key === of).map((one) => one.lastSequence))
          // Scrapes go on while this is read, lines and spans don't.
          const still = here.journal.partitions.filter(({ key }) => !key.startsWith('metrics'))
          expect(still.map(({ key }) => [key, last(key)])).toEqual(still.map(({ key, end }) => [key, end - 1]))
        }
      }, 30_000)
      const [lines] = await lokiVector(nodes[0]!, 'sum(count_over_time({region="here"}[1h]))')
      const stored = (await Promise.all(nodes.map(ledgerOf))).flatMap((ledger) => ledger.stored.filter(({ signal }) => signal === 'logs'))
      expect(stored.reduce((sum, one) => sum + one.stored, 0)).toBe(Number(lines!.value[1]))
      expect(stored.flatMap(({ dropped }) => Object.entries(dropped))).toEqual([])
    }),
  )
})
