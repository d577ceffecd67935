import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'

import {
  CELL_ABSENT,
  CELL_FLOAT,
  CELL_HISTOGRAM,
  CELL_STALE,
  labelsKey,
  labelsOf,
  type FloatHistogram,
  type Labels,
  type Matcher,
  type SeriesSamples,
} from '../../lib/model/index.ts'
import { encodeRows, layoutOf, type Row } from '../../lib/wire/rows/index.ts'
import type { AppendOutcome, CheckpointFiles, StoreLimits, Task } from '../store/index.ts'
import { openMetricsStore, type MetricsStore } from './index.ts'

const LIMITS: StoreLimits = { seriesMax: 0, streamsMax: 0, futureMaxMs: 600_000, repeatWindowMs: 0, queryBytesMax: 0 }
const T0 = 1_700_000_000_000
const ALL = { samplesMax: 1e9 }
const NEVER = 4e12

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-metrics-'))
  folders.push(folder)
  return folder
}

async function open(dir: string, saved?: CheckpointFiles, limits: Partial<StoreLimits> = {}): Promise<MetricsStore> {
  return await openMetricsStore({ dir, files: saved?.files ?? [], state: saved?.state, limits: { ...LIMITS, ...limits } })
}

function run<T>(task: Task<T>): T {
  for (;;) {
    const step = task.next()
    if (step.done === true) return step.value
  }
}

function equals(name: string, value: string): Matcher {
  return { name, op: '=', value, matches: (text) => text === value, literals: [value] }
}

function pattern(name: string, op: '=~' | '!~', value: string): Matcher {
  const regexp = new RegExp(`^(?:${value})$`)
  return { name, op, value, matches: (text) => regexp.test(text) === (op === '=~') }
}

const EVERYTHING = pattern('__name__', '=~', '.+')

/** Series -> time -> what is there: a number, 'stale' or a histogram's sum. */
type Content = Map<string, Map<number, number | string>>

function contentOf(series: readonly SeriesSamples[]): Content {
  const out: Content = new Map()
  for (const one of series) {
    const samples = new Map<number, number | string>()
    one.times.forEach((time, i) => {
      const cell = one.cells?.[i] ?? CELL_FLOAT
      if (cell === CELL_FLOAT) samples.set(time, one.values[i]!)
      else if (cell === CELL_STALE) samples.set(time, 'stale')
      else if (cell === CELL_HISTOGRAM) samples.set(time, `histogram ${one.histograms![i]!.sum}`)
    })
    expect(out.has(labelsKey(one.labels))).toBe(false)
    if (samples.size > 0) out.set(labelsKey(one.labels), samples)
  }
  return out
}

function everything(store: MetricsStore, tenant = 'a'): Content {
  return contentOf(run(store.select(tenant, [EVERYTHING], 0, NEVER, ALL)))
}

function targetLabels(target: string, names: readonly string[]): Labels[] {
  return names.map((name) => labelsOf({ __name__: name, job: 'j', instance: target }))
}

function scrape(target: string, names: readonly string[], timestampMs: number, value = 1): Row {
  const layout = layoutOf(target, targetLabels(target, names))
  return { layout, timestampMs, values: Float64Array.from(names, (_, i) => value + i) }
}

let offset = 0
function append(store: MetricsStore, rows: readonly Row[], appendedMs = NEVER, tenant = 'a'): ReturnType<MetricsStore['append']> {
  const payload = encodeRows({ rows, metadata: [] }, () => false)
  return store.append(tenant, { payload, offset: offset++, appendedMs, positioned: false })
}

const histogram = (sum: number): FloatHistogram => ({
  schema: 1,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 2,
  sum,
  positiveSpans: [{ offset: 0, length: 1 }],
  negativeSpans: [],
  positiveBuckets: [2],
  negativeBuckets: [],
  customValues: [],
  counterResetHint: 'unknown',
})

