import { readFileSync } from 'node:fs'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { CELL_ABSENT, CELL_FLOAT, CELL_HISTOGRAM, CELL_STALE, labelsOf, type FloatHistogram } from '../../model/index.ts'
import { SightlineError, kindOf } from '../../runtime/errors.ts'
import {
  LayoutAnnouncer,
  RECORD_BYTES_MAX,
  countItems,
  decodeRows,
  encodeRecords,
  encodeRows,
  groupOf,
  layoutOf,
  walkRows,
  type Layout,
  type Row,
  type RowBatch,
} from './index.ts'

const none = (): undefined => undefined

const histogramOf: fc.Arbitrary<FloatHistogram> = fc.record({
  schema: fc.constantFrom(-53, -4, 0, 3, 8),
  zeroThreshold: fc.double(),
  zeroCount: fc.double(),
  count: fc.double(),
  sum: fc.double(),
  positiveSpans: fc.array(fc.record({ offset: fc.integer({ min: -1000, max: 1000 }), length: fc.nat(1000) }), { maxLength: 3 }),
  negativeSpans: fc.array(fc.record({ offset: fc.integer({ min: -1000, max: 1000 }), length: fc.nat(1000) }), { maxLength: 3 }),
  positiveBuckets: fc.array(fc.double(), { maxLength: 5 }),
  negativeBuckets: fc.array(fc.double(), { maxLength: 5 }),
  customValues: fc.array(fc.double(), { maxLength: 5 }),
  counterResetHint: fc.constantFrom('unknown', 'reset', 'not_reset', 'gauge'),
})

const layouts = fc
  .uniqueArray(fc.dictionary(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme', minLength: 1 }), { maxKeys: 4 }), {
    maxLength: 20,
    selector: (d) => JSON.stringify(labelsOf(d)),
  })
  .map((series) => layoutOf('group', series.map(labelsOf)))

const rowOf = (layout: Layout): fc.Arbitrary<Row> => {
  const width = layout.series.length
  const exactly = { minLength: width, maxLength: width }
  return fc
    .record({
      timestampMs: fc.integer(),
      values: fc.array(fc.double(), exactly),
      cells: fc.option(fc.array(fc.constantFrom(CELL_ABSENT, CELL_FLOAT, CELL_STALE, CELL_HISTOGRAM), exactly)),
      histogram: histogramOf,
      startTimes: fc.option(fc.array(fc.constantFrom(0, 5, 1e12), exactly)),
    })
    .map(({ timestampMs, values, cells, histogram, startTimes }) => {
      const histograms = cells?.map((cell) => (cell === CELL_HISTOGRAM ? histogram : undefined))
      return {
        layout,
        timestampMs,
        values: Float64Array.from(values),
        ...(cells === null || cells.every((c) => c === CELL_FLOAT) ? {} : { cells: Uint8Array.from(cells) }),
        ...(histograms?.some((h) => h !== undefined) ? { histograms } : {}),
        ...(startTimes === null || startTimes.every((t) => t === 0) ? {} : { startTimes: Float64Array.from(startTimes) }),
        ...(width === 0 ? {} : { exemplars: [{ column: width - 1, labels: ['trace_id', 'abc'], value: 1.5, timestampMs: 7 }] }),
      }
    })
}

const batches: fc.Arbitrary<RowBatch> = layouts.chain((layout) =>
  fc.record({
    rows: fc.array(rowOf(layout), { maxLength: 4 }),
    metadata: fc.array(
      fc.record({ family: fc.string(), type: fc.constant('counter'), help: fc.string({ unit: 'grapheme' }), unit: fc.string() }),
      {
        maxLength: 3,
      },
    ),
  }),
)

function wideLayout(count: number, suffixLength = 10): Layout {
  const pad = 'x'.repeat(suffixLength)
  return layoutOf(
    'wide',
    Array.from({ length: count }, (_, i) => labelsOf({ __name__: `metric_${i}`, path: `${pad}${i}` })),
  )
}

function samplesOf(row: Row): Map<string, number> {
  const out = new Map<string, number>()
  row.values.forEach((value, i) => {
    if (row.cells === undefined || row.cells[i] !== CELL_ABSENT) out.set(row.layout.series[i]!.join('|'), value)
  })
  return out
}

test('a record of rows whose layouts are known fills its memory to the last byte: it can go to another thread without a copy', () => {
  const layout = layoutOf(
    'g',
    Array.from({ length: 37 }, (_, i) => labelsOf({ __name__: `m${i}` })),
  )
  const values = new Float64Array(37)
  const cells = new Uint8Array(37).fill(CELL_FLOAT)
  cells[3] = CELL_STALE
  for (const rows of [
    [{ layout, timestampMs: 1, values }],
    [
      { layout, timestampMs: 1, values, cells },
      { layout, timestampMs: 2, values },
    ],
  ]) {
    const [record] = encodeRecords({ rows, metadata: [] }, () => true)
    expect(record!.payload.buffer.byteLength).toBe(record!.payload.byteLength)
  }
})

