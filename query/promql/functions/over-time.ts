/**
 * The `*_over_time` family over floats, with what each does about histograms: sum, avg, last, first, count and present take
 * them (`over-time-histogram.ts`), the others ignore them and say so where floats are in the same window.
 */
import { remarks } from '../annotations.ts'
import type { ColumnBuilder } from '../columns.ts'
import { KahanSum } from '../kahan.ts'
import { averageHistograms, sumHistograms } from './over-time-histogram.ts'
import { quantileOf } from './quantile.ts'
import type { RangeEnvironment, RangeFunction, Windows } from './range-function.ts'

type FloatKernel = (
  values: Float64Array,
  from: number,
  to: number,
  times: Float64Array,
  step: number,
  environment: RangeEnvironment,
) => number

/** A function of the window's floats alone. */
function floatsOnly(kernel: FloatKernel): RangeFunction {
  return {
    run(windows, out, environment) {
      const { series, from, to, count } = windows
      for (let k = 0; k < count; k++) {
        if (to[k] === from[k]) continue
        noteIgnored(windows, k, environment)
        out.set(k, kernel(series.values, from[k]!, to[k]!, series.times, k, environment))
      }
    },
  }
}

export function noteIgnored(windows: Windows, k: number, environment: RangeEnvironment): void {
  if (windows.histogramTo[k]! > windows.histogramFrom[k]!) environment.note(remarks.histogramIgnoredMixedRange(windows.metric))
}

/** Floats by one kernel, histograms by another; a window with both has no result and a warning. */
function eitherKind(
  floats: FloatKernel,
  histograms: (windows: Windows, k: number, out: ColumnBuilder, environment: RangeEnvironment) => void,
): RangeFunction {
  return {
    run(windows, out, environment) {
      const { series, from, to, histogramFrom, histogramTo, count } = windows
      for (let k = 0; k < count; k++) {
        const hasFloats = to[k]! > from[k]!
        const hasHistograms = histogramTo[k]! > histogramFrom[k]!
        if (hasFloats && hasHistograms) environment.note(remarks.mixedFloatsHistograms(windows.metric))
        else if (hasFloats) out.set(k, floats(series.values, from[k]!, to[k]!, series.times, k, environment))
        else if (hasHistograms) histograms(windows, k, out, environment)
      }
    },
  }
}

/** A function of how many samples of either kind are in the window. */
function counted(kernel: (count: number) => number): RangeFunction {
  return {
    run(windows, out) {
      for (let k = 0; k < windows.count; k++) {
        const count = windows.to[k]! - windows.from[k]! + windows.histogramTo[k]! - windows.histogramFrom[k]!
        if (count > 0) out.set(k, kernel(count))
      }
    },
  }
}

function sumFloats(values: Float64Array, from: number, to: number): number {
  const kahan = new KahanSum()
  for (let i = from; i < to; i++) kahan.add(values[i]!)
  return Number.isFinite(kahan.sum) ? kahan.sum + kahan.compensation : kahan.sum
}

/** Direct mean, or an incremental one from the value on that makes the sum overflow. */
export function averageFloats(values: Float64Array, from: number, to: number): number {
  const kahan = new KahanSum()
  let incremental = false
  let count = 1
  kahan.reset(values[from]!)
  for (let i = from + 1; i < to; i++) {
    count++
    const value = values[i]!
    if (!incremental) {
      const { sum, compensation } = kahan
      kahan.add(value)
      if (Number.isFinite(kahan.sum) || Number.isNaN(kahan.sum)) continue
      incremental = true
      kahan.reset(sum / (count - 1), compensation / (count - 1))
    }
    const share = (count - 1) / count
    kahan.reset(share * kahan.sum, share * kahan.compensation)
    kahan.add(value / count)
  }
  if (incremental) return kahan.sum + kahan.compensation
  return kahan.sum / count + kahan.compensation / count
}

