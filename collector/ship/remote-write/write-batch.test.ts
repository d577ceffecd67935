import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { CELL_ABSENT, CELL_FLOAT, CELL_STALE, labelsOf, type Labels } from '../../../lib/model/index.ts'
import { decodeWriteV1, SeriesBook } from '../../../lib/wire/remote-write/index.ts'
import type { RowView } from '../../../lib/wire/rows/index.ts'
import { WriteBatch, type WritePortion } from './write-batch.ts'

const SERIES: readonly (Labels | undefined)[] = ['a', 'b', 'c', 'd'].map((job) =>
  job === 'c' ? undefined : labelsOf({ __name__: 'm', job, instance: 'i' }),
)

function viewOf(timestampMs: number, values: readonly number[], extra: Partial<RowView> = {}): RowView {
  return {
    layoutId: 'x',
    timestampMs,
    firstColumn: 0,
    items: values.length,
    values: Float64Array.from(values),
    cells: undefined,
    histograms: undefined,
    startTimes: undefined,
    exemplars: undefined,
    ...extra,
  }
}

function portionsOf(batch: WriteBatch, samplesMax: number): WritePortion[] {
  const portions: WritePortion[] = []
  for (let portion = batch.take(samplesMax); portion !== undefined; portion = batch.take(samplesMax)) portions.push(portion)
  return portions
}

/** `<job> <time> <value>`, sorted; stale is NaN. */
function samplesOf(portions: readonly WritePortion[]): string[] {
  const book = new SeriesBook()
  return portions
    .flatMap(({ body }) => decodeWriteV1(body, book, []).batch.rows)
    .flatMap(({ layout, values, cells, timestampMs }) =>
      layout.series.flatMap((labels, i) => {
        const cell = cells?.[i] ?? CELL_FLOAT
        return cell === CELL_ABSENT ? [] : [`${labels.at(-1)} ${timestampMs} ${cell === CELL_STALE ? 'stale' : values[i]}`]
      }),
    )
    .sort()
}

describe('a batch for remote write', () => {
  test('whatever the portions, together they hold every sample once, each at most so many', () => {
    const cell = fc.constantFrom(CELL_ABSENT, CELL_FLOAT, CELL_STALE)
    const row = fc.array(fc.tuple(fc.integer({ min: 0, max: 1000 }), cell), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 6 }), fc.integer({ min: 1, max: 5 }), fc.boolean(), (rows, samplesMax, isSlice) => {
        const batch = new WriteBatch({ sendExemplars: false, sendHistograms: false })
        const expected: string[] = []
        let relabeled = 0
        for (const [r, cells] of rows.entries()) {
          const firstColumn = isSlice ? 4 - cells.length : 0
          const view = viewOf(
            (r + 1) * 1000,
            cells.map(([value]) => value),
            { cells: Uint8Array.from(cells, ([, one]) => one), firstColumn },
          )
          batch.add(SERIES, view)
          for (const [i, [value, one]] of cells.entries()) {
            const labels = SERIES[firstColumn + i]
            if (one === CELL_ABSENT) continue
            if (labels === undefined) relabeled++
            else expected.push(`${labels.at(-1)} ${view.timestampMs} ${one === CELL_STALE ? 'stale' : value}`)
          }
        }
        const portions = portionsOf(batch, samplesMax)
        expect(samplesOf(portions)).toEqual(expected.sort())
        expect(portions.every(({ samples }) => samples > 0 && samples <= samplesMax)).toBe(true)
        expect(batch.leftOut).toEqual({ relabeled, histogram: 0 })
      }),
    )
  })

  test('an exemplar goes with its own sample only, and only where it is wanted', () => {
    const exemplar = { column: 1, labels: ['trace_id', 'abc'], value: 7, timestampMs: 1500 }
    const exemplarsOf = (sendExemplars: boolean): string[] => {
      const batch = new WriteBatch({ sendExemplars, sendHistograms: false })
      batch.add(SERIES, viewOf(1000, [1, 2], { exemplars: [exemplar] }))
      batch.add(SERIES, viewOf(2000, [1, 2]))
      const [portion] = portionsOf(batch, 100)
      const { rows } = decodeWriteV1(portion!.body, new SeriesBook(), []).batch
      return rows.flatMap(({ layout, exemplars = [] }) => exemplars.map(({ column, value }) => `${layout.series[column]!.at(-1)} ${value}`))
    }
    expect(exemplarsOf(true)).toEqual(['b 7'])
    expect(exemplarsOf(false)).toEqual([])
  })

  test('metadata without samples is a request too, in portions as well', () => {
    const batch = new WriteBatch({ sendExemplars: false, sendHistograms: false })
    batch.addMetadata(['a', 'b', 'c'].map((family) => ({ family, type: 'gauge', help: 'h', unit: '' })))
    expect(portionsOf(batch, 2).map(({ samples, families }) => [samples, families])).toEqual([
      [0, 2],
      [0, 1],
    ])
  })
})
