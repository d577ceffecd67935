/** rate, increase, delta, irate and idelta over native histograms. Source: Prometheus `histogramRate`, `instantValue`. */
import type { FloatHistogram } from '../../../lib/model/index.ts'
import { remarks } from '../annotations.ts'
import type { ColumnBuilder } from '../columns.ts'
import {
  addHistograms,
  detectReset,
  emptyHistogram,
  scaleHistogram,
  subtractHistograms,
  usesCustomBuckets,
  withHint,
} from '../histogram/index.ts'
import { extrapolationFactor, startIsReset, startsOverlap } from './counter.ts'
import type { RangeEnvironment, Windows } from './range-function.ts'

/** Writes step k of rate, increase (counters) or delta from a window of histograms only. */
export function histogramIncrease(
  windows: Windows,
  k: number,
  out: ColumnBuilder,
  environment: RangeEnvironment,
  isCounter: boolean,
  isRate: boolean,
): void {
  const { series, histogramFrom, histogramTo, ends, rangeMs, metric } = windows
  const { histogramTimes: times, histogramStarts: starts } = series
  const first = histogramFrom[k]!
  const last = histogramTo[k]! - 1
  const rangeStart = ends[k]! - rangeMs
  const start = isCounter && starts !== undefined ? starts[first]! : 0
  const fromStart = start !== 0 && start > rangeStart && start < times[first]!
  if (first === last && !fromStart) return
  const points = series.histograms.slice(first, last + 1)
  const increase = increaseOf(
    points,
    times.subarray(first, last + 1),
    starts?.subarray(first, last + 1),
    fromStart,
    isCounter,
    metric,
    environment,
  )
  if (increase === undefined) return
  if (isCounter && starts !== undefined && startsOverlap(times, starts, first, last + 1)) environment.note(remarks.startOverlap(metric))
  const zeroShare = isCounter && increase.count > 0 && points[0]!.count >= 0 ? points[0]!.count / increase.count : NaN
  const factor = extrapolationFactor(times[first]!, times[last]!, last - first, rangeStart, ends[k]!, fromStart ? start : NaN, zeroShare)
  const scale = isRate ? factor / (rangeMs / 1000) : factor
  out.setHistogram(
    k,
    scaleHistogram(increase, (value) => value * scale),
  )
}

/** Last − first + what was there before each reset; undefined where layouts don't go together. */
function increaseOf(
  points: readonly FloatHistogram[],
  times: Float64Array,
  starts: Float64Array | undefined,
  fromStart: boolean,
  isCounter: boolean,
  metric: string,
  environment: RangeEnvironment,
): FloatHistogram | undefined {
  const last = points.at(-1)!
  let first = points[0]!
  const isGauge = (point: FloatHistogram): boolean => point.counterResetHint === 'gauge'
  const resetAt = (i: number, previous: FloatHistogram): boolean =>
    detectReset(points[i]!, previous) || (starts !== undefined && startIsReset(times[i - 1]!, times[i]!, starts[i - 1]!, starts[i]!))
  if (isCounter && points.some(isGauge)) environment.note(remarks.notCounter(metric))
  if (!isCounter && !(isGauge(first) && isGauge(last))) environment.note(remarks.notGauge(metric))
  if (fromStart) first = emptyHistogram(first)
  if (isCounter && !fromStart && points.length > 1 && resetAt(1, first)) first = emptyHistogram(points[1]!)
  const custom = usesCustomBuckets(first)
  const relevant = isCounter ? points.slice(1) : [last]
  if (relevant.some((point) => usesCustomBuckets(point) !== custom)) {
    environment.note(remarks.mixedExponentialCustom(metric))
    return undefined
  }
  const note = (combined: { boundsReconciled: boolean }, operation: 'addition' | 'subtraction'): void => {
    if (combined.boundsReconciled) environment.note(remarks.mismatchedBuckets(operation))
  }
  const difference = subtractHistograms(withHint(last, 'unknown'), withHint(first, 'unknown'))!
  note(difference, 'subtraction')
  let total = difference.histogram
  if (isCounter) {
    let previous = fromStart ? points[0]! : first
    for (let i = 1; i < points.length; i++) {
      if (resetAt(i, previous)) {
        const sum = addHistograms(total, withHint(previous, 'unknown'))!
        note(sum, 'addition')
        total = sum.histogram
      }
      previous = points[i]!
    }
  }
  return withHint(total, 'gauge')
}

/** Writes step k of irate or idelta from the window's last two histograms. */
export function histogramInstant(windows: Windows, k: number, out: ColumnBuilder, environment: RangeEnvironment, isRate: boolean): void {
  const { series, histogramTo, metric } = windows
  const { histogramTimes: times, histogramStarts: starts, histograms } = series
  const last = histogramTo[k]! - 1
  const newest = histograms[last]!
  const second = histograms[last - 1]!
  const intervalMs = times[last]! - times[last - 1]!
  if (intervalMs === 0) return
  const gauges = [newest, second].filter((point) => point.counterResetHint === 'gauge').length
  if (isRate && gauges > 0) environment.note(remarks.notCounter(metric))
  if (!isRate && gauges < 2) environment.note(remarks.notGauge(metric))
  const began =
    isRate && (detectReset(newest, second) || startIsReset(times[last - 1]!, times[last]!, starts?.[last - 1] ?? 0, starts?.[last] ?? 0))
  let result = newest
  if (!began) {
    const difference = subtractHistograms(withHint(newest, 'unknown'), withHint(second, 'unknown'))
    if (difference === undefined) {
      environment.note(remarks.mixedExponentialCustom(metric))
      return
    }
    if (difference.boundsReconciled) environment.note(remarks.mismatchedBuckets('subtraction'))
    result = difference.histogram
  }
  result = withHint(result, 'gauge')
  const seconds = intervalMs / 1000
  out.setHistogram(k, isRate ? scaleHistogram(result, (value) => value / seconds) : result)
}
