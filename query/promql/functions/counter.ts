/**
 * rate, increase, delta, irate, idelta over floats; histograms are in `counter-histogram.ts`.
 *
 * A counter's increase over a window is last − first + every value before a reset, in that order of additions. Resets are
 * found once a series, so the whole costs samples + steps + resets inside windows.
 */
import { remarks } from '../annotations.ts'
import { histogramInstant, histogramIncrease } from './counter-histogram.ts'
import type { RangeEnvironment, RangeFunction, RangeSeries, Windows } from './range-function.ts'
import type { ColumnBuilder } from '../columns.ts'

/** rate, increase (counters) and delta (gauges). */
function extrapolated(isCounter: boolean, isRate: boolean): RangeFunction {
  return { run: (windows, out, environment) => runExtrapolated(windows, out, environment, isCounter, isRate) }
}

export const COUNTER_FUNCTIONS: Readonly<Record<string, RangeFunction>> = {
  rate: extrapolated(true, true),
  increase: extrapolated(true, false),
  delta: extrapolated(false, false),
  irate: { run: (windows, out, environment) => runInstant(windows, out, environment, true) },
  idelta: { run: (windows, out, environment) => runInstant(windows, out, environment, false) },
}

/**
 * Whether the counter began anew between two samples: the value fell, or the later sample's start timestamp says so.
 * A start equal to the earlier sample's time counts only where that sample had a start of its own before it (delta
 * temporality); a start that isn't before its own sample is invalid.
 */
export function isReset(
  previous: number,
  value: number,
  previousTime: number,
  time: number,
  previousStart: number,
  start: number,
): boolean {
  if (value < previous) return true
  return startIsReset(previousTime, time, previousStart, start)
}

export function startIsReset(previousTime: number, time: number, previousStart: number, start: number): boolean {
  if (start === 0 || start >= time || start < previousTime) return false
  return start > previousTime || (previousStart !== 0 && previousStart < previousTime)
}

/** Rows that begin anew, ascending. */
export function resetRows(series: RangeSeries): Int32Array {
  const { times, values, starts } = series
  const n = values.length
  const rows: number[] = []
  if (starts === undefined) {
    for (let i = 1; i < n; i++) if (values[i]! < values[i - 1]!) rows.push(i)
  } else {
    for (let i = 1; i < n; i++) {
      if (isReset(values[i - 1]!, values[i]!, times[i - 1]!, times[i]!, starts[i - 1]!, starts[i]!)) rows.push(i)
    }
  }
  return Int32Array.from(rows)
}

/** True where a sample says it began before the sample ahead of it ended. */
export function startsOverlap(times: Float64Array, starts: Float64Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) {
    const start = starts[i]!
    if (start !== 0 && start < times[i - 1]! && start !== starts[i - 1]!) return true
  }
  return false
}

/**
 * Source: Prometheus `extrapolatedRate`; additions happen in its order.
 */
function runExtrapolated(windows: Windows, out: ColumnBuilder, environment: RangeEnvironment, isCounter: boolean, isRate: boolean): void {
  const { series, from, to, histogramFrom, histogramTo, ends, rangeMs, count, metric } = windows
  const { times, values, starts } = series
  const hasHistograms = series.histograms.length > 0
  const resets = isCounter ? resetRows(series) : new Int32Array(0)
  let resetAt = 0
  let wroteFloat = false
  for (let k = 0; k < count; k++) {
    const first = from[k]!
    const last = to[k]! - 1
    if (hasHistograms && histogramTo[k]! > histogramFrom[k]!) {
      if (last >= first) environment.note(remarks.mixedFloatsHistograms(metric))
      else histogramIncrease(windows, k, out, environment, isCounter, isRate)
      continue
    }
    if (last < first) continue
    const rangeStart = ends[k]! - rangeMs
    const start = isCounter && starts !== undefined ? starts[first]! : 0
    const fromStart = start !== 0 && start > rangeStart && start < times[first]!
    if (last === first && !fromStart) continue
    let increase = values[last]! - (fromStart ? 0 : values[first]!)
    if (resets.length > 0) {
      while (resetAt > 0 && resets[resetAt - 1]! > first) resetAt--
      while (resetAt < resets.length && resets[resetAt]! <= first) resetAt++
      for (let r = resetAt; r < resets.length && resets[r]! <= last; r++) increase += values[resets[r]! - 1]!
    }
    if (isCounter && starts !== undefined && startsOverlap(times, starts, first, last + 1)) environment.note(remarks.startOverlap(metric))
    const zeroValue = isCounter && increase > 0 && values[first]! >= 0 ? values[first]! / increase : NaN
    const factor = extrapolationFactor(times[first]!, times[last]!, last - first, rangeStart, ends[k]!, fromStart ? start : NaN, zeroValue)
    wroteFloat = true
    out.set(k, increase * (isRate ? factor / (rangeMs / 1000) : factor))
  }
  if (isCounter && wroteFloat) noteNonCounter(metric, environment)
}

