/**
 * `anchored` and `smoothed` selectors: windows whose edges are samples taken from outside, or interpolated.
 *
 * anchored: the newest sample at or before the window's start stands for its start, the newest in it for its end.
 * smoothed: both edges are interpolated between the samples around them; without one on the far side the near one counts.
 */
import { METRIC_NAME, labelValue, type FloatHistogram, type SeriesSamples } from '../../../lib/model/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { remarks, type Note } from '../annotations.ts'
import type { VectorSelector } from '../ast.ts'
import type { ColumnBuilder } from '../columns.ts'
import {
  addHistograms,
  detectReset,
  histogramsEqual,
  scaleHistogram,
  subtractHistograms,
  usesCustomBuckets,
  withHint,
} from '../histogram/index.ts'
import { splitSamples, type RangeEnvironment, type RangeFunction, type RangeSeries, type Windows } from './range-function.ts'

const ANCHORED = ['changes', 'delta', 'increase', 'rate', 'resets']
const SMOOTHED = ['delta', 'increase', 'rate']

/** The extended form of a function; undefined where the selector isn't extended. @throws execution where there is none */
export function extendedFunction(name: string, selector: VectorSelector | undefined): RangeFunction | undefined {
  if (selector?.anchored === true && !ANCHORED.includes(name)) {
    throw new SightlineError('execution', `anchored modifier can only be used with: ${ANCHORED.join(', ')} - not with ${name}`)
  }
  if (selector?.smoothed === true && !SMOOTHED.includes(name)) {
    throw new SightlineError('execution', `smoothed modifier can only be used with: ${SMOOTHED.join(', ')} - not with ${name}`)
  }
  if (selector?.anchored !== true && selector?.smoothed !== true) return undefined
  return { run: (windows, out, environment) => runExtended(name, selector.smoothed, windows, out, environment) }
}

type Point = { readonly time: number; readonly value: number | FloatHistogram }

/** All samples of a series by time, both kinds. */
function pointsOf(series: RangeSeries): Point[] {
  const points: Point[] = []
  series.times.forEach((time, i) => points.push({ time, value: series.values[i]! }))
  series.histogramTimes.forEach((time, i) => points.push({ time, value: series.histograms[i]! }))
  return points.sort((a, b) => a.time - b.time)
}

/** Source: Prometheus `extendedRate` and the anchored forms of resets and changes. */
function runExtended(name: string, smoothed: boolean, windows: Windows, out: ColumnBuilder, environment: RangeEnvironment): void {
  const points = pointsOf(windows.series)
  let low = 0
  let high = 0
  for (let k = 0; k < windows.count; k++) {
    const end = windows.ends[k]!
    const start = end - windows.rangeMs
    while (low > 0 && points[low]!.time > start) low--
    while (low + 1 < points.length && points[low + 1]!.time <= start) low++
    while (high > 0 && points[high - 1]!.time > end) high--
    while (high < points.length && points[high]!.time <= end) high++
    const sequence = smoothed ? smoothedSequence(name, points, low, high, start, end, windows, environment) : points.slice(low, high)
    const hasInside = smoothed ? sequence.length > 0 : high > low && points[high - 1]!.time > start
    if (!hasInside) continue
    const result = reduceSequence(name, sequence, windows, environment)
    if (typeof result === 'number') out.set(k, result)
    else if (result !== undefined) out.setHistogram(k, result)
  }
}

/** The values at the window's edges and those between; empty where the window's data lie all before or all after it. */
function smoothedSequence(
  name: string,
  points: readonly Point[],
  low: number,
  high: number,
  start: number,
  end: number,
  windows: Windows,
  environment: RangeEnvironment,
): Point[] {
  const isCounter = name !== 'delta'
  const inside = points.slice(low, high).filter((point) => point.time > start && point.time <= end)
  const before = points[low]!.time <= start ? points[low] : undefined
  const after = points[high]
  if (inside.length === 0 && (before === undefined || after === undefined)) return []
  const edge = (left: Point, right: Point, time: number): Point | undefined => {
    const value = interpolate(left, right, time, isCounter)
    if (value === undefined) environment.note(mixRemark(left, right, windows.metric))
    return value === undefined ? undefined : { time, value }
  }
  const sequence: (Point | undefined)[] = [...inside]
  if (before !== undefined) sequence.unshift(before.time === start ? before : edge(before, inside[0] ?? after!, start))
  const last = inside.at(-1) ?? before
  if (after !== undefined && last !== undefined && last.time < end) sequence.push(edge(last, after, end))
  return sequence.some((point) => point === undefined) ? [] : (sequence as Point[])
}

function mixRemark(left: Point, right: Point, metric: string): ReturnType<typeof remarks.mixedFloatsHistograms> {
  return typeof left.value === typeof right.value ? remarks.mixedExponentialCustom(metric) : remarks.mixedFloatsHistograms(metric)
}