describe('appending and selecting', () => {
  test('a scrape is found again, with one array of times for all its series', async () => {
    const store = await open(newFolder())
    for (let k = 0; k < 100; k++)
      expect(append(store, [scrape('x:1', ['a', 'b', 'c'], T0 + k * 15_000, k)])).toEqual({ stored: 3, dropped: {} })
    const found = run(store.select('a', [equals('job', 'j')], T0 + 15_000, T0 + 50 * 15_000, ALL))
    expect(found).toHaveLength(3)
    expect(new Set(found.map((series) => series.times)).size).toBe(1)
    expect(found[0]!.times).toHaveLength(50)
    expect(found[0]!.cells).toBeUndefined()
    const b = run(store.select('a', [equals('__name__', 'b')], 0, NEVER, ALL))
    expect([...b[0]!.values]).toEqual(Array.from({ length: 100 }, (_, k) => k + 1))
    expect(b[0]!.labels).toEqual(['__name__', 'b', 'instance', 'x:1', 'job', 'j'])
  })

  test('matchers choose series', async () => {
    const store = await open(newFolder())
    append(store, [scrape('x:1', ['a', 'b'], T0), scrape('y:1', ['a', 'c'], T0)])
    const names = (...matchers: Matcher[]): string[] =>
      run(store.select('a', matchers, 0, NEVER, ALL))
        .map((series) => `${series.labels[1]}@${series.labels[3]}`)
        .sort()
    expect(names(equals('__name__', 'a'))).toEqual(['a@x:1', 'a@y:1'])
    expect(names(equals('__name__', 'a'), pattern('instance', '!~', 'x.*'))).toEqual(['a@y:1'])
    expect(names(pattern('__name__', '=~', 'b|c'))).toEqual(['b@x:1', 'c@y:1'])
    expect(names(equals('job', 'j'), equals('absent', ''))).toHaveLength(4)
    expect(names(equals('job', 'other'))).toEqual([])
    expect(names(pattern('absent', '=~', '.+'))).toEqual([])
  })

  test('tenants see only their own series', async () => {
    const store = await open(newFolder())
    append(store, [scrape('x:1', ['a'], T0)], NEVER, 'one')
    expect(everything(store, 'one').size).toBe(1)
    expect(everything(store, 'two').size).toBe(0)
  })

  test('absent, stale and histogram cells come back as such', async () => {
    const store = await open(newFolder())
    const row = scrape('x:1', ['a', 'b', 'c', 'd'], T0)
    const cells = Uint8Array.of(CELL_FLOAT, CELL_ABSENT, CELL_STALE, CELL_HISTOGRAM)
    const histograms = [undefined, undefined, undefined, histogram(7)]
    expect(append(store, [{ ...row, cells, histograms, startTimes: Float64Array.of(5, 0, 0, 6) }])).toEqual({ stored: 3, dropped: {} })
    append(store, [scrape('x:1', ['a', 'b', 'c', 'd'], T0 + 1000)])
    const found = new Map(run(store.select('a', [EVERYTHING], 0, NEVER, ALL)).map((series) => [series.labels[1], series]))
    expect([...found.get('b')!.times]).toHaveLength(2)
    expect(found.get('b')!.cells![0]).toBe(CELL_ABSENT)
    expect(found.get('c')!.cells![0]).toBe(CELL_STALE)
    expect(found.get('d')!.histograms![0]).toEqual(histogram(7))
    expect(found.get('a')!.startTimes![0]).toBe(5)
  })

  test('a repeat is a duplicate, another value a conflict, and the first stays', async () => {
    const store = await open(newFolder())
    append(store, [scrape('x:1', ['a', 'b'], T0, 1)])
    expect(append(store, [scrape('x:1', ['a', 'b'], T0, 1)])).toEqual({ stored: 0, dropped: { duplicate: 2 } })
    expect(append(store, [scrape('x:1', ['a', 'b', 'c'], T0, 9)])).toEqual({ stored: 1, dropped: { conflict: 2 } })
    for (let k = 1; k < 80; k++) append(store, [scrape('x:1', ['a', 'b'], T0 + k, k)])
    expect(append(store, [scrape('x:1', ['a', 'b'], T0 + 3, 3)])).toEqual({ stored: 0, dropped: { duplicate: 2 } })
    expect(append(store, [scrape('x:1', ['a', 'b'], T0 + 3, 4)])).toEqual({ stored: 0, dropped: { conflict: 2 } })
    const found = everything(store)
    expect(found.get(labelsKey(targetLabels('x:1', ['a'])[0]!))!.get(T0)).toBe(1)
  })

  test('samples too far ahead, of unknown layouts and beyond the series limit are counted', async () => {
    const store = await open(newFolder(), undefined, { seriesMax: 2, streamsMax: 2 })
    expect(append(store, [scrape('x:1', ['a', 'b', 'c'], T0)], T0)).toEqual({ stored: 2, dropped: { limit_series: 1 } })
    expect(append(store, [scrape('x:1', ['a', 'b', 'c'], T0 + 600_001)], T0)).toEqual({ stored: 0, dropped: { future: 3 } })
    const payload = encodeRows({ rows: [scrape('z:1', ['q', 'r'], T0)], metadata: [] }, () => true)
    expect(store.append('a', { payload, offset: 9, appendedMs: T0, positioned: false })).toEqual({
      stored: 0,
      dropped: { unknown_layout: 2 },
    })
    payload[30] = 255
    expect(store.append('a', { payload, offset: 9, appendedMs: T0, positioned: false })).toEqual({ stored: 0, dropped: { malformed: 2 } })
  })

  test('a query with more samples than allowed is refused', async () => {
    const store = await open(newFolder())
    for (let k = 0; k < 50; k++) append(store, [scrape('x:1', ['a', 'b'], T0 + k)])
    expect(() => run(store.select('a', [EVERYTHING], 0, NEVER, { samplesMax: 99 }))).toThrow(/more than 99 samples/)
    expect(run(store.select('a', [EVERYTHING], 0, NEVER, { samplesMax: 100 }))).toHaveLength(2)
  })

  test('labels, series, cardinality, metadata and exemplars are told', async () => {
    const dir = newFolder()
    const store = await open(dir)
    const row = { ...scrape('x:1', ['a', 'b'], T0), exemplars: [{ column: 1, labels: ['trace_id', 't'], value: 3, timestampMs: T0 }] }
    const metadata = [{ family: 'a', type: 'counter', help: 'A.', unit: '' }]
    store.append('a', { payload: encodeRows({ rows: [row], metadata }, () => false), offset: 0, appendedMs: T0, positioned: false })
    const saved = await store.checkpoint()
    for (const one of [store, await open(dir, saved)]) {
      expect(run(one.labelNames('a', [], 0, NEVER, 0))).toEqual(['__name__', 'instance', 'job'])
      expect(run(one.labelValues('a', '__name__', [equals('job', 'j')], 0, NEVER, 0))).toEqual(['a', 'b'])
      expect(run(one.labelValues('a', '__name__', [], 0, NEVER, 1))).toEqual(['a'])
      expect(run(one.labelValues('a', '__name__', [], T0 + 1, NEVER, 0))).toEqual([])
      expect(run(one.series('a', [equals('__name__', 'b')], 0, NEVER, 0))).toEqual(targetLabels('x:1', ['b']))
      expect(run(one.metadata('a', 'a', 0)).get('a')).toEqual(metadata)
      const exemplars = run(one.exemplars('a', [[equals('__name__', 'b')]], 0, NEVER))
      expect(exemplars.map((e) => [e.series[1], e.exemplars[0]!.value, e.exemplars[0]!.labels])).toEqual([['b', 3, ['trace_id', 't']]])
      const cardinality = run(one.cardinality('a', 10))
      expect(cardinality).toMatchObject({
        numSeries: 2,
        minMs: T0,
        maxMs: T0,
        seriesCountByLabelValuePair: [{ name: 'instance=x:1', value: 2 }, {}, {}, {}],
      })
      expect(cardinality.seriesCountByMetricName).toEqual([
        { name: 'a', value: 1 },
        { name: 'b', value: 1 },
      ])
    }
  })
})