describe('rows', () => {
  test('decoding gives the batch that was encoded', () => {
    fc.assert(
      fc.property(batches, (batch) => {
        expect(
          decodeRows(
            encodeRows(batch, () => false),
            none,
          ),
        ).toEqual(batch)
      }),
    )
  })

  test('a payload at an odd address decodes to the same', () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const payload = encodeRows(batch, () => false)
        const moved = new Uint8Array(payload.length + 3).subarray(3)
        moved.set(payload)
        expect(decodeRows(moved, none)).toEqual(batch)
      }),
    )
  })

  test('items are the cells that are not absent', () => {
    const layout = wideLayout(4)
    const cells = Uint8Array.of(CELL_FLOAT, CELL_ABSENT, CELL_STALE, CELL_FLOAT)
    const payload = encodeRows({ rows: [{ layout, timestampMs: 1, values: new Float64Array(4), cells }], metadata: [] }, () => false)
    expect(countItems(payload)).toBe(3)
  })

  test('a known layout goes by its id, and its row is not copied', () => {
    const layout = wideLayout(100)
    const values = Float64Array.from({ length: 100 }, (_, i) => i)
    const payload = encodeRows({ rows: [{ layout, timestampMs: 5, values }], metadata: [] }, () => true)
    expect(payload.length).toBe(24 + 48 + 800)
    let seen: Float64Array | undefined
    walkRows(payload, { layout: () => expect.fail('no layout was sent'), metadata: () => {}, row: (row) => (seen = row.values) })
    expect(seen).toEqual(values)
    expect(seen!.buffer).toBe(payload.buffer)
    expect(decodeRows(payload, (id) => (id === layout.id ? layout : undefined)).rows[0]!.layout).toBe(layout)
  })

  test('an unknown layout is reported with the number of its samples', () => {
    const payload = encodeRows({ rows: [{ layout: wideLayout(3), timestampMs: 5, values: new Float64Array(3) }], metadata: [] }, () => true)
    expect(() => decodeRows(payload, none)).toThrow(/layout [0-9a-f]{32} of 3 samples is not known/)
  })

  test('any change to a payload ends in a value or in bad_data', () => {
    const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(batches, change, fc.nat(), (batch, changes, cut) => {
        const payload = encodeRows(batch, () => false).slice()
        for (const [at, byte] of changes) payload[at % payload.length] = byte
        expect(['value', 'bad_data']).toContain(outcomeOf(payload))
        expect(outcomeOf(payload.subarray(0, cut % payload.length))).toBe('bad_data')
      }),
      { numRuns: 500 },
    )
  })

  test('random bytes end in a value or in bad_data', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        const head = [0x53, 0x4c, 0x52, 0x57, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        expect(['value', 'bad_data']).toContain(outcomeOf(Uint8Array.from([...head, ...tail])))
      }),
    )
  })

  test('a version that is not known is refused by name', () => {
    const payload = encodeRows({ rows: [], metadata: [] }, none as never)
    payload[4] = 9
    expect(() => countItems(payload)).toThrow(/version 9 is not known/)
  })
})

describe('layouts', () => {
  test('equal content has an equal id, another order another', () => {
    const a = labelsOf({ __name__: 'a' })
    const b = labelsOf({ __name__: 'b' })
    expect(layoutOf('g', [a, b]).id).toBe(layoutOf('g', [[...a], [...b]]).id)
    expect(layoutOf('g', [a, b]).id).not.toBe(layoutOf('g', [b, a]).id)
    expect(layoutOf('g', [a]).id).not.toBe(layoutOf('h', [a]).id)
    expect(layoutOf('g', [a]).id).toMatch(/^[0-9a-f]{32}$/)
  })

  test('a group is job and instance, or the whole label set', () => {
    expect(groupOf(labelsOf({ __name__: 'a', job: 'j', instance: 'i' }))).toBe(
      groupOf(labelsOf({ __name__: 'b', job: 'j', instance: 'i' })),
    )
    expect(groupOf(labelsOf({ __name__: 'a', job: 'j' }))).not.toBe(groupOf(labelsOf({ __name__: 'b', job: 'j' })))
  })
})

