import fc from 'fast-check'
import { expect, test } from 'vitest'
import { labelsKey, labelsOf, type Labels } from '../../lib/model/index.ts'
import { encodeRecords, layoutOf } from '../../lib/wire/rows/index.ts'
import { Columns } from './columns.ts'

const text = fc.string({ unit: fc.constantFrom('a', 'b', 'ü'), maxLength: 2 })
const labelSets = fc.array(fc.dictionary(text, text, { maxKeys: 4 }).map(labelsOf), { maxLength: 200 })

function columnsOf(series: readonly Labels[]): Columns {
  const columns = new Columns('g')
  for (const labels of series) columns.add(labels)
  return columns
}

function unique(series: readonly Labels[]): Labels[] {
  return [...new Map(series.map((labels) => [labelsKey(labels), labels])).values()]
}

test('a label set has one column, in the order they came, and the layout is that of the label sets', () => {
  fc.assert(
    fc.property(labelSets, (series) => {
      const columns = columnsOf(series)
      const expected = unique(series)
      expect(columns.length).toBe(expected.length)
      expect(expected.map((_, column) => columns.labelsOf(column))).toEqual(expected)
      for (const [column, labels] of expected.entries()) expect(columns.add(labels)).toBe(column)
      const layout = columns.layout()
      expect(layout.id).toBe(layoutOf('g', expected).id)
      expect(layout.series).toEqual(expected)
      expect(columns.layout()).toBe(layout)
    }),
  )
})

test('columns that stay keep their order, and strings that nobody has any more are gone from the layout', () => {
  fc.assert(
    fc.property(labelSets, fc.integer({ min: 2, max: 5 }), (series, every) => {
      const isGone = (column: number): boolean => column % every === 0
      const kept = columnsOf(series).without(isGone)
      const expected = unique(series).filter((_, column) => !isGone(column))
      expect(kept.layout().id).toBe(layoutOf('g', expected).id)
    }),
  )
})

test('a layout that changed is another one, the one before stays what it was', () => {
  const first: Labels = ['__name__', 'a']
  const columns = columnsOf([first])
  const before = columns.layout()
  columns.add(['__name__', 'b'])
  expect(columns.layout()).not.toBe(before)
  expect(before.series).toEqual([first])
})

test('one that is too large for a record is cut like any other', () => {
  const series = Array.from({ length: 500 }, (_, i): Labels => ['__name__', 'm', 'number', `a-number-that-is-long-${i}`])
  const values = Float64Array.from(series, (_, i) => i)
  const records = [columnsOf(series).layout(), layoutOf('g', series)].map((layout) =>
    encodeRecords({ rows: [{ layout, timestampMs: 1, values }], metadata: [] }, () => false, { bytesMax: 4096 }),
  )
  expect(records[0]!.length).toBeGreaterThan(1)
  expect(records[0]).toEqual(records[1])
})
