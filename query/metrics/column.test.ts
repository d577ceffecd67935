import { readFileSync } from 'node:fs'

import fc from 'fast-check'
import { expect, test } from 'vitest'

import { CELL_FLOAT, CELL_HISTOGRAM, type FloatHistogram } from '../../lib/model/index.ts'
import { RowsWriter } from '../../lib/wire/rows/index.ts'
import { Column, ColumnCodec } from './column.ts'
import { ValueCodec, blockOf } from './values.ts'

const codec = new ColumnCodec(new ValueCodec())
const HISTOGRAM: FloatHistogram = {
  schema: 0,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 1,
  sum: 2,
  positiveSpans: [],
  negativeSpans: [],
  positiveBuckets: [],
  negativeBuckets: [],
  customValues: [],
  counterResetHint: 'gauge',
}

interface Cell {
  readonly cell: number
  readonly value: number
  readonly startMs: number
}

function columnOf(cells: readonly Cell[]): Column {
  const column = new Column(cells.length)
  cells.forEach(({ cell, value, startMs }, row) => {
    column.values[row] = cell === CELL_FLOAT ? value : 0
    if (cell !== CELL_FLOAT) column.withCells()[row] = cell
    if (cell === CELL_HISTOGRAM) column.setHistogram(row, HISTOGRAM)
    column.setStart(row, startMs)
  })
  return column
}

test('a column of any cells decodes to the same, at any place of another', () => {
  const cells = fc.array(
    fc.record({
      cell: fc.oneof({ weight: 4, arbitrary: fc.constant(CELL_FLOAT) }, fc.nat(3)),
      value: fc.double(),
      startMs: fc.constantFrom(0, 0, 1e12),
    }),
    { minLength: 1, maxLength: 130 },
  )
  fc.assert(
    fc.property(cells, fc.nat(5), (some, before) => {
      const out = new RowsWriter()
      codec.encode(out, columnOf(some), some.length)
      const into = new Column(before + some.length)
      codec.decode(blockOf(out.finish()), 0, some.length, into, before)
      const found = into.slice(before, before + some.length)
      expect(some.map((_, row) => found.cell(row))).toEqual(some.map(({ cell }) => cell))
      expect(some.map(({ cell }, row) => (cell === CELL_FLOAT ? found.values[row] : 0))).toEqual(
        some.map(({ cell, value }) => (cell === CELL_FLOAT ? value : 0)),
      )
      expect(some.map((_, row) => found.startTimes?.[row] ?? 0)).toEqual(some.map(({ startMs }) => startMs))
      expect(some.map((_, row) => found.histograms?.[row])).toEqual(
        some.map(({ cell }) => (cell === CELL_HISTOGRAM ? HISTOGRAM : undefined)),
      )
    }),
  )
})

test('the sample in the documentation decodes to what it says', () => {
  const text = readFileSync(new URL('../../docs/formats/metrics.md', import.meta.url), 'utf8')
  const bytes = Buffer.from(/```hex\n([^`]+)```/.exec(text)![1]!.replaceAll(/\s/g, ''), 'hex')
  const column = new Column(3)
  codec.decode(blockOf(Uint8Array.from(bytes)), 0, 3, column, 0)
  expect([...column.values]).toEqual([10.5, 11, 10.75])
  const out = new RowsWriter()
  codec.encode(out, columnOf([10.5, 11, 10.75].map((value) => ({ cell: CELL_FLOAT, value, startMs: 0 }))), 3)
  expect(Buffer.from(out.finish()).toString('hex')).toBe(bytes.toString('hex'))
})