interface Step {
  readonly target: number
  readonly time: number
  readonly names: readonly string[]
  readonly value: number
  readonly cells: readonly number[]
}

const steps = fc.array(
  fc.record({
    target: fc.nat(2),
    time: fc.nat(60),
    names: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'), { minLength: 1 }),
    value: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.double()),
    cells: fc.array(fc.constantFrom(CELL_FLOAT, CELL_FLOAT, CELL_ABSENT, CELL_STALE, CELL_HISTOGRAM), { minLength: 10, maxLength: 10 }),
  }),
  { minLength: 1, maxLength: 150 },
)

/** Applies a step to the store and to the model, and compares what both say became of it; repeats of what lies in a block are not recognized. */
function applyStep(store: MetricsStore, model: Content, step: Step, compacted: boolean): void {
  const target = `t:${step.target}`
  const row = scrape(target, step.names, T0 + step.time * 1000, step.value)
  const cells = Uint8Array.from(step.names, (_, i) => step.cells[i]!)
  const histograms = [...cells].map((cell, i) => (cell === CELL_HISTOGRAM ? histogram(i) : undefined))
  let [stored, duplicate, conflict] = [0, 0, 0]
  row.layout.series.forEach((labels, i) => {
    if (cells[i] === CELL_ABSENT) return
    const sample = cells[i] === CELL_FLOAT ? row.values[i]! : cells[i] === CELL_STALE ? 'stale' : `histogram ${i}`
    const series = model.get(labelsKey(labels)) ?? new Map<number, number | string>()
    model.set(labelsKey(labels), series)
    const known = series.get(row.timestampMs)
    if (known === undefined) {
      series.set(row.timestampMs, sample)
      stored++
    } else if (known === sample || Object.is(known, sample)) duplicate++
    else conflict++
  })
  const outcome = append(store, [{ ...row, cells, histograms }])
  const dropped = { ...(duplicate > 0 ? { duplicate } : {}), ...(conflict > 0 ? { conflict } : {}) }
  expect(compacted ? itemsOf(outcome) : outcome).toEqual(compacted ? stored + duplicate + conflict : { stored, dropped })
}

