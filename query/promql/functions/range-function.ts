/**
 * What a function over a range vector sees of one series: its float samples and its histogram samples, apart and both
 * ascending, and for each step the rows of its window. Kernels make one pass and write one sample a step.
 */
import type { FloatHistogram, Labels, SeriesSamples } from '../../../lib/model/index.ts'
import { CELL_FLOAT, CELL_HISTOGRAM } from '../../../lib/model/index.ts'
import type { Note } from '../annotations.ts'
import type { ColumnBuilder } from '../columns.ts'

/** One series, absent and stale rows removed. */
export interface RangeSeries {
  readonly labels: Labels
  readonly times: Float64Array
  readonly values: Float64Array
  /** Start timestamps of the float samples, 0 where unknown. */
  readonly starts?: Float64Array
  readonly histogramTimes: Float64Array
  readonly histograms: readonly FloatHistogram[]
  readonly histogramStarts?: Float64Array
}

/** The windows of all steps over one series: rows from `from[k]` to before `to[k]`. */
export interface Windows {
  readonly series: RangeSeries
  readonly metric: string
  readonly count: number
  readonly from: Int32Array
  readonly to: Int32Array
  readonly histogramFrom: Int32Array
  readonly histogramTo: Int32Array
  /** Right edge of each window (closed); the left edge (open) is `rangeMs` before. */
  readonly ends: Float64Array
  /** The instant each step is evaluated at; differs from `ends` under `offset` and `@`. */
  readonly evalTimes: Float64Array
  readonly rangeMs: number
}

export interface RangeEnvironment {
  /** Scalar arguments by step. */
  readonly params: readonly Float64Array[]
  readonly note: Note
}

export interface RangeFunction {
  /** The result keeps the metric name. */
  readonly keepsName?: boolean
  readonly run: (windows: Windows, out: ColumnBuilder, environment: RangeEnvironment) => void
}

const NO_TIMES = new Float64Array(0)

/** A series split into floats and histograms. Nothing is copied where every row is a float. */
export function splitSamples(series: SeriesSamples): RangeSeries {
  const { labels, cells, times, values, histograms, startTimes } = series
  if (cells === undefined) {
    const floats = { labels, times, values, histogramTimes: NO_TIMES, histograms: [] }
    return startTimes === undefined ? floats : { ...floats, starts: startTimes }
  }
  let floatCount = 0
  let histogramCount = 0
  for (let i = 0; i < cells.length; i++) {
    if (cells[i] === CELL_FLOAT) floatCount++
    else if (cells[i] === CELL_HISTOGRAM) histogramCount++
  }
  const out = {
    labels,
    times: new Float64Array(floatCount),
    values: new Float64Array(floatCount),
    starts: new Float64Array(floatCount),
    histogramTimes: new Float64Array(histogramCount),
    histograms: [] as FloatHistogram[],
    histogramStarts: new Float64Array(histogramCount),
  }
  let at = 0
  for (let i = 0; i < cells.length; i++) {
    if (cells[i] === CELL_FLOAT) {
      out.times[at] = times[i]!
      out.values[at] = values[i]!
      out.starts[at++] = startTimes?.[i] ?? 0
    } else if (cells[i] === CELL_HISTOGRAM) {
      out.histogramTimes[out.histograms.length] = times[i]!
      out.histogramStarts[out.histograms.length] = startTimes?.[i] ?? 0
      out.histograms.push(histograms![i]!)
    }
  }
  if (startTimes !== undefined) return out
  const { starts: _starts, histogramStarts: _histogramStarts, ...rest } = out
  return rest
}

/**
 * Rows of each window (end − rangeMs, end].
 * @param ends ascending
 * Cost: one pass over times and steps.
 */
export function windowRows(times: Float64Array, ends: Float64Array, rangeMs: number, from: Int32Array, to: Int32Array): void {
  const n = times.length
  let low = 0
  let high = 0
  for (let k = 0; k < ends.length; k++) {
    const end = ends[k]!
    const start = end - rangeMs
    while (high < n && times[high]! <= end) high++
    while (low < n && times[low]! <= start) low++
    from[k] = low
    to[k] = high
  }
}

export interface Rows {
  readonly from: Int32Array
  readonly to: Int32Array
  readonly histogramFrom: Int32Array
  readonly histogramTo: Int32Array
}

/** The rows of the same windows over many series. Series that share their times, as those of a target do, share the work. */
export class WindowRows {
  readonly #ends: Float64Array
  readonly #rangeMs: number
  readonly #none: Int32Array
  #times: Float64Array | undefined
  #from: Int32Array
  #to: Int32Array

  constructor(ends: Float64Array, rangeMs: number) {
    this.#ends = ends
    this.#rangeMs = rangeMs
    this.#none = new Int32Array(ends.length)
    this.#from = new Int32Array(ends.length)
    this.#to = new Int32Array(ends.length)
  }

  /** Valid until the next call. */
  of(series: RangeSeries): Rows {
    const count = this.#ends.length
    if (series.times !== this.#times) {
      windowRows(series.times, this.#ends, this.#rangeMs, this.#from, this.#to)
      this.#times = series.times
    }
    const floats = { from: this.#from, to: this.#to }
    if (series.histograms.length === 0) return { ...floats, histogramFrom: this.#none, histogramTo: this.#none }
    const histogramFrom = new Int32Array(count)
    const histogramTo = new Int32Array(count)
    windowRows(series.histogramTimes, this.#ends, this.#rangeMs, histogramFrom, histogramTo)
    return { ...floats, histogramFrom, histogramTo }
  }
}
