import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { labelsOf, labelsToObject } from '../../lib/model/index.ts'
import { compileMatcher } from '../../lib/regexp/index.ts'
import { LogBatchBuilder } from '../../lib/wire/otlp/logs/index.ts'
import type { LogScan, StoreFile } from '../store/index.ts'
import { openLogStore, type LogStore } from './index.ts'

const folders: string[] = []

afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
})

interface Line {
  readonly labels: Record<string, string>
  readonly timeMs: number
  readonly subNs?: number
  readonly text: string
  readonly metadata?: Record<string, string>
}

/** A store on a folder of its own that can be closed and opened again as after a crash. */
class Subject {
  readonly #dir = mkdtempSync(join(tmpdir(), 'sightline-logs-'))
  #files: readonly StoreFile[] = []
  #state: unknown
  #offset = 0
  store!: LogStore

  constructor() {
    folders.push(this.#dir)
  }

  get dir(): string {
    return this.#dir
  }

  async open(): Promise<this> {
    const limits = { seriesMax: 1000, streamsMax: 1000, futureMaxMs: 600_000, repeatWindowMs: 3_600_000, queryBytesMax: 0 }
    this.store = await openLogStore({ dir: this.#dir, files: this.#files, state: this.#state, limits })
    return this
  }

  append(
    lines: readonly Line[],
    options: { tenant?: string; positioned?: boolean; appendedMs?: number } = {},
  ): ReturnType<LogStore['append']> {
    const builder = new LogBatchBuilder({ partitionOf: () => 0 })
    for (const { labels, timeMs, subNs, text, metadata } of lines) {
      builder.add(labelsOf(labels), timeMs, subNs ?? 0, text, metadata === undefined ? undefined : labelsOf(metadata))
    }
    const [batch] = builder.finish()
    const { positioned = false, appendedMs = 10_000_000 } = options
    return this.store.append(options.tenant ?? 'default', { payload: batch!.payload, offset: this.#offset++, appendedMs, positioned })
  }

  async checkpoint(): Promise<void> {
    const { files, state } = await this.store.checkpoint()
    this.#files = files
    this.#state = JSON.parse(JSON.stringify(state))
    await this.store.release()
  }

  async reopen(): Promise<void> {
    await this.checkpoint()
    await this.store.close()
    await this.open()
  }

  compact(): boolean {
    const task = this.store.compact(0)
    for (;;) {
      const step = task.next()
      if (step.done === true) return step.value
    }
  }

  read(selector: Record<string, string> = {}, more: Partial<LogScan> = {}, tenant = 'default'): string[] {
    const matchers = Object.entries(selector).map(([name, value]) => compileMatcher({ name, op: '=', value }))
    const scan: LogScan = { matchers, start: { ms: 0, subNs: 0 }, end: { ms: 1e12, subNs: 0 }, order: 'forward', needles: [], ...more }
    const out: string[] = []
    for (const rows of this.store.scan(tenant, scan)) {
      for (let i = 0; i < (rows?.count ?? 0); i++)
        out.push(Buffer.from(rows!.lineBytes.subarray(rows!.lineStart[i], rows!.lineEnd[i])).toString())
    }
    return out
  }
}

function finish<T>(task: Generator<void, T, void>): T {
  for (;;) {
    const step = task.next()
    if (step.done === true) return step.value
  }
}

const a = { app: 'a' }
const b = { app: 'b' }
const at = (timeMs: number, text: string, labels: Record<string, string> = a): Line => ({ labels, timeMs, text })

describe('the log store', () => {
  test('gives lines in order of time over all streams, both ways, with labels and metadata', async () => {
    const subject = await new Subject().open()
    subject.append([at(3, 'three'), at(1, 'one', b), { ...at(2, 'two'), metadata: { trace_id: 't1' } }])
    expect(subject.read()).toEqual(['one', 'two', 'three'])
    expect(subject.read({}, { order: 'backward' })).toEqual(['three', 'two', 'one'])
    expect(subject.read({ app: 'b' })).toEqual(['one'])
    const scan: LogScan = { matchers: [], start: { ms: 2, subNs: 0 }, end: { ms: 3, subNs: 0 }, order: 'any', needles: [] }
    const rows = [...subject.store.scan('default', scan)].find((one) => one !== undefined)!
    expect(labelsToObject(rows.streams[rows.streamOf[0]!]!)).toEqual(a)
    expect(labelsToObject(rows.metadata[rows.metadataOf[0]!]!)).toMatchObject({ trace_id: 't1', detected_level: 'unknown' })
  })

  test('ranges are half open to the nanosecond', async () => {
    const subject = await new Subject().open()
    subject.append([
      { ...at(5, 'x'), subNs: 1 },
      { ...at(5, 'y'), subNs: 2 },
      { ...at(5, 'z'), subNs: 3 },
    ])
    expect(subject.read({}, { start: { ms: 5, subNs: 2 }, end: { ms: 5, subNs: 3 } })).toEqual(['y'])
  })

  test('needles give exactly the lines that hold all of them, across lines never', async () => {
    const subject = await new Subject().open()
    subject.append([at(1, 'GET /a 200'), at(2, 'GET /b 500 boom'), at(3, 'end'), at(4, 'ends here')])
    expect(subject.read({}, { needles: ['GET'] })).toEqual(['GET /a 200', 'GET /b 500 boom'])
    expect(subject.read({}, { needles: ['GET', 'boom'] })).toEqual(['GET /b 500 boom'])
    expect(subject.read({}, { needles: ['endends'] })).toEqual([])
    await subject.reopen()
    expect(subject.read({}, { needles: ['boom'] })).toEqual(['GET /b 500 boom'])
    expect(subject.read({}, { needles: ['nothing like it'] })).toEqual([])
  })

  test('a retried request is dropped, equal lines of one request are kept, before and after a restart', async () => {
    const subject = await new Subject().open()
    const request = [at(1, 'same'), at(1, 'same'), at(2, 'other')]
    expect(subject.append(request)).toEqual({ stored: 3, dropped: {} })
    expect(subject.append(request)).toEqual({ stored: 0, dropped: { duplicate: 3 } })
    await subject.reopen()
    expect(subject.append(request)).toEqual({ stored: 0, dropped: { duplicate: 3 } })
    expect(subject.append([at(1, 'same'), at(1, 'same'), at(1, 'same')])).toEqual({ stored: 1, dropped: { duplicate: 2 } })
    expect(subject.append([{ ...at(2, 'other'), metadata: { k: 'v' } }])).toEqual({ stored: 1, dropped: {} })
  })

  test('tailed lines are never merged', async () => {
    const subject = await new Subject().open()
    subject.append([at(1, 'x')], { positioned: true })
    expect(subject.append([at(1, 'x')], { positioned: true }).stored).toBe(1)
    expect(subject.read()).toEqual(['x', 'x'])
  })

  test('lines too far ahead and streams over the limit are counted, the others stored', async () => {
    const subject = await new Subject().open()
    expect(subject.append([at(1, 'ok'), at(10_600_001, 'future')])).toEqual({ stored: 1, dropped: { future: 1 } })
    const many = Array.from({ length: 1005 }, (_, i) => at(1, 'x', { app: `s${i}` }))
    expect(subject.append(many)).toEqual({ stored: 999, dropped: { limit_streams: 6 } })
  })

  test('tenants see their own lines only', async () => {
    const subject = await new Subject().open()
    subject.append([at(1, 'mine')], { tenant: 't1' })
    subject.append([at(1, 'yours')], { tenant: 't2' })
    expect(subject.read({}, {}, 't1')).toEqual(['mine'])
    await subject.reopen()
    expect(subject.read({}, {}, 't2')).toEqual(['yours'])
    expect(subject.read({}, {}, 't3')).toEqual([])
  })

  test('names, values, series, volume and stats', async () => {
    const subject = await new Subject().open()
    subject.append([at(1, '12345'), at(2, '1234567890', { app: 'b', zone: 'z' })])
    expect(finish(subject.store.labelNames('default', [], 0, 10)).sort()).toEqual(['app', 'zone'])
    expect(finish(subject.store.labelValues('default', 'app', [], 0, 10)).sort()).toEqual(['a', 'b'])
    expect(finish(subject.store.series('default', [compileMatcher({ name: 'zone', op: '=~', value: '.+' })], 0, 10))).toEqual([
      labelsOf({ app: 'b', zone: 'z' }),
    ])
    expect(finish(subject.store.volume('default', [], 0, 10)).map((one) => [one.bytes, one.entries])).toEqual([
      [5, 1],
      [10, 1],
    ])
    expect(finish(subject.store.stats('default', [], 0, 10))).toEqual({ streams: 2, chunks: 2, bytes: 15, entries: 2 })
  })

  test('retention drops files whose newest line is too old', async () => {
    const subject = await new Subject().open()
    subject.append([at(1000, 'old')])
    await subject.checkpoint()
    subject.append([at(9000, 'new')])
    await subject.checkpoint()
    expect(subject.store.dropBefore(() => 5000)).toBeGreaterThan(0)
    await subject.reopen()
    expect(subject.read()).toEqual(['new'])
    expect(readdirSync(subject.dir).length).toBe(1)
  })

  test('damage and unknown versions are named, files no manifest names are deleted', async () => {
    const subject = await new Subject().open()
    subject.append([at(1, 'x')])
    await subject.checkpoint()
    writeFileSync(join(subject.dir, '00000099.logs'), 'left behind')
    await subject.reopen()
    const [name] = readdirSync(subject.dir)
    const bytes = readFileSync(join(subject.dir, name!))
    bytes[7] = 9
    writeFileSync(join(subject.dir, name!), bytes)
    await expect(subject.open()).rejects.toThrow('format version 9 is unknown')
    bytes[7] = 1
    bytes[bytes.length - 30]! ^= 1
    writeFileSync(join(subject.dir, name!), bytes)
    await expect(subject.open()).rejects.toMatchObject({ kind: 'corruption' })
  })

  test('bytes that are no protobuf are refused and store nothing', async () => {
    const subject = await new Subject().open()
    const record = { payload: Uint8Array.of(10, 200, 1), offset: 0, appendedMs: 1, positioned: false }
    expect(() => subject.store.append('default', record)).toThrow(expect.objectContaining({ kind: 'bad_data' }))
    expect(subject.read()).toEqual([])
  })

  test('whatever is appended is read back, the same after checkpoint, restart and merging', async () => {
    const line = fc.record({
      labels: fc.constantFrom<Record<string, string>>(a, b, { app: 'c', zone: 'z' }),
      timeMs: fc.integer({ min: 1, max: 1000 }),
      subNs: fc.integer({ min: 0, max: 3 }),
      text: fc.stringMatching(/^[a-c ]{0,6}$/),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(line, { minLength: 1, maxLength: 8 }), { minLength: 5, maxLength: 12 }), async (requests) => {
        const subject = await new Subject().open()
        for (const request of requests) {
          subject.append(request, { positioned: true })
          await subject.checkpoint()
        }
        const sorted = requests.flat().sort((x, y) => x.timeMs - y.timeMs || x.subNs - y.subNs)
        const key = (one: Line): number => one.timeMs * 10 + one.subNs!
        const check = (): void => {
          const read = subject.read()
          expect([...read].sort()).toEqual(sorted.map((one) => one.text).sort())
          const times = timesOf(subject)
          expect(times).toEqual([...times].sort((x, y) => x - y))
          expect(times).toEqual(sorted.map(key))
          for (const needle of ['ab', 'c', 'a b'])
            expect(subject.read({}, { needles: [needle] }).length).toBe(read.filter((text) => text.includes(needle)).length)
        }
        check()
        await subject.reopen()
        check()
        expect(subject.compact()).toBe(true)
        check()
        await subject.reopen()
        check()
        expect(readdirSync(subject.dir).length).toBeLessThan(requests.length)
        await subject.store.close()
      }),
      { numRuns: 25 },
    )
  })
})

function timesOf(subject: Subject): number[] {
  const scan: LogScan = { matchers: [], start: { ms: 0, subNs: 0 }, end: { ms: 1e12, subNs: 0 }, order: 'forward', needles: [] }
  return [...subject.store.scan('default', scan)].flatMap((rows) =>
    Array.from({ length: rows?.count ?? 0 }, (_, i) => rows!.timeMs[i]! * 10 + rows!.subNs[i]!),
  )
}