function itemsOf(outcome: AppendOutcome): number {
  return Object.values(outcome.dropped).reduce((sum, count) => sum + count, outcome.stored)
}

function normal(content: Content): unknown {
  return [...content]
    .toSorted((a, b) => (a[0] < b[0] ? -1 : 1))
    .map(([key, samples]) => [
      key,
      [...samples].sort((a, b) => a[0] - b[0]).map(([time, value]) => [time, Object.is(value, -0) ? 0 : value]),
    ])
}

describe('against a simple model', () => {
  test('rows in any order and repeated, with checkpoints, restarts and compactions in between', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(steps, fc.constantFrom('none', 'checkpoint', 'reopen', 'compact')), { maxLength: 4 }),
        async (phases) => {
          const dir = newFolder()
          let store = await open(dir)
          const model: Content = new Map()
          let compacted = false
          for (const [some, action] of phases) {
            for (const step of some) applyStep(store, model, step, compacted)
            expect(normal(everything(store))).toEqual(normal(model))
            if (action === 'none') continue
            let saved = await store.checkpoint()
            if (action === 'compact') {
              compacted ||= run(store.compact(NEVER))
              saved = await store.checkpoint()
            }
            await store.release()
            if (action === 'reopen' || action === 'compact') {
              await store.close()
              store = await open(dir, saved)
            }
            expect(normal(everything(store))).toEqual(normal(model))
          }
          const ranged = run(store.select('a', [EVERYTHING], T0 + 10_000, T0 + 20_000, ALL))
          const expected = new Map(
            [...model].map(([key, samples]) => [key, new Map([...samples].filter(([t]) => t >= T0 + 10_000 && t <= T0 + 20_000))]),
          )
          expect(normal(contentOf(ranged))).toEqual(normal(new Map([...expected].filter(([, samples]) => samples.size > 0))))
          await store.close()
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)
})

