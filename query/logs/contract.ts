/**
 * What every log store must do for LogQL and the Loki API, as one suite that is run against each: the same records in, the same answers out, whether they lie in files of a partition or
 * in a server that all share.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JournalRecord } from '../../lib/journal/index.ts'
import { labelsKey, labelsOf, labelsToObject, type Labels } from '../../lib/model/index.ts'
import { LogBatchBuilder } from '../../lib/wire/otlp/logs/index.ts'
import { createLogEngine, type Direction, type QueryResult } from '../logql/index.ts'
import type { LogsReader } from '../shard/logs/index.ts'
import type { Partition } from '../shard/partition.ts'

export interface LogStoreUnderTest {
  /** The one partition the suite writes to; again after `crash` with what its last checkpoint says. */
  open(): Promise<Partition>
  /** Ends it as a kill would. */
  crash(partition: Partition): Promise<void>
  reader(tenant: string): LogsReader
  /** Everything appended can be found. */
  visible(partition: Partition): Promise<void>
}

export interface TestLine {
  readonly labels?: Readonly<Record<string, string>>
  /** After `START_MS`. */
  readonly ms: number
  readonly subNs?: number
  readonly text: string | Uint8Array
  readonly metadata?: Readonly<Record<string, string>>
}

export const START_MS = 1_700_000_000_000
const JOURNAL_TIME_MS = START_MS + 600_000
const RANGE = { startMs: START_MS, endMs: START_MS + 600_000 }
const LIMITS = { seriesMax: 500, stepsMax: 11_000, cellsMax: 1_000_000, bytesMax: 1 << 26, timeoutMs: 60_000 }
const engine = createLogEngine()
const { signal } = new AbortController()

/** The journal of one partition: what was appended may be replayed. */
export class TestJournal {
  readonly records: JournalRecord[] = []

  record(lines: readonly TestLine[], { tenant = 'default', position = '', appendedMs = JOURNAL_TIME_MS } = {}): JournalRecord {
    const builder = new LogBatchBuilder({ partitionOf: () => 0 })
    for (const { labels = { app: 'a' }, ms, subNs = 0, text, metadata } of lines) {
      builder.add(labelsOf(labels), START_MS + ms, subNs, text, metadata === undefined ? undefined : labelsOf(metadata))
    }
    const [batch] = builder.finish()
    const offset = this.records.length
    const mark = { producer: 'test', epoch: 'e', sequence: offset, previous: offset - 1 }
    const { payload, items } = batch!
    const record: JournalRecord = {
      signal: 'logs',
      partition: 0,
      offset,
      appendedMs,
      encoding: 'otlp',
      tenant,
      items,
      position,
      mark,
      payload,
    }
    this.records.push(record)
    return record
  }

  replay(partition: Partition): void {
    for (const record of this.records) if (record.offset >= partition.nextOffset) partition.append(record)
  }
}

/** Everything a partition was given is accounted for. */
export function expectBalance({ ledger }: Partition): void {
  const dropped = Object.values(ledger.dropped).reduce((sum, count) => sum + count, 0)
  expect(ledger.stored + ledger.repeatedItems + dropped).toBe(ledger.items)
}

interface RangeOptions {
  readonly direction?: Direction
  readonly limit?: number
  readonly startMs?: number
  readonly endMs?: number
  readonly stepMs?: number
}

export function queryRange(reader: LogsReader, query: string, options: RangeOptions = {}): Promise<QueryResult> {
  const { direction = 'forward', limit = 1000, startMs = RANGE.startMs, endMs = RANGE.endMs, stepMs = 60_000 } = options
  const range = { query, start: { ms: startMs, subNs: 0 }, end: { ms: endMs, subNs: 0 }, stepMs, direction, limit }
  return engine.range(reader.queryable, range, LIMITS)
}

