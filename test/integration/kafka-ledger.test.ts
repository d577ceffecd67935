/** Records that went from a topic before anybody applied them: the range is told, the producer's hole has its ends, and everything else is there. */
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeWriteV1 } from '../../lib/wire/remote-write/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'
import { eventually } from '../harness/eventually.ts'
import { ledgerAt } from '../harness/fleet.ts'
import { KafkaServer, whyNoKafka } from '../harness/kafka.ts'
import { SightlineProcess } from '../harness/sightline.ts'

const missing = whyNoKafka()
const QUIET = 'self: { scrape: false, traces: false }\n'
const processes: SightlineProcess[] = []
let kafka: KafkaServer | undefined

afterEach(async () => {
  for (const process of processes.splice(0)) await process.dispose()
  await kafka?.stop()
}, 60_000)

async function started(role: 'collector' | 'query', config: string): Promise<SightlineProcess> {
  const process = await SightlineProcess.create({ role, config: `${QUIET}${config}` })
  processes.push(process)
  return process.start(60_000)
}

async function write(process: SightlineProcess, timeMs: number): Promise<void> {
  const series = [{ labels: ['__name__', 'kept', 'job', 'x', 'instance', 'y'], times: [timeMs], values: [1] }]
  const body = snappyEncode(encodeWriteV1(series)) as Uint8Array<ArrayBuffer>
  const response = await fetch(`${process.url}/api/v1/write`, { method: 'POST', body })
  expect(response.status).toBe(204)
}

describe.skipIf(missing !== undefined)(`records gone from a topic${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  test('are lost by name: the range, the producer, and nothing more', { timeout: 180_000 }, async () => {
    kafka = await KafkaServer.start()
    const section = `kafka: { brokers: ['${kafka.brokers[0]}'], session_timeout: 3s, rebalance_timeout: 6s, heartbeat_interval: 300ms }\n`
    const node = await started(
      'query',
      `node: query-0\njournal: { type: kafka, partitions: 1 }\nshards: { checkpoint_interval: 1s }\n${section}`,
    )
    const edge = await started('collector', `node: edge-1\njournal: { partitions: 1 }\n${section}ship: [{ type: kafka, name: road }]\n`)
    const base = Date.now() - 60_000
    for (let i = 0; i < 20; i++) await write(edge, base + i)
    await eventually(
      async () => expect((await ledgerAt(node)).producers[0]).toMatchObject({ producer: 'edge-1', lastSequence: 19 }),
      20_000,
    )
    await node.end('SIGTERM')
    for (let i = 20; i < 60; i++) await write(edge, base + i)
    await eventually(async () => expect((await ledgerAt(edge)).destinations[0]!.queuedRecords).toBe(0), 20_000)
    const admin = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.fetchTopicOffsets('sightline.metrics')
    await admin.deleteTopicRecords({ topic: 'sightline.metrics', partitions: [{ partition: 0, offset: '45' }] })
    await admin.disconnect()
    await node.start(60_000)
    await eventually(async () => expect((await ledgerAt(node)).producers[0]?.lastSequence).toBe(59), 30_000)
    const ledger = await ledgerAt(node)
    expect(ledger.lost).toMatchObject([{ key: 'metrics/0', from: 20, to: 45 }])
    expect(ledger.producers[0]).toMatchObject({ gapCount: 1, gaps: [{ afterSequence: 19, beforeSequence: 45 }] })
    expect(ledger.stored[0]).toMatchObject({ signal: 'metrics', gaps: 1, unaccounted: 0 })
    expect(await (await fetch(`${node.url}/metrics`)).text()).toContain('sightline_ingest_lost_records_total{signal="metrics"} 25')
    const [series] = await node.query<{ values: [number, string][] }[]>('kept[10m]')
    const there = Array.from({ length: 60 }, (_, i) => i).filter((i) => i < 20 || i >= 45)
    expect(series!.values.map(([seconds]) => Math.round(seconds * 1000))).toEqual(there.map((i) => base + i))
  })
})