describe('files', () => {
  test('what no manifest names is deleted at the next start', async () => {
    const dir = newFolder()
    const store = await open(dir)
    append(store, [scrape('x:1', ['a'], T0)])
    const saved = await store.checkpoint()
    append(store, [scrape('x:1', ['a'], T0 + 1)])
    await store.checkpoint()
    await store.close()
    const again = await open(dir, saved)
    expect(readdirSync(dir)).toEqual(saved.files.map((file) => file.name))
    expect([...everything(again).values()][0]!.size).toBe(1)
  })

  test('an unknown version and a damaged byte are refused by name', async () => {
    const dir = newFolder()
    const store = await open(dir)
    append(store, [scrape('x:1', ['a'], T0)])
    const saved = await store.checkpoint()
    await store.close()
    const name = saved.files[0]!.name
    const { readFileSync } = await import('node:fs')
    const bytes = readFileSync(join(dir, name))
    for (let at = 8; at < bytes.length; at += 7) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 0x10
      writeFileSync(join(dir, name), damaged)
      await expect(open(dir, saved)).rejects.toMatchObject({ kind: 'corruption', message: expect.stringContaining(name) })
    }
    const other = Buffer.from(bytes)
    other[4] = 7
    writeFileSync(join(dir, name), other)
    await expect(open(dir, saved)).rejects.toThrow(/version 7 is not known/)
  })
})

