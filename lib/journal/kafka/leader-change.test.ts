import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAll, recordOf } from '../contract.ts'
import { openKafkaGroup, SequenceTracker } from '../index.ts'
import { eventually, kafkaConfigOf, KafkaServer, newPrefix, PATIENCE_MS, openJournal, whyNoKafka, withAdmin } from './kafka.testkit.ts'

const reason = whyNoKafka()
const PARTITIONS = 4
const TWO_COPIES = { 'offsets.topic.replication.factor': '2', 'group.min.session.timeout.ms': '1000' }

describe.skipIf(reason !== undefined)('two brokers', { timeout: PATIENCE_MS }, () => {
  let first: KafkaServer
  let second: KafkaServer

  beforeAll(async () => {
    first = await KafkaServer.start({ properties: () => TWO_COPIES })
    second = await KafkaServer.start({ peer: first, properties: () => TWO_COPIES })
  }, PATIENCE_MS)

  afterAll(async () => {
    await second?.stop()
    await first?.stop()
  })

  async function leadersOf(topic: string): Promise<number[]> {
    const { topics } = await withAdmin(first, (admin) => admin.fetchTopicMetadata({ topics: [topic] }))
    return topics[0]!.partitions.map(({ leader }) => leader)
  }

  test('one dies: writers, readers and members go on with the other; nothing is lost or doubled', async () => {
    const prefix = newPrefix()
    const config = kafkaConfigOf(first, prefix, {
      brokers: [...second.brokers, ...first.brokers],
      replication_factor: 2,
      session_timeout: '20s',
      rebalance_timeout: '20s',
      heartbeat_interval: '200ms',
    })
    const journal = await eventually(() => openJournal(first, prefix, { config, partitions: PARTITIONS }))
    expect(new Set(await leadersOf(`${prefix}.logs`))).toEqual(new Set([1, 2]))
    const group = await openKafkaGroup({ config, partitions: PARTITIONS, node: 'a', onFatal: () => {} })
    const owned = new Set<number>()
    await group.join({
      assigned: (partitions) => partitions.forEach((partition) => owned.add(partition)),
      revoked: async () => {},
      lost: (partitions) => partitions.forEach((partition) => owned.delete(partition)),
    })

    const acknowledged: string[][] = Array.from({ length: PARTITIONS }, () => [])
    let stopped = false
    const load = acknowledged.map(async (texts, partition) => {
      for (let i = 0; !stopped; i++) {
        await journal.append('logs', partition, recordOf(`${partition}:${i}`))
        texts.push(`${partition}:${i}`)
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    })
    const stop = new AbortController()
    const followed = new Set<string>()
    const from = acknowledged.map((_, partition) => ({ signal: 'logs' as const, partition, fromOffset: 0 }))
    const following = (async () => {
      for await (const batch of journal.read(from, { follow: true, signal: stop.signal })) {
        for (const { payload } of batch) followed.add(Buffer.from(payload).toString())
      }
    })()
    const least = (): number => Math.min(...acknowledged.map((texts) => texts.length))

    await eventually(() => expect(least()).toBeGreaterThan(50))
    await second.kill()
    const atKill = least()
    await eventually(() => expect(least()).toBeGreaterThan(atKill + 50))
    expect(await leadersOf(`${prefix}.logs`)).toEqual([1, 1, 1, 1])
    await eventually(async () => expect(await group.commit('logs/1', { offset: 7, state: Buffer.from('seven') })).toBe(true))
    await second.restart()
    stopped = true
    await Promise.all(load)

    const written = acknowledged.flat()
    await eventually(() => expect(followed.size).toBe(written.length))
    stop.abort()
    await following
    for (const [partition, texts] of acknowledged.entries()) {
      const tracker = new SequenceTracker()
      const records = await readAll(journal, [{ signal: 'logs', partition, fromOffset: 0 }])
      expect(records.map(({ payload }) => Buffer.from(payload).toString())).toEqual(texts)
      expect(new Set(records.map(({ mark }) => tracker.observe(mark)))).toEqual(new Set(['new']))
    }
    const mark = (await group.committed(['logs/1'])).get('logs/1')!
    expect([mark.offset, mark.node, Buffer.from(mark.state).toString()]).toEqual([7, 'a', 'seven'])
    expect([...owned]).toEqual([0, 1, 2, 3])
    await group.close()
    await journal.close()
  })
})