describe('splitting', () => {
  test('a batch larger than a record becomes records that together hold every sample', () => {
    const layout = wideLayout(30_000, 40)
    const rows = [1, 2, 3].map((t) => ({ layout, timestampMs: t, values: Float64Array.from({ length: 30_000 }, (_, i) => i * t) }))
    const records = encodeRecords({ rows, metadata: [] }, () => false)
    expect(Math.max(...records.map((r) => r.payload.length))).toBeLessThanOrEqual(RECORD_BYTES_MAX)
    const known = new Map<string, Layout>()
    const found = new Map<number, Map<string, number>>()
    for (const record of records) {
      const batch = decodeRows(record.payload, (id) => known.get(id))
      for (const row of batch.rows) {
        known.set(row.layout.id, row.layout)
        expect(row.layout.group).toBe('wide')
        const at = found.get(row.timestampMs) ?? new Map<string, number>()
        for (const [key, value] of samplesOf(row)) at.set(key, value)
        found.set(row.timestampMs, at)
      }
    }
    expect(records.reduce((sum, r) => sum + r.items, 0)).toBe(90_000)
    for (const row of rows) expect(found.get(row.timestampMs)).toEqual(samplesOf(row))
  })

  test('a row of large histograms is cut between columns', () => {
    const layout = wideLayout(100)
    const histogram: FloatHistogram = {
      schema: 3,
      zeroThreshold: 0,
      zeroCount: 0,
      count: 1,
      sum: 1,
      positiveSpans: [{ offset: 0, length: 160 }],
      negativeSpans: [],
      positiveBuckets: Array.from({ length: 160 }, (_, i) => i),
      negativeBuckets: [],
      customValues: [],
      counterResetHint: 'unknown',
    }
    const row: Row = {
      layout,
      timestampMs: 1,
      values: new Float64Array(100),
      cells: new Uint8Array(100).fill(CELL_HISTOGRAM),
      histograms: Array.from({ length: 100 }, () => histogram),
      exemplars: [{ column: 99, labels: [], value: 1, timestampMs: 1 }],
    }
    const records = encodeRecords({ rows: [row], metadata: [] }, () => true, { bytesMax: 40_000 })
    expect(records.length).toBeGreaterThan(3)
    const rows = records.flatMap((r) => decodeRows(r.payload, () => layout).rows)
    expect(rows.reduce((sum, r) => sum + samplesOf(r).size, 0)).toBe(100)
    expect(rows.at(-1)!.histograms![99]).toEqual(histogram)
    expect(rows.at(-1)!.exemplars![0]!.column).toBe(99)
  })

  test('a sample larger than a record is refused', () => {
    const layout = wideLayout(1, 5000)
    const row = { layout, timestampMs: 1, values: new Float64Array(1) }
    expect(() => encodeRecords({ rows: [row], metadata: [] }, () => false, { bytesMax: 1000 })).toThrow(SightlineError)
  })
})

describe('the announcer', () => {
  test('sends a layout once, and again within five minutes', () => {
    const announcer = new LayoutAnnouncer()
    const batch = { rows: [{ layout: wideLayout(10), timestampMs: 1, values: new Float64Array(10) }], metadata: [] }
    const isFull = (nowMs: number): boolean => announcer.encode(batch, nowMs)[0]!.payload.length > 24 + 48 + 80
    expect([0, 15_000, 230_000, 299_000, 310_000].map(isFull)).toEqual([true, false, false, true, false])
    announcer.forget()
    expect(isFull(311_000)).toBe(true)
  })

  test('forgets the oldest layouts beyond its limit', () => {
    const announcer = new LayoutAnnouncer({ layoutsMax: 2 })
    const lengths = [1, 2, 3, 1].map((n) => {
      const batch = { rows: [{ layout: wideLayout(n), timestampMs: 1, values: new Float64Array(n) }], metadata: [] }
      return announcer.encode(batch, 0)[0]!.payload.length
    })
    expect(lengths[3]).toBe(lengths[0])
  })
})

test('the sample in the documentation decodes to what it says', () => {
  const text = readFileSync(new URL('../../../docs/formats/rows.md', import.meta.url), 'utf8')
  const hex = /```hex\n([^`]+)```/.exec(text)![1]!.replaceAll(/\s/g, '')
  const batch = decodeRows(Buffer.from(hex, 'hex'), none)
  expect(batch.metadata).toEqual([{ family: 'up', type: 'gauge', help: '', unit: '' }])
  expect(batch.rows).toHaveLength(1)
  expect(batch.rows[0]!.timestampMs).toBe(1_700_000_000_000)
  expect(batch.rows[0]!.layout.series).toEqual([
    ['__name__', 'up', 'instance', 'a:1', 'job', 'j'],
    ['__name__', 'x', 'instance', 'a:1', 'job', 'j'],
  ])
  expect([...batch.rows[0]!.values]).toEqual([1, 0])
  expect([...batch.rows[0]!.cells!]).toEqual([CELL_FLOAT, CELL_STALE])
})

/** 'value', or the kind of the error the walk ended with. */
function outcomeOf(payload: Uint8Array): string {
  try {
    walkRows(payload, { layout: () => {}, row: () => {}, metadata: () => {} })
    return 'value'
  } catch (error) {
    return kindOf(error)
  }
}
