import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAll, recordOf } from '../contract.ts'
import { SequenceTracker, type JournalRecord, type KafkaJournal } from '../index.ts'
import { eventually, kafkaConfigOf, KafkaServer, newPrefix, PATIENCE_MS, openJournal, whyNoKafka } from './kafka.testkit.ts'

const reason = whyNoKafka()
const PARTITIONS = [0, 1, 2, 3]
const textOf = (record: JournalRecord): string => Buffer.from(record.payload).toString()

/** Appends to one partition, eight at a time, as fast as it is let; what is rejected is not tried again. */
class Load {
  readonly acknowledged: string[] = []
  rejected = 0
  #stopped = false
  readonly #running: Promise<unknown>

  constructor(journal: KafkaJournal, name: string, partition: number) {
    let next = 0
    const lane = async (): Promise<void> => {
      while (!this.#stopped) {
        const text = `${name} ${next++}`
        await journal.append('logs', partition, recordOf(text)).then(
          () => this.acknowledged.push(text),
          () => this.rejected++,
        )
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    this.#running = Promise.all(Array.from({ length: 8 }, lane))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }
}

describe.skipIf(reason !== undefined)('a broker that is killed', { timeout: PATIENCE_MS }, () => {
  let server: KafkaServer

  beforeAll(async () => {
    server = await KafkaServer.start()
  }, PATIENCE_MS)

  afterAll(async () => {
    await server?.stop()
  })

  test('loses nothing that was acknowledged, stores nothing twice, keeps the order; a reader goes on by itself', async () => {
    const prefix = newPrefix()
    const writers = await Promise.all(['a', 'b', 'c'].map((producer) => openJournal(server, prefix, { producer })))
    const loads = writers.flatMap((journal, w) =>
      PARTITIONS.map((partition) => new Load(journal, `writer ${w} partition ${partition}`, partition)),
    )
    const stop = new AbortController()
    const followed: string[] = []
    const following = (async () => {
      const from = PARTITIONS.map((partition) => ({ signal: 'logs' as const, partition, fromOffset: 0 }))
      for await (const batch of writers[0]!.read(from, { follow: true, signal: stop.signal })) followed.push(...batch.map(textOf))
    })()
    for (let round = 0; round < 2; round++) {
      await new Promise((resolve) => setTimeout(resolve, 800))
      await server.kill()
      await new Promise((resolve) => setTimeout(resolve, 500))
      await server.restart()
    }
    const before = loads.reduce((sum, load) => sum + load.acknowledged.length, 0)
    await eventually(() => expect(loads.reduce((sum, load) => sum + load.acknowledged.length, 0)).toBeGreaterThan(before + 500))
    await Promise.all(loads.map((load) => load.stop()))

    const acknowledged = loads.flatMap((load) => load.acknowledged)
    expect(loads.reduce((sum, load) => sum + load.rejected, 0)).toBe(0)
    expect(writers.reduce((sum, journal) => sum + journal.kafkaStats().produceRetries, 0)).toBeGreaterThan(0)
    const stored: string[] = []
    for (const partition of PARTITIONS) {
      const tracker = new SequenceTracker()
      for (const record of await readAll(writers[1]!, [{ signal: 'logs', partition, fromOffset: 0 }])) {
        const verdict = tracker.observe(record.mark)
        expect(verdict).not.toBe('gap')
        if (verdict === 'new') stored.push(textOf(record))
      }
    }
    expect(stored.toSorted()).toEqual(acknowledged.toSorted())
    const numberOf = (text: string): number => Number(text.split(' ').at(-1))
    for (const name of ['writer 0 partition 0', 'writer 2 partition 3']) {
      const numbers = stored.filter((text) => text.startsWith(`${name} `)).map(numberOf)
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
    await eventually(() => expect(followed).toHaveLength(stored.length))
    expect(followed.toSorted()).toEqual(stored.toSorted())
    stop.abort()
    await following
    await Promise.all(writers.map((journal) => journal.close()))
  })

  test('for longer than the delivery timeout: appends are rejected as unavailable, and what comes after leaves no gap', async () => {
    const prefix = newPrefix()
    const config = kafkaConfigOf(server, prefix, { delivery_timeout: '1s', request_timeout: '1s' })
    const journal = await openJournal(server, prefix, { config })
    await journal.append('logs', 0, recordOf('before'))
    await server.kill()
    const lost = await Promise.allSettled(['x', 'y', 'z'].map((text, i) => journal.append('logs', i % 2, recordOf(text))))
    for (const result of lost) expect(result).toMatchObject({ status: 'rejected', reason: { kind: 'unavailable', retryAfterMs: 1000 } })
    expect(journal.stats().bytes).toBe(0)
    await server.restart()
    await eventually(() => journal.append('logs', 0, recordOf('after')))
    const records = await readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 0 }])
    const tracker = new SequenceTracker()
    expect(records.map(({ mark }) => tracker.observe(mark))).not.toContain('gap')
    expect([textOf(records[0]!), textOf(records.at(-1)!)]).toEqual(['before', 'after'])
    await journal.close()
  })
})
