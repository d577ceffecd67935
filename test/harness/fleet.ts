/** Two collectors, a real Kafka and two query nodes, with a shop, a node exporter, log files and an OpenTelemetry SDK at their entry and receivers at their end. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startShop, SERVICES, type Shop } from '../../examples/shop/shop.ts'
import type { Ledger } from '../../ledger.ts'
import type { ElasticsearchServer } from './elasticsearch.ts'
import { eventually } from './eventually.ts'
import { KafkaServer } from './kafka.ts'
import { startLogWriter, type LogWriter } from './log-writer.ts'
import { startNodeExporter, type NodeExporter } from './node-exporter.ts'
import { startReceivers, type Receivers } from './receivers.ts'
import { SightlineProcess } from './sightline.ts'
import { startSpanWriter, type SpanWriter } from './span-writer.ts'

export const PARTITIONS = 8

export interface Fleet {
  readonly kafka: KafkaServer
  readonly elasticsearch: ElasticsearchServer | undefined
  readonly collectors: readonly [SightlineProcess, SightlineProcess]
  readonly nodes: readonly [SightlineProcess, SightlineProcess]
  readonly nodeExporter: NodeExporter | undefined
  readonly shop: Shop
  /** What the first and the second collector tail. */
  readonly logs: readonly [LogWriter, LogWriter]
  readonly spans: SpanWriter
  readonly receivers: Receivers
  stop(keepFolders: boolean): Promise<void>
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

/** @param elasticsearch where logs are kept; undefined: in the nodes */
export async function startFleet(elasticsearch: ElasticsearchServer | undefined): Promise<Fleet> {
  const kafka = await KafkaServer.start()
  const receivers = await startReceivers()
  const nodeExporter = await startNodeExporter()
  const pair = async (role: 'query' | 'collector'): Promise<[SightlineProcess, SightlineProcess]> => [
    await SightlineProcess.create({ role }),
    await SightlineProcess.create({ role }),
  ]
  const [nodes, collectors] = [await pair('query'), await pair('collector')]
  const [podsA, podsB] = collectors.map(({ folder }) => join(folder, 'pods')) as [string, string]
  for (const dir of [podsA, podsB]) mkdirSync(dir)
  const shop = await startShop({ podsDir: podsA, otlpEndpoint: `http://127.0.0.1:${collectors[0].ports.otlpHttp}` })
  const targets = SERVICES.map((service) => `{ targets: ['${new URL(shop.urls[service]).host}'], labels: { service: ${service} } }`)
  const exporter = nodeExporter === undefined ? '' : `{ job_name: node, static_configs: [{ targets: ['${nodeExporter.address}'] }] }`
  const common = {
    broker: kafka.brokers[0]!,
    receivers: receivers.url,
    elasticsearch: elasticsearch?.url,
    nodes: nodes.map(({ url }) => url),
  }
  const rulesPath = join(nodes[0].folder, 'rules.yml')
  writeFileSync(rulesPath, RULES)
  for (const [i, node] of nodes.entries()) node.configure(nodeConfig(i, rulesPath, common))
  collectors[0].configure(collectorConfig(0, podsA, `{ job_name: shop, static_configs: [${targets.join(', ')}] }`, common.broker))
  collectors[1].configure(collectorConfig(1, podsB, exporter, common.broker))
  await Promise.all([...nodes, ...collectors].map((process) => process.start(60_000)))
  const logs = [startLogWriter(podsA, 'writer-0', 20), startLogWriter(podsB, 'writer-1', 20)] as const
  const spans = startSpanWriter(`http://127.0.0.1:${collectors[1].ports.otlpHttp}`, 20)
  shop.startLoad(5)
  return {
    kafka,
    elasticsearch,
    collectors,
    nodes,
    nodeExporter,
    shop,
    logs,
    spans,
    receivers,
    async stop(keepFolders) {
      for (const one of logs) one.stop()
      await spans.stop()
      await shop.stop()
      nodeExporter?.stop()
      receivers.stop()
      for (const process of [...collectors, ...nodes]) await process.dispose(keepFolders)
      await kafka.stop()
      await elasticsearch?.stop()
    },
  }
}

const kafkaSection = (broker: string): string =>
  `kafka: { brokers: ['${broker}'], session_timeout: 3s, rebalance_timeout: 10s, heartbeat_interval: 500ms, delivery_timeout: 30s }`

interface Common {
  readonly broker: string
  readonly receivers: string
  readonly elasticsearch: string | undefined
  readonly nodes: readonly string[]
}

function nodeConfig(i: number, rulesPath: string, { broker, receivers, elasticsearch, nodes }: Common): string {
  return `
node: query-${i}
journal: { type: kafka, partitions: ${PARTITIONS} }
${kafkaSection(broker)}
query_cluster: { nodes: [${nodes.map((url) => `'${url}'`).join(', ')}] }
${elasticsearch === undefined ? '' : `logs: { store: elasticsearch }\nelasticsearch: { nodes: ['${elasticsearch}'], replicas: 0, request_timeout: 5s }`}
shards: { checkpoint_interval: 2s }
self: { scrape: false, traces: false }
global: { evaluation_interval: 500ms }
rule_files: ['${rulesPath}']
alertmanager:
  route: { receiver: team, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 1h }
  receivers:
    - name: team
      slack_configs: [{ api_url: '${receivers}/slack', channel: '#shop', send_resolved: true }]
      pagerduty_configs: [{ routing_key: key, url: '${receivers}/pagerduty' }]
      webhook_configs: [{ url: '${receivers}/webhook' }]
`
}

function collectorConfig(i: number, podsDir: string, job: string, broker: string): string {
  return `
node: edge-${i}
cluster: c${i}
global: { scrape_interval: 500ms, external_labels: { region: here } }
journal: { partitions: ${PARTITIONS} }
self: { scrape: false, traces: false }
${kafkaSection(broker)}
ship: [{ type: kafka, name: road, max_backoff: 500ms }]
scrape_configs: [${job}]
tail: [{ include: ['${podsDir}/*/*/*.log'] }]
`
}

export const ledgerAt = (process: SightlineProcess): Promise<Ledger> => process.get<Ledger>('/sightline/api/v1/ledger')

/** Partition numbers that a node applies. */
export const ownedBy = async (process: SightlineProcess): Promise<readonly number[]> =>
  (await process.get<{ owned: number[] }>('/sightline/api/v1/shard/status')).owned

/** Every partition is with one of the nodes. */
export async function settled({ nodes }: Fleet): Promise<void> {
  await eventually(async () => {
    const owned = await Promise.all(nodes.map(ownedBy))
    expect(owned.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, p) => p))
  }, 40_000)
}