/**
 * By how much the increase between a window's samples is stretched to its edges.
 *
 * @param gaps samples in the window − 1
 * @param startTime the counter's own start, used as a sample of 0; NaN without one
 * @param zeroShare first value / increase where the counter can't have been below zero; else NaN
 */
export function extrapolationFactor(
  firstTime: number,
  lastTime: number,
  gaps: number,
  rangeStart: number,
  rangeEnd: number,
  startTime: number,
  zeroShare: number,
): number {
  const hasStart = !Number.isNaN(startTime)
  let durationToStart = (firstTime - rangeStart) / 1000
  let durationToEnd = (rangeEnd - lastTime) / 1000
  let sampledInterval = (lastTime - firstTime) / 1000
  const average = gaps === 0 ? 0 : sampledInterval / gaps
  const threshold = average * 1.1
  if (hasStart) {
    durationToStart = 0
    sampledInterval = (lastTime - startTime) / 1000
  } else {
    if (durationToStart >= threshold) durationToStart = average / 2
    const durationToZero = sampledInterval * zeroShare
    if (durationToZero < durationToStart) durationToStart = durationToZero
  }
  if (durationToEnd >= threshold) durationToEnd = average / 2
  return (sampledInterval + durationToStart + durationToEnd) / sampledInterval
}

const COUNTER_SUFFIXES = ['_total', '_sum', '_count', '_bucket']

export function noteNonCounter(metric: string, environment: RangeEnvironment): void {
  if (metric !== '' && !COUNTER_SUFFIXES.some((suffix) => metric.endsWith(suffix))) {
    environment.note(remarks.possibleNonCounter(metric))
  }
}

/** irate and idelta: the last two samples of the window. Source: Prometheus `instantValue`. */
function runInstant(windows: Windows, out: ColumnBuilder, environment: RangeEnvironment, isRate: boolean): void {
  const { series, from, to, histogramFrom, histogramTo, count, metric } = windows
  const { times, values, starts, histogramTimes } = series
  for (let k = 0; k < count; k++) {
    const floats = to[k]! - from[k]!
    const histograms = histogramTo[k]! - histogramFrom[k]!
    if (floats + histograms < 2) continue
    const last = to[k]! - 1
    if (histograms > 0) {
      const lastHistogram = histogramTo[k]! - 1
      const newestIsFloat = floats > 0 && times[last]! > histogramTimes[lastHistogram]!
      const secondIsFloat = newestIsFloat
        ? floats > 1 && times[last - 1]! > histogramTimes[lastHistogram]!
        : floats > 0 && (histograms < 2 || times[last]! > histogramTimes[lastHistogram - 1]!)
      if (newestIsFloat !== secondIsFloat) {
        environment.note(remarks.mixedFloatsHistograms(metric))
        continue
      }
      if (!newestIsFloat) {
        histogramInstant(windows, k, out, environment, isRate)
        continue
      }
    }
    const interval = times[last]! - times[last - 1]!
    if (interval === 0) continue
    const previous = values[last - 1]!
    const value = values[last]!
    if (!isRate) {
      out.set(k, value - previous)
      continue
    }
    const began = isReset(previous, value, times[last - 1]!, times[last]!, starts?.[last - 1] ?? 0, starts?.[last] ?? 0)
    out.set(k, (began ? value : value - previous) / (interval / 1000))
  }
}
