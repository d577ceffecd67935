import { CompressionTypes, Partitioners, type Producer } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openKafkaInputs, type InputRecord, type InputsLost, type KafkaInputs, type KafkaInputsOptions } from '../index.ts'
import {
  createTopic,
  deleteBefore,
  eventually,
  kafkaConfigOf,
  kafkajsOf,
  KafkaServer,
  newPrefix,
  PATIENCE_MS,
  openJournal,
  whyNoKafka,
} from './kafka.testkit.ts'

const reason = whyNoKafka()
const PARTITIONS = 4
const STEADY = { session_timeout: '20s', rebalance_timeout: '20s', heartbeat_interval: '200ms' }
const textOf = (record: InputRecord): string => Buffer.from(record.value).toString()

describe.skipIf(reason !== undefined)('input topics', { timeout: PATIENCE_MS }, () => {
  let server: KafkaServer
  let producer: Producer
  const running: { close(): Promise<void> }[] = []

  beforeAll(async () => {
    server = await KafkaServer.start()
    producer = kafkajsOf(server).producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
  }, PATIENCE_MS)

  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.close()))
  })

  afterAll(async () => {
    await producer?.disconnect()
    await server?.stop()
  })

  async function open(
    prefix: string,
    node: string,
    handle: KafkaInputsOptions['handle'],
    more: Partial<KafkaInputsOptions> = {},
  ): Promise<KafkaInputs> {
    const unexpected = (what: unknown): never => {
      throw new Error(`unexpected: ${JSON.stringify(what)}`)
    }
    const inputs = await openKafkaInputs({
      config: kafkaConfigOf(server, prefix, STEADY),
      partitions: PARTITIONS,
      node,
      handle,
      onLost: unexpected,
      onFatal: unexpected,
      ...more,
    })
    running.push(inputs)
    return inputs
  }

  test('what an independent client wrote is handed over, in order, with headers, signal and offsets', async () => {
    const prefix = newPrefix()
    const seen: InputRecord[] = []
    const inputs = await open(prefix, 'a', async (batch) => void seen.push(...batch))
    const messages = Array.from({ length: 50 }, (_, i) => ({
      partition: 2,
      value: `line ${i}`,
      headers: { encoding: 'otlp', tenant: 'acme' },
    }))
    await producer.send({ topic: `${prefix}.in.logs`, messages })
    await producer.send({ topic: `${prefix}.in.traces`, compression: CompressionTypes.GZIP, messages: [{ partition: 1, value: 'span' }] })
    await eventually(() => expect(seen).toHaveLength(51))
    const logs = seen.filter(({ signal }) => signal === 'logs')
    expect(logs.map(textOf)).toEqual(messages.map(({ value }) => value))
    expect(logs.map(({ offset }) => offset)).toEqual(messages.map((_, i) => i))
    expect(logs[0]).toMatchObject({
      inputPartition: 2,
      headers: new Map([
        ['encoding', 'otlp'],
        ['tenant', 'acme'],
      ]),
    })
    expect(logs[0]!.value.buffer.byteLength).toBe('line 0'.length)
    expect(seen.find(({ signal }) => signal === 'traces')).toMatchObject({ inputPartition: 1, offset: 0, headers: new Map() })
    expect(inputs.stats()).toMatchObject({ records: 51, refused: 0, lostRecords: 0 })
  })

  test('a batch that is refused comes again, the same, until it is taken; other partitions go on; nothing is skipped', async () => {
    const prefix = newPrefix()
    const offered: string[][] = []
    const others: string[] = []
    let refusals = 3
    const inputs = await open(prefix, 'a', async (batch) => {
      if (batch[0]!.inputPartition !== 0) return void others.push(...batch.map(textOf))
      offered.push(batch.map(textOf))
      if (refusals-- > 0) throw new Error('full')
    })
    await producer.send({ topic: `${prefix}.in.logs`, messages: Array.from('abc', (value) => ({ partition: 0, value })) })
    await eventually(() => expect(offered.length).toBeGreaterThan(1))
    await producer.send({
      topic: `${prefix}.in.logs`,
      messages: [
        { partition: 1, value: 'other' },
        { partition: 0, value: 'd' },
      ],
    })
    await eventually(() => expect(offered).toHaveLength(5))
    expect(offered).toEqual([['a', 'b', 'c'], ['a', 'b', 'c'], ['a', 'b', 'c'], ['a', 'b', 'c'], ['d']])
    expect(others).toEqual(['other'])
    expect(inputs.stats()).toMatchObject({ refused: 3, records: 5 })
  })

  test('after a restart it goes on behind the last batch that was taken', async () => {
    const prefix = newPrefix()
    const first: string[] = []
    const a = await open(prefix, 'a', async (batch) => void first.push(...batch.map(textOf)))
    await producer.send({ topic: `${prefix}.in.metrics`, messages: [{ partition: 0, value: 'one' }] })
    await eventually(() => expect(first).toEqual(['one']))
    await eventually(() => expect(a.stats().batches).toBe(1))
    await a.close()
    await producer.send({ topic: `${prefix}.in.metrics`, messages: [{ partition: 0, value: 'two' }] })
    const second: string[] = []
    await open(prefix, 'a', async (batch) => void second.push(...batch.map(textOf)))
    await eventually(() => expect(second).toEqual(['two']))
  })

  test('two nodes share the partitions; one that leaves finishes what it has in hand; each record is taken once', async () => {
    const prefix = newPrefix()
    const taken: string[] = []
    const by = { a: 0, b: 0 }
    const handler =
      (node: 'a' | 'b'): KafkaInputsOptions['handle'] =>
      async (batch) => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        by[node] += batch.length
        taken.push(...batch.map(textOf))
      }
    const a = await open(prefix, 'a', handler('a'))
    const written: string[] = []
    let stopped = false
    const load = (async () => {
      for (let i = 0; !stopped; i++) {
        const messages = Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, value: `${partition}:${i}` }))
        await producer.send({ topic: `${prefix}.in.logs`, messages })
        written.push(...messages.map(({ value }) => value))
        await new Promise((resolve) => setTimeout(resolve, 3))
      }
    })()
    await eventually(() => expect(by.a).toBeGreaterThan(50))
    await open(prefix, 'b', handler('b'))
    await eventually(() => expect(by.b).toBeGreaterThan(50))
    await a.leave()
    const atLeave = by.b
    await eventually(() => expect(by.b).toBeGreaterThan(atLeave + 50))
    stopped = true
    await load
    await eventually(() => expect(taken.length).toBeGreaterThanOrEqual(written.length))
    expect(taken.toSorted()).toEqual(written.toSorted())
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const numbers = taken.filter((text) => text.startsWith(`${partition}:`)).map((text) => Number(text.split(':')[1]))
      expect(numbers).toEqual(numbers.toSorted((x, y) => x - y))
    }
  })

  test('records that retention took before they were read are reported with their range, and reading goes on', async () => {
    const prefix = newPrefix()
    await (await openJournal(server, prefix)).close()
    const seen: string[] = []
    const lost: InputsLost[] = []
    const a = await open(prefix, 'a', async (batch) => void seen.push(...batch.map(textOf)))
    await producer.send({ topic: `${prefix}.in.logs`, messages: [{ partition: 3, value: '0' }] })
    await eventually(() => expect(a.stats().batches).toBe(1))
    await a.close()
    await producer.send({ topic: `${prefix}.in.logs`, messages: Array.from('12345', (value) => ({ partition: 3, value })) })
    await deleteBefore(server, `${prefix}.in.logs`, 3, 4)
    const b = await open(prefix, 'a', async (batch) => void seen.push(...batch.map(textOf)), { onLost: (one) => void lost.push(one) })
    await eventually(() => expect(seen).toEqual(['0', '4', '5']))
    expect(lost).toEqual([{ signal: 'logs', inputPartition: 3, fromOffset: 1, toOffset: 4 }])
    expect(b.stats().lostRecords).toBe(3)
  })

  test('topics that others made keep their partition count, and are read from their start', async () => {
    const prefix = newPrefix()
    await createTopic(server, `${prefix}.in.logs`, 7)
    await producer.send({ topic: `${prefix}.in.logs`, messages: [{ partition: 6, value: 'early' }] })
    const seen: InputRecord[] = []
    await open(prefix, 'a', async (batch) => void seen.push(...batch))
    await eventually(() => expect(seen.map(textOf)).toEqual(['early']))
    expect(seen[0]).toMatchObject({ signal: 'logs', inputPartition: 6, offset: 0 })
  })
})
