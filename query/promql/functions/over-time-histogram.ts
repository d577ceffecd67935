/** sum_over_time and avg_over_time over native histograms. */
import { remarks } from '../annotations.ts'
import type { ColumnBuilder } from '../columns.ts'
import { HistogramSum, compactHistogram } from '../histogram/index.ts'
import type { RangeEnvironment, Windows } from './range-function.ts'

export function sumHistograms(windows: Windows, k: number, out: ColumnBuilder, environment: RangeEnvironment): void {
  total(windows, k, out, environment, false)
}

export function averageHistograms(windows: Windows, k: number, out: ColumnBuilder, environment: RangeEnvironment): void {
  total(windows, k, out, environment, true)
}

function total(windows: Windows, k: number, out: ColumnBuilder, environment: RangeEnvironment, average: boolean): void {
  const { series, histogramFrom, histogramTo, metric } = windows
  const sum = new HistogramSum()
  for (let i = histogramFrom[k]!; i < histogramTo[k]!; i++) sum.add(series.histograms[i]!)
  if (sum.hintCollision) environment.note(remarks.counterResetCollision('aggregation'))
  if (sum.boundsReconciled) environment.note(remarks.mismatchedBuckets('aggregation'))
  const histogram = average ? sum.average() : sum.total()
  if (histogram === undefined) environment.note(remarks.mixedExponentialCustom(metric))
  else out.setHistogram(k, compactHistogram(histogram))
}
