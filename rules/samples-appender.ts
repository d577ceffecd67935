/** Rule outputs as rows: each series in the group that its labels say, stale markers beside values, all of one instant in one append. */
import { CELL_FLOAT, CELL_HISTOGRAM, CELL_STALE, type FloatHistogram, type Labels } from '../lib/model/index.ts'
import type { RowsAppender } from '../lib/producer/index.ts'
import { groupOf, layoutOf, type Row } from '../lib/wire/rows/index.ts'
import type { AppendSamples } from './evaluation.ts'
import { withExternal } from './external.ts'

interface RowParts {
  readonly series: Labels[]
  readonly values: number[]
  readonly cells: number[]
  readonly histograms: (FloatHistogram | undefined)[]
}

/** @param externalLabels added where a series has no such label */
export function createSamplesAppender(rows: RowsAppender, tenant: string, externalLabels: () => Labels): AppendSamples {
  return async (samples, stale, timestampMs) => {
    const parts = new Map<string, RowParts>()
    const add = (labels: Labels, value: number, cell: number, histogram?: FloatHistogram): void => {
      const all = withExternal(labels, externalLabels())
      const group = groupOf(all)
      const part = parts.get(group) ?? { series: [], values: [], cells: [], histograms: [] }
      part.series.push(all)
      part.values.push(value)
      part.cells.push(cell)
      part.histograms.push(histogram)
      parts.set(group, part)
    }
    for (const { labels, value, histogram } of samples) add(labels, value, histogram === undefined ? CELL_FLOAT : CELL_HISTOGRAM, histogram)
    for (const labels of stale) add(labels, 0, CELL_STALE)
    await rows.append(tenant, { rows: [...parts].map(([group, part]) => rowOf(group, part, timestampMs)), metadata: [] })
  }
}

function rowOf(group: string, { series, values, cells, histograms }: RowParts, timestampMs: number): Row {
  const hasHistograms = cells.includes(CELL_HISTOGRAM)
  const allFloats = cells.every((cell) => cell === CELL_FLOAT)
  return {
    layout: layoutOf(group, series),
    timestampMs,
    values: Float64Array.from(values),
    ...(allFloats ? {} : { cells: Uint8Array.from(cells) }),
    ...(hasHistograms ? { histograms } : {}),
  }
}
