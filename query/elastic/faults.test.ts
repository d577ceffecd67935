/** Elasticsearch away, slow, refusing, killed: nothing is lost, nothing is doubled, and who appends is told to wait. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { canRunElasticsearch, ElasticsearchServer } from '../../test/harness/elasticsearch.ts'
import { eventually } from '../../test/harness/eventually.ts'
import { HttpProxy } from '../../test/harness/http-proxy.ts'
import { expectBalance, linesOf, TestJournal, type TestLine } from '../logs/contract.ts'
import type { Partition } from '../shard/partition.ts'
import { ElasticSubject, settingsFor } from './elastic.testkit.ts'

describe.skipIf(!canRunElasticsearch())('trouble with Elasticsearch', () => {
  let server: ElasticsearchServer
  let proxy: HttpProxy
  const subjects: ElasticSubject[] = []
  const partitions: Partition[] = []

  beforeAll(async () => {
    server = await ElasticsearchServer.start()
    proxy = await HttpProxy.start(server.port)
  }, 180_000)

  afterEach(async () => {
    proxy.delayMs = 0
    proxy.intercept = () => undefined
    proxy.swallowsAnswer = () => false
    for (const partition of partitions.splice(0)) await partition.store.close()
  })

  afterAll(async () => {
    for (const subject of subjects) await subject.close()
    await proxy.stop()
    await server.stop()
  })

  const start = async (
    prefix: string,
    section: Readonly<Record<string, unknown>> = {},
  ): Promise<{ subject: ElasticSubject; partition: Partition }> => {
    const subject = new ElasticSubject(settingsFor(proxy.url, { index_prefix: prefix, ...section }))
    subjects.push(subject)
    const partition = await subject.open()
    partitions.push(partition)
    return { subject, partition }
  }

  const linesFrom = (from: number, count: number, pad = ''): TestLine[] =>
    Array.from({ length: count }, (_, i) => ({ ms: from + i, text: `line ${from + i}${pad}` }))

  const append = (partition: Partition, journal: TestJournal, lines: readonly TestLine[], position = '{}'): void =>
    partition.append(journal.record(lines, { position }))

  const expectAll = async (subject: ElasticSubject, count: number): Promise<void> => {
    expect(await subject.count()).toBe(count)
    expect(await linesOf(subject.reader(), '{app="a"}', { limit: 100_000 })).toEqual(linesFrom(0, count).map(({ text }) => text))
  }

  test('answers of 429 for a while, of requests and of single documents', async () => {
    const { subject, partition } = await start('rejects')
    const journal = new TestJournal()
    append(partition, journal, linesFrom(0, 10))
    await partition.checkpoint()
    let rejected = 0
    proxy.intercept = (_method, path) => {
      if (!path.includes('_bulk') || rejected >= 4) return undefined
      rejected++
      if (rejected % 2 === 0)
        return { status: 429, body: '{"error":{"type":"circuit_breaking_exception","reason":"too much"},"status":429}' }
      const item = { create: { status: 429, error: { type: 'es_rejected_execution_exception', reason: 'queue is full' } } }
      return { status: 200, body: JSON.stringify({ errors: true, items: Array.from({ length: 20 }, () => item) }) }
    }
    append(partition, journal, linesFrom(10, 20))
    await partition.checkpoint()
    expect(rejected).toBe(4)
    await expectAll(subject, 30)
    expect(partition.ledger).toMatchObject({ stored: 30, dropped: {} })
    expect(partition.store.counters!()).toMatchObject({ 'items/stored': 30, retried_items: 80, 'requests/rejected': 2 })
    expectBalance(partition)
  })

  test('an answer that gets lost, with a rollover before the second try', async () => {
    const { subject, partition } = await start('lost-answers')
    const journal = new TestJournal()
    append(partition, journal, linesFrom(0, 10))
    await partition.checkpoint()
    let swallowed = 0
    proxy.swallowsAnswer = (_method, path) => path.includes('_bulk') && swallowed++ < 2
    append(partition, journal, linesFrom(10, 20))
    append(partition, journal, linesFrom(30, 20), '')
    await eventually(() => expect(swallowed).toBeGreaterThan(0))
    await subject.rollOver()
    await partition.checkpoint()
    await expectAll(subject, 50)
    expect(partition.ledger).toMatchObject({ stored: 50, dropped: {} })
    expectBalance(partition)
  })

  test('a request that takes longer than its timeout', async () => {
    const { subject, partition } = await start('slow', { request_timeout: '300ms' })
    const journal = new TestJournal()
    append(partition, journal, linesFrom(0, 5))
    await partition.checkpoint()
    proxy.delayMs = 2500
    append(partition, journal, linesFrom(5, 20))
    await eventually(() => expect(partition.store.counters!()['requests/timeout']).toBeGreaterThan(0))
    proxy.delayMs = 0
    await partition.checkpoint()
    await expectAll(subject, 25)
    expect(partition.ledger).toMatchObject({ stored: 25, dropped: {} })
  })

  test('a query says what is wrong', async () => {
    const { subject, partition } = await start('queries', { request_timeout: '300ms' })
    append(partition, new TestJournal(), linesFrom(0, 5))
    await partition.checkpoint()
    proxy.intercept = (_method, path) =>
      path.includes('_search') ? { status: 503, body: '{"error":{"type":"x","reason":"no shard"}}' } : undefined
    await expect(linesOf(subject.reader(), '{app="a"}')).rejects.toMatchObject({ kind: 'unavailable' })
    proxy.intercept = () => undefined
    proxy.delayMs = 2500
    await expect(linesOf(subject.reader(), '{app="a"}')).rejects.toMatchObject({ kind: 'timeout' })
  })

  test('a full queue holds up the appender and lets it go on; memory stays bounded', async () => {
    const { subject, partition } = await start('full', { queue_size_max: 200_000, bulk_size_max: 50_000 })
    const journal = new TestJournal()
    append(partition, journal, linesFrom(0, 1))
    await partition.checkpoint()
    proxy.intercept = (_method, path) => (path.includes('_bulk') ? { status: 503, body: '{}' } : undefined)
    let count = 1
    while (partition.store.room!() === undefined && count < 10_000) {
      append(partition, journal, linesFrom(count, 50))
      count += 50
    }
    expect(partition.store.counters!()['queue_bytes']).toBeLessThan(300_000)
    let hasRoom = false
    void partition.store.room!()!.then(() => (hasRoom = true))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(hasRoom).toBe(false)
    proxy.intercept = () => undefined
    await eventually(() => expect(hasRoom).toBe(true))
    await partition.checkpoint()
    await expectAll(subject, count)
    expect(partition.store.counters!()['queue_bytes']).toBe(0)
  })

  test('a kill -9 of the server while lines come in', async () => {
    const { subject, partition } = await start('killed', { bulk_size_max: 20_000 })
    const journal = new TestJournal()
    let count = 0
    let goesOn = true
    const appending = (async () => {
      while (goesOn) {
        append(partition, journal, linesFrom(count, 20), count % 40 === 0 ? '' : '{}')
        count += 20
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    await eventually(() => expect(count).toBeGreaterThan(1000))
    await server.kill()
    const before = count
    await eventually(() => expect(count).toBeGreaterThan(before + 500))
    await server.restart()
    await eventually(() => expect(count).toBeGreaterThan(before + 1000))
    goesOn = false
    await appending
    await partition.checkpoint()
    await expectAll(subject, count)
    expect(partition.ledger).toMatchObject({ stored: count, dropped: {} })
    expect(subject.troubles.length).toBeGreaterThan(0)
  }, 120_000)
})