/** A counter that was reset between the samples is taken to have begun at zero. Undefined where kinds or layouts differ. */
function interpolate(left: Point, right: Point, time: number, isCounter: boolean): number | FloatHistogram | undefined {
  const fraction = (time - left.time) / (right.time - left.time)
  if (typeof left.value === 'number' && typeof right.value === 'number') {
    return isCounter && right.value < left.value ? right.value * fraction : left.value + (right.value - left.value) * fraction
  }
  if (typeof left.value === 'number' || typeof right.value === 'number') return undefined
  const scaled = (histogram: FloatHistogram): FloatHistogram => scaleHistogram(histogram, (value) => value * fraction)
  if (usesCustomBuckets(left.value) !== usesCustomBuckets(right.value)) return undefined
  if (isCounter && detectReset(right.value, left.value)) return scaled(right.value)
  const difference = subtractHistograms(withHint(right.value, 'unknown'), withHint(left.value, 'unknown'))
  return difference === undefined
    ? undefined
    : addHistograms(left.value, scaled(withHint(difference.histogram, left.value.counterResetHint)))?.histogram
}

function reduceSequence(
  name: string,
  points: readonly Point[],
  windows: Windows,
  environment: RangeEnvironment,
): number | FloatHistogram | undefined {
  if (name === 'changes' || name === 'resets') {
    let transitions = 0
    for (let i = 1; i < points.length; i++) if (isTransition(name, points[i - 1]!.value, points[i]!.value)) transitions++
    return transitions
  }
  const isCounter = name !== 'delta'
  const scale = name === 'rate' ? windows.rangeMs / 1000 : 1
  if (points.every((point) => typeof point.value === 'number')) {
    const values = points.map((point) => point.value as number)
    let increase = values.at(-1)! - values[0]!
    if (isCounter) for (let i = 1; i < values.length; i++) if (values[i]! < values[i - 1]!) increase += values[i - 1]!
    return increase / scale
  }
  if (points.some((point) => typeof point.value === 'number')) {
    environment.note(remarks.mixedFloatsHistograms(windows.metric))
    return undefined
  }
  const histograms = points.map((point) => point.value as FloatHistogram)
  return histogramDifference(histograms, isCounter, scale, windows.metric, environment)
}

function histogramDifference(
  histograms: readonly FloatHistogram[],
  isCounter: boolean,
  scale: number,
  metric: string,
  environment: RangeEnvironment,
): FloatHistogram | undefined {
  const gauges = histograms.filter((histogram) => histogram.counterResetHint === 'gauge').length
  if (isCounter && gauges > 0) environment.note(remarks.notCounter(metric))
  if (!isCounter && gauges < histograms.length) environment.note(remarks.notGauge(metric))
  const plain = histograms.map((histogram) => withHint(histogram, 'unknown'))
  let total: FloatHistogram | undefined = subtractHistograms(plain.at(-1)!, plain[0]!)?.histogram
  for (let i = 1; isCounter && total !== undefined && i < plain.length; i++) {
    const began = plain[i]!.count < plain[i - 1]!.count || (plain[i] !== plain.at(-1) && detectReset(plain[i]!, plain[i - 1]!))
    if (began) total = addHistograms(total, plain[i - 1]!)?.histogram
  }
  if (total === undefined || histograms.some((histogram) => usesCustomBuckets(histogram) !== usesCustomBuckets(histograms[0]!))) {
    environment.note(remarks.mixedExponentialCustom(metric))
    return undefined
  }
  return scaleHistogram(withHint(total, 'gauge'), (value) => value / scale)
}

function isTransition(name: 'changes' | 'resets', before: number | FloatHistogram, now: number | FloatHistogram): boolean {
  if (typeof before !== typeof now) return true
  if (typeof before === 'number' && typeof now === 'number') {
    if (name === 'resets') return now < before
    return now !== before && !(Number.isNaN(now) && Number.isNaN(before))
  }
  const [left, right] = [before as FloatHistogram, now as FloatHistogram]
  return name === 'resets' ? detectReset(right, left) : !histogramsEqual(left, right)
}

/** `selector smoothed`: the value at each step, interpolated between the samples around it within the look-back. */
export function smoothInto(samples: SeriesSamples, times: Float64Array, lookbackMs: number, out: ColumnBuilder, note: Note): void {
  const points = pointsOf(splitSamples(samples))
  const metric = labelValue(samples.labels, METRIC_NAME)
  let at = 0
  for (let k = 0; k < times.length; k++) {
    const time = times[k]!
    while (at < points.length && points[at]!.time <= time) at++
    const left = points[at - 1]
    const right = points[at]
    if (left === undefined || left.time <= time - lookbackMs) continue
    const near = right !== undefined && right.time <= time + lookbackMs ? right : undefined
    const isCounter = typeof left.value !== 'number' && left.value.counterResetHint !== 'gauge'
    const value = near === undefined || left.time === time ? left.value : interpolate(left, near, time, isCounter)
    if (value === undefined) note(mixRemark(left, near!, metric))
    else if (typeof value === 'number') out.set(k, value)
    else out.setHistogram(k, value)
  }
}