/** The texts of lines, in order; bytes that are no UTF-8 as latin1. */
export async function linesOf(reader: LogsReader, query: string, options?: RangeOptions): Promise<string[]> {
  const result = await queryRange(reader, query, options)
  if (result.type !== 'streams') throw new Error('no lines')
  const { lines } = result
  const bytes = Buffer.from(lines.lineBytes)
  return Array.from({ length: lines.count }, (_, i) => {
    const line = bytes.subarray(lines.lineStart[i], lines.lineStart[i + 1])
    return line.toString('utf8').includes('\ufffd') ? line.toString('latin1') : line.toString('utf8')
  })
}

async function seriesOf(reader: LogsReader, query: string, options?: RangeOptions): Promise<Record<string, number[]>> {
  const result = await queryRange(reader, query, options)
  if (result.type !== 'matrix') throw new Error('no matrix')
  return Object.fromEntries(
    result.series.map(({ labels, values }) => [formatted(labels), [...values].map((value) => Math.round(value * 1e9) / 1e9)]),
  )
}

const formatted = (labels: Labels): string => JSON.stringify(labelsToObject(labels))

export function describeLogStore(name: string, make: () => Promise<LogStoreUnderTest>): void {
  describe(`log store contract: ${name}`, () => {
    let store: LogStoreUnderTest
    let partition: Partition
    let reader: LogsReader
    const journal = new TestJournal()
    const long = `${'x'.repeat(150_000)} needle-in-the-middle ${'y'.repeat(150_000)}`
    const invalid = Uint8Array.of(0x62, 0x61, 0x64, 0x20, 0xff, 0xfe, 0x20, 0x65, 0x6e, 0x64)

    const append = (lines: readonly TestLine[], options: Parameters<TestJournal['record']>[1] = {}): void => {
      partition.append(journal.record(lines, options))
    }

    beforeAll(async () => {
      store = await make()
      partition = await store.open()
      reader = store.reader('default')
      append([
        { ms: 1000, text: 'GET /api/users 200', metadata: { trace_id: 't1', 'k=v': 'a=b\\c' } },
        { ms: 1000, subNs: 1, text: 'GET /api/orders 500 fooErrorBar' },
        { ms: 1000, subNs: 999_999, text: 'user_name=jörg.müller@example.com status:ok', labels: { app: 'b', pod: 'p-1' } },
      ])
      append([
        { ms: 61_000, text: '{"level":"error","took":"150ms","n":7,"msg":"connection reset"}', labels: { app: 'json' } },
        { ms: 62_000, text: '{"level":"info","took":"50ms","n":3,"msg":"ok"}', labels: { app: 'json' } },
        { ms: 62_000, subNs: 5, text: 'level=warn took=20ms n=1 caller="main.go:12"', labels: { app: 'logfmt', 'name.with.dots': 'v' } },
      ])
      append([
        { ms: 120_000, text: '', labels: { app: 'odd' } },
        { ms: 121_000, text: '](=> !! <=', labels: { app: 'odd' } },
        { ms: 122_000, text: long, labels: { app: 'odd' } },
        { ms: 123_000, text: invalid, labels: { app: 'odd' } },
        { ms: 124_000, text: 'tab\tnewline\\n "quoted" \u0000 nul 日本語のログ', labels: { app: 'odd' } },
        { ms: 125_000, text: `sha=${'0123456789abcdef'.repeat(40)}`, labels: { app: 'odd' } },
      ])
      append([{ ms: 1500, text: 'GET secret of another', labels: { app: 'a', own: 'yes' } }], { tenant: 'other' })
      for (let i = 0; i < 40; i++) {
        const lines = Array.from({ length: 50 }, (_, k) => ({
          ms: 200_000 + i * 1000 + k * 10,
          text: `bulk line ${i * 50 + k}`,
          labels: { app: 'bulk', shard: `s${k % 5}` },
        }))
        append(lines, { position: '{"file":1}' })
      }
      await store.visible(partition)
    })

    afterAll(async () => {
      await partition.store.close()
    })

    test('lines come in order of time to the nanosecond, both ways, with a limit', async () => {
      const all = await linesOf(reader, '{app=~"a|b"}')
      expect(all).toEqual(['GET /api/users 200', 'GET /api/orders 500 fooErrorBar', 'user_name=jörg.müller@example.com status:ok'])
      expect(await linesOf(reader, '{app=~"a|b"}', { direction: 'backward' })).toEqual(all.toReversed())
      expect(await linesOf(reader, '{app=~"a|b"}', { direction: 'backward', limit: 2 })).toEqual(all.toReversed().slice(0, 2))
      expect(await linesOf(reader, '{app="bulk"}', { direction: 'backward', limit: 3 })).toEqual([
        'bulk line 1999',
        'bulk line 1998',
        'bulk line 1997',
      ])
      const many = await linesOf(reader, '{app="bulk"}', { limit: 5000 })
      expect(many).toEqual(Array.from({ length: 2000 }, (_, i) => `bulk line ${i}`))
      // Start is inclusive, end exclusive.
      expect(await linesOf(reader, '{app="bulk"}', { startMs: START_MS + 200_010, endMs: START_MS + 200_030 })).toEqual([
        'bulk line 1',
        'bulk line 2',
      ])
    })

    test('times and labels come back as they were', async () => {
      const result = await queryRange(reader, '{app="a"}')
      if (result.type !== 'streams') throw new Error('no lines')
      const { lines } = result
      expect([...lines.timeMs]).toEqual([START_MS + 1000, START_MS + 1000])
      expect([...lines.subNs]).toEqual([0, 1])
      expect(labelsToObject(lines.sets[lines.stream[0]!]!)).toEqual({ app: 'a' })
      expect(labelsToObject(lines.sets[lines.metadata[0]!]!)).toEqual({ detected_level: 'unknown', trace_id: 't1', 'k=v': 'a=b\\c' })
    })

    test.each([
      ['{app="a"} |= "GET"', 2],
      ['{app="a"} |= "get"', 0],
      ['{app="a"} |= "Error"', 1],
      ['{app="a"} |= "oErr"', 1],
      ['{app="a"} |= "oerr"', 0],
      ['{app="a"} |= "api/ord"', 1],
      ['{app="a"} |= "/api/users 20"', 1],
      ['{app="a"} != "users"', 1],
      ['{app="a"} |~ "users|orders"', 2],
      ['{app="a"} |~ "(?i)fooerror"', 1],
      ['{app="a"} |~ "/api/[a-z]+ 5\\\\d\\\\d"', 1],
      ['{app="a"} !~ "5\\\\d\\\\d"', 1],
      ['{app="b"} |= "_name=j"', 1],
      ['{app="b"} |= "örg.mü"', 1],
      ['{app="b"} |= "ller@example"', 1],
      ['{app="b"} |= "status:ok"', 1],
      ['{app="b"} |= "atus:o"', 1],
      ['{app="odd"} |= "](=>"', 1],
      ['{app="odd"} |= "!!"', 1],
      ['{app="odd"} |= ""', 6],
      ['{app="odd"} |= "needle-in-the"', 1],
      ['{app="odd"} |= "xxxxxx needle"', 1],
      ['{app="odd"} |= "yyyyyyyyyyyyyyyyyyyyy"', 1],
      ['{app="odd"} |= "end"', 1],
      ['{app="odd"} |= "newline\\\\n \\"quoted\\""', 1],
      ['{app="odd"} |= "本語"', 1],
      ['{app="odd"} |= "ef0123456789abcdef0123"', 1],
      ['{app="odd"} |= "sha=0123"', 1],
      ['{app="odd"} |= "nothing like it"', 0],
      ['{app=~".+"} |= "connection" |= "reset"', 1],
      ['{app=~".+"} |= "conn" or "took=20ms"', 2],
      ['{app=~".+"} | trace_id="t1"', 1],
      ['{app=~".+"} | trace_id="t2"', 0],
      ['{app=~".+"} | trace_id!=""', 1],
      ['{app=~".+"} | app="a"', 2],
      ['{app="json"} | json | n > 5', 1],
      ['{app="json"} | json | level="error"', 1],
      ['{app="json"} | json | took > 100ms', 1],
      ['{app="logfmt"} | logfmt | caller="main.go:12"', 1],
      ['{app="a"} | pattern "<method> <path> <status>" | method="GET"', 2],
      ['{app="a"} | regexp "(?P<verb>\\\\w+) (?P<path>\\\\S+)" | path="/api/users"', 1],
      ['{app="json"} | json | line_format "{{.msg}}" |= "reset"', 1],
      ['{app=~"j.*"}', 2],
      ['{app=~".*so.*"}', 2],
      ['{app=~"(json|logfmt)"}', 3],
      ['{app=~".+", app!~"bulk|odd|a|b|logfmt"}', 2],
      ['{app=~".+", pod="p-1"}', 1],
      ['{app=~".+", pod=~"p-[0-9]+"}', 1],
      ['{app=~"a|b", pod=""}', 2],
      ['{app=~"a|b", pod!=""}', 1],
      ['{app=~"a|b", pod!="p-1"}', 2],
      ['{app="A"}', 0],
    ])('%s finds %i lines', async (query, count) => {
      expect(await linesOf(reader, query)).toHaveLength(count)
    })

    test('lines come back byte for byte', async () => {
      const lines = await linesOf(reader, '{app="odd"}')
      expect(lines[0]).toBe('')
      expect(lines[2]).toBe(long)
      expect(Buffer.from(lines[3]!, 'latin1').equals(invalid)).toBe(true)
      expect(lines[4]).toBe('tab\tnewline\\n "quoted" \u0000 nul 日本語のログ')
    })

    test('metric queries', async () => {
      expect(
        await seriesOf(reader, 'sum by (shard) (count_over_time({app="bulk"}[5m]))', {
          startMs: START_MS + 300_000,
          endMs: START_MS + 300_000,
          stepMs: 1,
        }),
      ).toEqual(Object.fromEntries(['s0', 's1', 's2', 's3', 's4'].map((shard) => [`{"shard":"${shard}"}`, [400]])))
      expect(
        await seriesOf(reader, 'sum(bytes_over_time({app="a"}[1m]))', { startMs: START_MS + 60_000, endMs: START_MS + 60_000, stepMs: 1 }),
      ).toEqual({ '{}': [49] })
      const json = 'sum by (level) (sum_over_time({app="json"} | json | unwrap n [5m]))'
      expect(await seriesOf(reader, json, { startMs: START_MS + 120_000, endMs: START_MS + 120_000, stepMs: 1 })).toEqual({
        '{"level":"error"}': [7],
        '{"level":"info"}': [3],
      })
      const rate = await seriesOf(reader, 'rate({app="bulk"} |= "line 1" [1m])', { stepMs: 60_000 })
      expect(Object.keys(rate)).toHaveLength(5)
      expect(await seriesOf(reader, 'sum(count_over_time({app="none"}[5m]))')).toEqual({})
    })

    test('labels, streams, sizes', async () => {
      const all = { matchers: [], ...RANGE }
      expect((await reader.labelNames(all, signal)).toSorted()).toEqual(['app', 'name.with.dots', 'pod', 'shard'])
      expect((await reader.labelValues('app', all, signal)).toSorted()).toEqual(['a', 'b', 'bulk', 'json', 'logfmt', 'odd'])
      const bulk = { matchers: [{ name: 'app', op: '=', value: 'bulk' } as const], ...RANGE }
      expect((await reader.labelValues('shard', bulk, signal)).toSorted()).toEqual(['s0', 's1', 's2', 's3', 's4'])
      expect((await reader.series(bulk, signal)).map(labelsKey).toSorted()).toHaveLength(5)
      const pattern = { matchers: [{ name: 'pod', op: '=~', value: 'p-.' } as const], ...RANGE }
      expect((await reader.series(pattern, signal)).map((labels) => labelsToObject(labels))).toEqual([{ app: 'b', pod: 'p-1' }])
      const bytes = Array.from({ length: 2000 }, (_, i) => `bulk line ${i}`.length).reduce((sum, length) => sum + length, 0)
      expect(await reader.stats(bulk, signal)).toMatchObject({ streams: 5, entries: 2000, bytes })
      const volumes = await reader.volume(bulk, signal)
      expect(volumes.reduce((sum, volume) => sum + volume.bytes, 0)).toBe(bytes)
      expect(volumes.every(({ entries }) => entries === 400)).toBe(true)
      expect(await reader.labelNames({ ...all, startMs: START_MS + 10_000_000, endMs: START_MS + 20_000_000 }, signal)).toEqual([])
    })

    test('tenants never see each other', async () => {
      const other = store.reader('other')
      expect(await linesOf(other, '{app=~".+"}')).toEqual(['GET secret of another'])
      expect(await linesOf(reader, '{app=~".+"} |= "secret"')).toEqual([])
      expect(await linesOf(store.reader('nobody'), '{app=~".+"}')).toEqual([])
      expect((await other.labelNames({ matchers: [], ...RANGE }, signal)).toSorted()).toEqual(['app', 'own'])
      expect(await other.stats({ matchers: [], ...RANGE }, signal)).toMatchObject({ streams: 1, entries: 1 })
    })

    test('a retried request is dropped, equal lines of one request are kept, tailed lines are never merged', async () => {
      const labels = { app: 'repeats' }
      const request: TestLine[] = [
        { labels, ms: 400_000, text: 'same' },
        { labels, ms: 400_000, text: 'same' },
        { labels, ms: 401_000, text: 'other' },
      ]
      const before = partition.ledger.dropped['duplicate'] ?? 0
      append(request)
      append(request)
      append([...request.slice(0, 2), { labels, ms: 400_000, text: 'same' }])
      append([{ labels, ms: 401_000, text: 'other', metadata: { k: 'v' } }])
      await partition.checkpoint()
      expect(partition.ledger.dropped['duplicate']! - before).toBe(5)
      append([{ labels: { app: 'tailed' }, ms: 402_000, text: 'tick' }], { position: '{"file":2}' })
      append([{ labels: { app: 'tailed' }, ms: 402_000, text: 'tick' }], { position: '{"file":2}' })
      await partition.checkpoint()
      await store.visible(partition)
      expect(await linesOf(reader, '{app="repeats"}')).toEqual(['same', 'same', 'same', 'other', 'other'])
      expect(await linesOf(reader, '{app="tailed"}')).toEqual(['tick', 'tick'])
      expectBalance(partition)
    })

    test('lines of the future are dropped and counted', async () => {
      const before = partition.ledger.dropped['future'] ?? 0
      append([
        { labels: { app: 'future' }, ms: 100_000_000, text: 'too late' },
        { labels: { app: 'future' }, ms: 500_000, text: 'in time' },
      ])
      await partition.checkpoint()
      await store.visible(partition)
      expect(partition.ledger.dropped['future']! - before).toBe(1)
      expect(await linesOf(reader, '{app="future"}')).toEqual(['in time'])
      expectBalance(partition)
    })

    test('after a crash the replay from the last checkpoint gives the same lines, and the ledger balances', async () => {
      const labels = { app: 'crash' }
      const texts = Array.from({ length: 30 }, (_, i) => `line ${i}`)
      for (const [i, text] of texts.entries()) {
        append([{ labels, ms: 500_000 + i, text }], { position: i % 2 === 0 ? '{"file":3}' : '' })
        if (i === 9) await partition.checkpoint()
        if (i === 19) await store.visible(partition)
      }
      await store.crash(partition)
      partition = await store.open()
      expect(partition.nextOffset).toBeGreaterThan(0)
      expect(partition.nextOffset).toBeLessThan(journal.records.length)
      journal.replay(partition)
      await partition.checkpoint()
      await store.visible(partition)
      expect(await linesOf(reader, '{app="crash"}')).toEqual(texts)
      expect(partition.checkpointOffset).toBe(journal.records.length)
      expect(partition.ledger.items).toBe(journal.records.reduce((sum, { items }) => sum + items, 0))
      expectBalance(partition)
    })
  })
}
