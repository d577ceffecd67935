/** The log store on a real Elasticsearch: the contract of all log stores, and what is its own. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canRunElasticsearch, ElasticsearchServer } from '../../test/harness/elasticsearch.ts'
import { eventually } from '../../test/harness/eventually.ts'
import { describeLogStore, expectBalance, linesOf, START_MS, TestJournal, type TestLine } from '../logs/contract.ts'
import { ElasticSubject, LIMITS, settingsFor } from './elastic.testkit.ts'
import { needleClauses } from './search-query.ts'

describe.skipIf(!canRunElasticsearch())('logs in Elasticsearch', () => {
  let server: ElasticsearchServer
  const subjects: ElasticSubject[] = []

  beforeAll(async () => {
    server = await ElasticsearchServer.start()
  }, 180_000)

  afterAll(async () => {
    for (const subject of subjects) await subject.close()
    await server.stop()
  })

  const subjectOf = (prefix: string, section: Readonly<Record<string, unknown>> = {}): ElasticSubject => {
    const subject = new ElasticSubject(settingsFor(server.url, { index_prefix: prefix, ...section }))
    subjects.push(subject)
    return subject
  }

  describeLogStore('elasticsearch', async () => {
    const subject = subjectOf('contract')
    return {
      open: () => subject.open(),
      crash: (partition) => partition.store.close(),
      reader: (tenant) => subject.reader(tenant),
      visible: (partition) => subject.settled(partition),
    }
  })

  const line = (i: number, more: Partial<TestLine> = {}): TestLine => ({ ms: i, text: `line ${i}`, ...more })

  test('a rollover between a kill and the replay doubles nothing', async () => {
    const subject = subjectOf('rollover')
    const journal = new TestJournal()
    const first = await subject.open()
    for (let i = 0; i < 5; i++) first.append(journal.record([line(i)]))
    await first.checkpoint()
    for (let i = 5; i < 40; i++) first.append(journal.record([line(i)], { position: i % 2 === 0 ? '{}' : '' }))
    await eventually(async () => expect(await subject.count()).toBe(40))
    await first.store.close()
    await subject.rollOver()
    const second = await subject.open()
    expect(second.nextOffset).toBe(5)
    journal.replay(second)
    for (let i = 40; i < 45; i++) second.append(journal.record([line(i)]))
    await second.checkpoint()
    expect(await subject.count()).toBe(45)
    expect(second.ledger).toMatchObject({ stored: 45, dropped: {} })
    expectBalance(second)
    expect(await linesOf(subject.reader(), '{app="a"}')).toEqual(Array.from({ length: 45 }, (_, i) => `line ${i}`))
    await second.store.close()
  })

  test('a client that repeats its request after a rollover is recognised', async () => {
    const subject = subjectOf('repeat-rollover')
    const journal = new TestJournal()
    const partition = await subject.open()
    const now = { appendedMs: Date.now() }
    partition.append(journal.record([line(1), line(2)], now))
    await partition.checkpoint()
    await subject.rollOver()
    partition.append(journal.record([line(3)], now))
    await partition.checkpoint()
    partition.append(journal.record([line(1), line(2), line(3)], now))
    await partition.checkpoint()
    expect(partition.ledger).toMatchObject({ stored: 3, dropped: { duplicate: 3 } })
    expect(await subject.count()).toBe(3)
    await partition.store.close()
  })

  test('it rolls over by itself at a checkpoint, and old indices go with the retention', async () => {
    const subject = subjectOf('retention', { rollover_age: '1ms' })
    const journal = new TestJournal()
    const partition = await subject.open()
    partition.append(journal.record([line(1)]))
    await partition.checkpoint()
    partition.append(journal.record([line(100_000)]))
    await partition.checkpoint()
    const { data_streams } = await server.ask<{ data_streams: { indices: unknown[] }[] }>('GET', `/_data_stream/${subject.index}`)
    expect(data_streams[0]!.indices).toHaveLength(3)
    await subject.refresh()
    expect(await linesOf(subject.reader(), '{app="a"}')).toEqual(['line 1', 'line 100000'])
    expect(partition.store.dropBefore(() => START_MS + 50_000)).toBe(0)
    expect(await subject.count()).toBe(2)
    // The cut-off is compared with when an index was made, too: only what is older in both goes.
    await eventually(async () => {
      partition.store.dropBefore(() => Date.now() + 1000)
      expect(await subject.count()).toBe(0)
    })
    await partition.store.close()
  })

  test('two journals that share the store do not take each other for repeats', async () => {
    const subject = subjectOf('journals')
    const [a, b] = [new TestJournal(), new TestJournal()]
    const [first, second] = [await subject.open({ journal: 'a' }), await subject.open({ journal: 'b' })]
    first.append(a.record([line(1, { text: 'of a' })], { position: '{}' }))
    second.append(b.record([line(1, { text: 'of b' })], { position: '{}' }))
    await first.checkpoint()
    await second.checkpoint()
    expect(await subject.count()).toBe(2)
    await first.store.close()
    await second.store.close()
  })

  test('a document that the mapping refuses is put aside and counted, its neighbours are stored', async () => {
    const subject = subjectOf('refusals')
    const journal = new TestJournal()
    const partition = await subject.open({ limits: { ...LIMITS, futureMaxMs: 0 } })
    const year2400Ms = Date.parse('2400-01-01T00:00:00Z') - START_MS
    partition.append(journal.record([line(1), line(year2400Ms), line(2)]))
    partition.append(journal.record([line(3, { labels: { app: 'a', huge: 'v'.repeat(40_000) } }), line(4)]))
    await partition.checkpoint()
    expect(partition.ledger).toMatchObject({ items: 5, stored: 3, dropped: { refused: 2 } })
    expectBalance(partition)
    await subject.refresh()
    expect(await linesOf(subject.reader(), '{app="a"}')).toEqual(['line 1', 'line 2', 'line 4'])
    const refused = `${subject.index}-refused`
    expect(await subject.count(refused)).toBe(2)
    const { hits } = await server.ask<{ hits: { hits: { _source: { reason: string; document: { line: string } } }[] } }>(
      'GET',
      `/${refused}/_search`,
    )
    const byLine = new Map(hits.hits.map(({ _source }) => [_source.document.line, _source.reason]))
    expect(byLine.get(`line ${year2400Ms}`)).toContain('2400-01-01')
    expect(byLine.get('line 3')).toContain('stream')
    expect(partition.store.counters?.()['items/refused']).toBe(2)
    await partition.store.close()
  })

  test('a folder of the embedded store is refused', async () => {
    const subject = subjectOf('embedded')
    const options = {
      dir: subject.dir,
      files: [{ name: 'x', bytes: 1, fromOffset: 0, toOffset: 1, minMs: 0, maxMs: 0 }],
      state: undefined,
      limits: LIMITS,
    }
    const { elasticLogsHost } = await import('./index.ts')
    const place = { number: 3, journal: 'j', onTrouble: () => {} }
    await expect(elasticLogsHost(subject.settings).openStore(options, place)).rejects.toMatchObject({ kind: 'conflict' })
  })

  test('a canceled query ends', async () => {
    const subject = subjectOf('contract')
    const canceled = AbortSignal.abort()
    const request = {
      query: '{app="bulk"}',
      start: { ms: 0, subNs: 0 },
      end: { ms: 1e13, subNs: 0 },
      direction: 'forward',
      limit: 10,
      bytesMax: 1e6,
    } as const
    await expect(subject.reader().queryable.lines(request, canceled)).rejects.toMatchObject({ kind: 'canceled' })
  })

  test('the words of a needle never miss a line that holds it', async () => {
    const subject = subjectOf('words')
    const partition = await subject.open()
    const journal = new TestJournal()
    const piece = fc.oneof(
      { weight: 3, arbitrary: fc.string({ minLength: 1, maxLength: 8 }) },
      { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }) },
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          'error',
          'Error',
          'a.b',
          'x_y',
          "don't",
          '12,5',
          'k="v"',
          'אב"ג',
          '1️⃣',
          '日本',
          '-',
          '=',
          ' ',
          '\t',
          '/',
          '@',
          '#',
          '"',
          ':',
          ';',
          'é',
          'w'.repeat(260),
        ),
      },
    )
    const texts = fc.sample(
      fc.array(piece, { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join('')),
      { numRuns: 300, seed: 7 },
    )
    partition.append(journal.record(texts.map((text, i) => line(i, { text }))))
    await partition.checkpoint()
    await subject.refresh()
    const needles = texts.flatMap((text, i) => {
      const from = (i * 7) % text.length
      return [
        [i, text.slice(from, from + 3 + (i % 20))],
        [i, text.slice(0, 5)],
        [i, text.slice(-5)],
      ] as const
    })
    const wanted = needles.filter(([, needle]) => needle.isWellFormed() && needleClauses([needle]).length > 0)
    expect(wanted.length).toBeGreaterThan(300)
    const lines = wanted.flatMap(([i, needle]) => [
      '{}',
      JSON.stringify({
        size: 0,
        track_total_hits: true,
        query: { bool: { filter: [{ term: { position: i } }, ...needleClauses([needle])] } },
      }),
    ])
    const { responses } = await subject.connection.request<{ responses: { hits: { total: { value: number } } }[] }>({
      method: 'POST',
      path: `/${subject.index}/_msearch`,
      lines: `${lines.join('\n')}\n`,
    })
    const missed = wanted.filter((_, i) => responses[i]!.hits.total.value !== 1)
    expect(missed).toEqual([])
    await partition.store.close()
  })
})