/** Welford's variance with compensated mean and squares. Source: Prometheus `varianceOverTime`. */
function varianceFloats(values: Float64Array, from: number, to: number): number {
  const mean = new KahanSum()
  const squares = new KahanSum()
  let count = 0
  for (let i = from; i < to; i++) {
    count++
    const delta = values[i]! - (mean.sum + mean.compensation)
    mean.add(delta / count)
    squares.add(delta * (values[i]! - (mean.sum + mean.compensation)))
  }
  return (squares.sum + squares.compensation) / count
}

function madFloats(values: Float64Array, from: number, to: number): number {
  const window = values.slice(from, to)
  if (window.some(Number.isNaN)) return NaN
  const median = quantileOf(0.5, window)
  return quantileOf(
    0.5,
    window.map((value) => Math.abs(value - median)),
  )
}

/** The row of the extreme; NaN only where there is nothing else. */
function extremeRow(values: Float64Array, from: number, to: number, sign: 1 | -1, lastWins: boolean): number {
  let row = from
  for (let i = from + 1; i < to; i++) {
    const best = values[row]! * sign
    const value = values[i]! * sign
    if (value > best || Number.isNaN(best) || (lastWins && value === best)) row = i
  }
  return row
}

/** The newest or oldest sample of either kind. */
function edgeSample(newest: boolean): RangeFunction {
  return {
    keepsName: true,
    run(windows, out) {
      const { series } = windows
      for (let k = 0; k < windows.count; k++) {
        const edge = edgeOf(windows, k, newest)
        if (edge === undefined) continue
        if (edge.isFloat) out.set(k, series.values[edge.row]!)
        else out.setHistogram(k, series.histograms[edge.row]!)
      }
    },
  }
}

function edgeTime(newest: boolean): RangeFunction {
  return {
    run(windows, out) {
      const { times, histogramTimes } = windows.series
      for (let k = 0; k < windows.count; k++) {
        const edge = edgeOf(windows, k, newest)
        if (edge !== undefined) out.set(k, (edge.isFloat ? times : histogramTimes)[edge.row]! / 1000)
      }
    },
  }
}

function edgeOf(windows: Windows, k: number, newest: boolean): { isFloat: boolean; row: number } | undefined {
  const { series, from, to, histogramFrom, histogramTo } = windows
  const hasFloats = to[k]! > from[k]!
  const hasHistograms = histogramTo[k]! > histogramFrom[k]!
  if (!hasFloats && !hasHistograms) return undefined
  const row = newest ? to[k]! - 1 : from[k]!
  const histogramRow = newest ? histogramTo[k]! - 1 : histogramFrom[k]!
  if (!hasHistograms) return { isFloat: true, row }
  if (!hasFloats) return { isFloat: false, row: histogramRow }
  const floatLater = series.times[row]! > series.histogramTimes[histogramRow]!
  const isFloat = newest === floatLater
  return { isFloat, row: isFloat ? row : histogramRow }
}

export const OVER_TIME_FUNCTIONS: Readonly<Record<string, RangeFunction>> = {
  sum_over_time: eitherKind(sumFloats, sumHistograms),
  avg_over_time: eitherKind(averageFloats, averageHistograms),
  count_over_time: counted((count) => count),
  present_over_time: counted(() => 1),
  last_over_time: edgeSample(true),
  first_over_time: edgeSample(false),
  ts_of_last_over_time: edgeTime(true),
  ts_of_first_over_time: edgeTime(false),
  max_over_time: floatsOnly((values, from, to) => values[extremeRow(values, from, to, 1, false)]!),
  min_over_time: floatsOnly((values, from, to) => values[extremeRow(values, from, to, -1, false)]!),
  ts_of_max_over_time: floatsOnly((values, from, to, times) => times[extremeRow(values, from, to, 1, true)]! / 1000),
  ts_of_min_over_time: floatsOnly((values, from, to, times) => times[extremeRow(values, from, to, -1, true)]! / 1000),
  stdvar_over_time: floatsOnly(varianceFloats),
  stddev_over_time: floatsOnly((values, from, to) => Math.sqrt(varianceFloats(values, from, to))),
  mad_over_time: floatsOnly(madFloats),
  quantile_over_time: floatsOnly((values, from, to, _times, step, environment) =>
    quantileOf(environment.params[0]![step]!, values.subarray(from, to)),
  ),
}
