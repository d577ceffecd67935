import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeJournal, readAll, recordOf } from '../contract.ts'
import { RECORD_BYTES_MAX, SequenceTracker, type Appended, type JournalRecord } from '../index.ts'
import {
  deleteBefore,
  eventually,
  kafkaConfigOf,
  kafkajsOf,
  KafkaServer,
  newPrefix,
  PATIENCE_MS,
  openJournal,
  whyNoKafka,
  withAdmin,
} from './kafka.testkit.ts'

const reason = whyNoKafka()
const logs0 = [{ signal: 'logs', partition: 0, fromOffset: 0 }] as const
const textOf = (record: JournalRecord): string => Buffer.from(record.payload).toString()

describe.skipIf(reason !== undefined)('the Kafka journal', { timeout: PATIENCE_MS }, () => {
  let server: KafkaServer

  beforeAll(async () => {
    server = await KafkaServer.start()
  }, PATIENCE_MS)

  afterAll(async () => {
    await server?.stop()
  })

  describeJournal('kafka', async () => {
    const prefix = newPrefix()
    return { open: () => openJournal(server, prefix), crash: (journal) => journal.close() }
  })

  test('concurrent appends of many partitions keep their order and are stored exactly once', async () => {
    const journal = await openJournal(server, newPrefix())
    const appends: Promise<Appended>[] = []
    for (let i = 0; i < 4000; i++) appends.push(journal.append('logs', i % 4, recordOf(`${i}`)))
    const offsets = (await Promise.all(appends)).map(({ offset }) => offset)
    expect(offsets).toEqual(offsets.map((_, i) => Math.floor(i / 4)))
    for (let partition = 0; partition < 4; partition++) {
      const records = await readAll(journal, [{ signal: 'logs', partition, fromOffset: 0 }])
      expect(records.map(textOf)).toEqual(Array.from({ length: 1000 }, (_, i) => `${i * 4 + partition}`))
      expect(records.map(({ mark }) => mark.previous)).toEqual(records.map((_, i) => i - 1))
    }
    expect(journal.kafkaStats().produceRequests).toBeLessThan(100)
    await journal.close()
  })

  test("append times are the broker's: the same for the writer and for every reader", async () => {
    const journal = await openJournal(server, newPrefix())
    const appended = await Promise.all(Array.from('abc', (text) => journal.append('logs', 0, recordOf(text))))
    const records = await readAll(journal, logs0)
    expect(records.map(({ appendedMs }) => appendedMs)).toEqual(appended.map(({ appendedMs }) => appendedMs))
    expect(Math.abs(appended[0]!.appendedMs - Date.now())).toBeLessThan(60_000)
    await journal.close()
  })

  test('a payload of exactly the limit goes through, and is handed out in a buffer of its own size', async () => {
    const journal = await openJournal(server, newPrefix())
    const payload = new Uint8Array(RECORD_BYTES_MAX).fill(7)
    await Promise.all([0, 1, 2].map(() => journal.append('logs', 0, { ...recordOf(''), payload })))
    const records = await readAll(journal, logs0)
    expect(records.map((record) => record.payload.buffer.byteLength)).toEqual([RECORD_BYTES_MAX, RECORD_BYTES_MAX, RECORD_BYTES_MAX])
    expect(Buffer.from(records[2]!.payload).equals(Buffer.from(payload))).toBe(true)
    await journal.close()
  })

  test("what is over the broker's limit is refused as too_large, its neighbours of the same batch are stored", async () => {
    const prefix = newPrefix()
    const journal = await openJournal(server, prefix)
    // Lowered behind the journal's back.
    await withAdmin(server, (admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: 2, name: `${prefix}.logs`, configEntries: [{ name: 'max.message.bytes', value: '100000' }] }],
      }),
    )
    const sizes = [10, 50_000, 200_000, 60_000, 20]
    await eventually(async () => {
      await expect(journal.append('logs', 1, { ...recordOf(''), payload: new Uint8Array(200_000) })).rejects.toMatchObject({
        kind: 'too_large',
      })
    })
    const results = await Promise.allSettled(
      sizes.map((bytes) => journal.append('logs', 0, { ...recordOf(''), payload: new Uint8Array(bytes) })),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    const records = await readAll(journal, logs0)
    expect(records.map(({ payload }) => payload.length)).toEqual([10, 50_000, 60_000, 20])
    const tracker = new SequenceTracker()
    expect(records.map(({ mark }) => tracker.observe(mark))).toEqual(['new', 'new', 'new', 'new'])
    await journal.close()
  })

  test('a full queue pushes back with too_many, and takes more once it has drained', async () => {
    const prefix = newPrefix()
    const journal = await openJournal(server, prefix, { config: kafkaConfigOf(server, prefix, { queue_size_max: '1MB' }) })
    const payload = new Uint8Array(400_000)
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => journal.append('logs', 0, { ...recordOf(''), payload })))
    const rejected = results.filter((result) => result.status === 'rejected')
    expect(rejected).toHaveLength(3)
    expect(rejected[0]!.reason).toMatchObject({ kind: 'too_many', retryAfterMs: 1000 })
    expect(journal.stats()).toMatchObject({ rejectedFull: 3, appendedRecords: 2, bytes: 0 })
    expect((await journal.append('logs', 0, recordOf('more'))).offset).toBe(2)
    await journal.close()
  })

  test('an append after close is canceled, one before is stored', async () => {
    const prefix = newPrefix()
    const journal = await openJournal(server, prefix)
    const last = journal.append('logs', 0, recordOf('last'))
    const closed = journal.close()
    await expect(journal.append('logs', 0, recordOf('late'))).rejects.toMatchObject({ kind: 'canceled' })
    expect((await last).offset).toBe(0)
    await closed
  })

  test('an independent client reads headers and payload', async () => {
    const prefix = newPrefix()
    const journal = await openJournal(server, prefix)
    await journal.append('logs', 2, { ...recordOf('payload', 'acme'), items: 3, position: '{"file":1}' })
    await journal.append('logs', 2, { ...recordOf('second'), mark: { producer: 'edge', epoch: 'e', sequence: 9, previous: 4 } })
    const consumer = kafkajsOf(server).consumer({ groupId: `${prefix}-other` })
    await consumer.connect()
    await consumer.subscribe({ topic: `${prefix}.logs`, fromBeginning: true })
    const seen: { partition: number; value: string; headers: Record<string, string> }[] = []
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        const headers = Object.fromEntries(Object.entries(message.headers!).map(([name, value]) => [name, String(value)]))
        seen.push({ partition, value: message.value!.toString(), headers })
      },
    })
    await eventually(() => expect(seen).toHaveLength(2))
    await consumer.disconnect()
    expect(seen[0]).toMatchObject({
      partition: 2,
      value: 'payload',
      headers: { encoding: 'otlp', tenant: 'acme', items: '3', producer: 'test', sequence: '0', previous: '-1', position: '{"file":1}' },
    })
    expect(seen[1]!.headers).toEqual({
      encoding: 'otlp',
      tenant: 'default',
      items: '1',
      producer: 'edge',
      epoch: 'e',
      sequence: '9',
      previous: '4',
    })
    await journal.close()
  })

  test('messages of others and damaged ones are reported and skipped, also compressed and in transactions', async () => {
    const prefix = newPrefix()
    const foreign: string[] = []
    const onForeign = (topic: string, partition: number, offset: number, why: string): void =>
      void foreign.push(`${topic.slice(prefix.length)}/${partition} ${offset} ${why}`)
    const journal = await openJournal(server, prefix, { onForeign })
    await journal.append('logs', 0, recordOf('ours'))
    const producer = kafkajsOf(server).producer({ transactionalId: prefix, maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    const headers = { encoding: 'otlp', tenant: 't', items: '1', producer: 'p', epoch: 'e', sequence: '0', previous: '-1' }
    const transaction = await producer.transaction()
    await transaction.send({
      topic: `${prefix}.logs`,
      compression: 1,
      messages: [
        { partition: 0, value: 'no headers' },
        { partition: 0, value: 'fine', headers },
      ],
    })
    await transaction.commit()
    await producer.disconnect()
    // The mark of the transaction's end, which nobody sees, has offset 3: a hole in the offsets is no loss.
    await eventually(async () => {
      await journal.refreshOffsets()
      expect(journal.endOffset('logs', 0)).toBe(4)
    })
    const wrong = await producerOf(server, `${prefix}.logs`, [
      { partition: 0, value: null },
      { partition: 0, value: 'x', headers: { ...headers, items: 'many' } },
      { partition: 0, value: 'x', headers: { ...headers, encoding: 'avro' } },
    ])
    expect(wrong).toBe(3)
    await journal.append('logs', 0, recordOf('ours too'))
    const records = await readAll(journal, logs0)
    expect(records.map(textOf)).toEqual(['ours', 'fine', 'ours too'])
    expect(foreign).toEqual([
      '.logs/0 1 it has no header encoding',
      '.logs/0 4 it has no value',
      '.logs/0 5 its header items is "many"',
      '.logs/0 6 its header encoding is "avro"',
    ])
    expect(records.map(({ offset }) => offset)).toEqual([0, 2, 7])
    expect(journal.kafkaStats().foreignRecords).toBe(4)
    await journal.close()
  })

  test('an offset that was deleted is an error that names the range; so is one past the end', async () => {
    const prefix = newPrefix()
    const journal = await openJournal(server, prefix)
    for (let i = 0; i < 10; i++) await journal.append('logs', 0, recordOf(`${i}`))
    await deleteBefore(server, `${prefix}.logs`, 0, 6)
    await expect(readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 2 }])).rejects.toMatchObject({
      kind: 'not_found',
      message: 'cannot read logs/0 from offset 2: records 2 to 5 are gone',
    })
    expect(journal.startOffset('logs', 0)).toBe(6)
    expect((await readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 6 }])).map(textOf)).toEqual(['6', '7', '8', '9'])
    await expect(readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 11 }])).rejects.toMatchObject({
      kind: 'not_found',
      message: expect.stringContaining('the topic ends at 10'),
    })
    await journal.close()
    const again = await openJournal(server, prefix)
    expect([again.startOffset('logs', 0), again.endOffset('logs', 0)]).toEqual([6, 10])
    await again.close()
  })

  test('control records are deleted up to what every cursor has passed, data never', async () => {
    const journal = await openJournal(server, newPrefix())
    for (let i = 0; i < 5; i++) await journal.append('control', 0, { ...recordOf(`${i}`), encoding: 'json' })
    await journal.append('logs', 0, recordOf('data'))
    await journal.deletePassed()
    expect(journal.startOffset('control', 0)).toBe(0)
    const [a, b] = [journal.cursor('a'), journal.cursor('b')]
    a.advance('control/0', 4)
    b.advance('control/0', 2)
    a.advance('logs/0', 1)
    await journal.deletePassed()
    await journal.refreshOffsets()
    expect([journal.startOffset('control', 0), journal.startOffset('logs', 0)]).toEqual([2, 0])
    b.remove()
    await journal.deletePassed()
    expect((await readAll(journal, [{ signal: 'control', partition: 0, fromOffset: 4 }])).map(textOf)).toEqual(['4'])
    await expect(readAll(journal, [{ signal: 'control', partition: 0, fromOffset: 3 }])).rejects.toMatchObject({ kind: 'not_found' })
    await journal.close()
  })

  test('topics made anew are another journal, and a reader of the old ones is told', async () => {
    const prefix = newPrefix()
    const journal = await openJournal(server, prefix)
    await journal.append('logs', 0, recordOf('a'))
    const stop = new AbortController()
    const reading = (async () => {
      for await (const batch of journal.read(logs0, { follow: true, signal: stop.signal })) expect(batch.map(textOf)).toEqual(['a'])
    })()
    const ended = reading.catch((error: unknown) => error)
    await withAdmin(server, (admin) => admin.deleteTopics({ topics: [`${prefix}.logs`] }))
    const again = await openJournal(server, prefix)
    expect(again.epoch).not.toBe(journal.epoch)
    expect(await ended).toMatchObject({ kind: 'conflict', message: expect.stringContaining('made anew') })
    await again.close()
    await journal.close()
  })
})

type Message = { partition: number; value: string | null; headers?: Record<string, string> }

async function producerOf(server: KafkaServer, topic: string, messages: Message[]): Promise<number> {
  const producer = kafkajsOf(server).producer()
  await producer.connect()
  await producer.send({ topic, messages })
  await producer.disconnect()
  return messages.length
}