describe('compaction and retention', () => {
  /** Six hours of two targets, a checkpoint every ten minutes, with late and repeated rows, ends of series and targets that come and go. */
  async function fill(store: MetricsStore): Promise<CheckpointFiles> {
    let saved: CheckpointFiles | undefined
    for (let k = 0; k < 360; k++) {
      const timestampMs = T0 + k * 60_000
      append(store, [scrape('x:1', k < 200 ? ['a', 'b', 'c'] : ['a', 'c', 'd'], timestampMs, k)])
      if (k % 3 !== 0) append(store, [scrape('y:1', ['a', 'b'], timestampMs + 7, k / 4)])
      if (k % 50 === 49) append(store, [scrape('x:1', ['a', 'b', 'z'], timestampMs - 40 * 60_000 + 1, -k)])
      if (k % 60 === 59) append(store, [scrape('x:1', ['a'], timestampMs - 100 * 60_000, -1)])
      append(store, [scrape(`pod-${Math.floor(k / 20)}:1`, ['a', 'b'], timestampMs, k)])
      if (k % 10 === 9) saved = await store.checkpoint()
      await store.release()
    }
    return saved!
  }

  async function settle(store: MetricsStore): Promise<CheckpointFiles> {
    const saved = await store.checkpoint()
    await store.release()
    return saved
  }

  test('what is read stays the same through compaction of every level, checkpoints and restarts', async () => {
    const dir = newFolder()
    let store = await open(dir)
    await fill(store)
    let before = normal(everything(store))
    const middle = (one: MetricsStore): unknown =>
      normal(contentOf(run(one.select('a', [equals('__name__', 'a')], T0 + 100 * 60_000, T0 + 150 * 60_000, ALL))))
    const middleBefore = middle(store)
    for (let hours = 2; hours < 40; hours += 2) {
      run(store.compact(T0 + hours * 3600_000 + 1_000_000))
      expect(normal(everything(store))).toEqual(before)
      expect(middle(store)).toEqual(middleBefore)
      const saved = await settle(store)
      expect(readdirSync(dir).sort()).toEqual(saved.files.map((file) => file.name).sort())
      await store.close()
      store = await open(dir, saved)
      expect(normal(everything(store))).toEqual(before)
      expect(run(store.labelValues('a', '__name__', [], 0, NEVER, 0))).toEqual(['a', 'b', 'c', 'd', ...(hours > 2 ? ['q'] : []), 'z'])
      // Something new each time, so that there are blocks to merge.
      append(store, [scrape('later:1', ['q'], T0 + hours * 3600_000)])
      await settle(store)
      before = normal(everything(store))
    }
    const levels = (await settle(store)).files.filter((file) => file.name.startsWith('block'))
    expect(levels.length).toBeGreaterThan(0)
    expect(levels.length).toBeLessThan(10)
    await store.close()
  }, 30_000)

  test('rows that come while compaction and a query are suspended are neither lost nor doubled', async () => {
    const store = await open(newFolder())
    await fill(store)
    const before = normal(everything(store))
    const compaction = store.compact(T0 + 1000 * 3600_000)
    const query = store.select('a', [EVERYTHING], 0, T0 + 360 * 60_000, ALL)
    let found: SeriesSamples[] | undefined
    for (let k = 0, done = false; !done || found === undefined; k++) {
      if (compaction.next().done === true) done = true
      const step = query.next()
      if (step.done === true && found === undefined) found = step.value
      append(store, [scrape('x:1', ['a', 'b', 'c'], T0 + 500 * 60_000 + k, k)])
    }
    expect(normal(contentOf(found))).toEqual(before)
    await settle(store)
    expect(normal(contentOf(run(store.select('a', [EVERYTHING], 0, T0 + 360 * 60_000, ALL))))).toEqual(before)
  })

  test('retention drops files whose samples are all too old, one tenant at a time', async () => {
    const dir = newFolder()
    const store = await open(dir)
    for (const tenant of ['a', 'b']) for (let k = 0; k < 300; k++) append(store, [scrape('x:1', ['a'], T0 + k)], NEVER, tenant)
    await settle(store)
    run(store.compact(T0 + 1000 * 3600_000))
    // The rows that were not sealed are still there.
    for (const tenant of ['a', 'b']) append(store, [scrape('x:1', ['a'], T0 + 3600_000)], NEVER, tenant)
    expect(store.dropBefore((tenant) => (tenant === 'a' ? T0 + 1_000_000 : 0))).toBe(0)
    const sizes = (one: MetricsStore): number[] => ['a', 'b'].map((tenant) => [...everything(one, tenant).values()][0]!.size)
    const [a, b] = sizes(store)
    expect(a).toBeLessThan(b!)
    expect(b).toBe(301)
    const saved = await settle(store)
    const again = await open(dir, saved)
    expect(sizes(again)).toEqual([a, b])
    expect(again.dropBefore(() => T0 + 1_000_000)).toBeGreaterThan(0)
    const last = await settle(again)
    expect(last.files).toHaveLength(1)
    expect(readdirSync(dir)).toEqual([last.files[0]!.name])
  })

  test('targets that come and go do not grow memory', async () => {
    const store = await open(newFolder())
    const sizes: number[] = []
    for (let hour = 0; hour < 24; hour++) {
      const startMs = T0 + hour * 3600_000
      for (let pod = 0; pod < 60; pod++) {
        const names = Array.from({ length: 30 }, (_, i) => `metric_${i}`)
        const row = scrape(`pod-${hour}-${pod}`, names, startMs)
        append(store, [row, { ...row, timestampMs: startMs + 60_000 }], startMs)
        append(store, [{ ...row, timestampMs: startMs + 120_000, cells: new Uint8Array(30).fill(CELL_STALE) }], startMs)
      }
      await settle(store)
      run(store.compact(startMs))
      run(store.compact(startMs))
      store.dropBefore(() => startMs - 4 * 3600_000)
      await settle(store)
      sizes.push(run(store.cardinality('a', 1)).numSeries)
    }
    expect(sizes.at(-1)).toBeLessThan(30 * 60 * 8)
    expect(Math.max(...sizes.slice(12))).toBeLessThanOrEqual(Math.max(...sizes.slice(0, 12)))
  })

  test('series that do not share timestamps get groups of their own', async () => {
    const store = await open(newFolder())
    const names = Array.from({ length: 40 }, (_, i) => `m${i}`)
    const model = new Map<string, number>()
    for (let k = 0; k < 400; k++) {
      const name = names[k % 40]!
      append(store, [scrape('x:1', [name], T0 + k, k)])
      model.set(name, (model.get(name) ?? 0) + 1)
    }
    expect(append(store, [scrape('x:1', ['m0'], T0, 0)])).toEqual({ stored: 0, dropped: { duplicate: 1 } })
    const check = (one: MetricsStore): void => {
      const found = everything(one)
      expect(found.size).toBe(40)
      for (const samples of found.values()) expect(samples.size).toBe(10)
    }
    check(store)
    const saved = await settle(store)
    check(store)
    await store.close()
    const again = await open(folders.at(-1)!, saved)
    check(again)
    expect(append(again, [scrape('x:1', ['m0'], T0, 1)])).toEqual({ stored: 0, dropped: { conflict: 1 } })
    expect(append(again, [scrape('x:1', ['m0'], T0 + 1000, 1)])).toEqual({ stored: 1, dropped: {} })
  })
})
