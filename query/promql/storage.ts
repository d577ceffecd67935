/**
 * What PromQL needs from storage, declared by the language and satisfied by the shards (`query/shard`): the language knows
 * no store. A queryable is bound to one tenant by whoever makes it.
 */
import type { FloatHistogram, Labels, Matcher, SeriesSamples } from '../../lib/model/index.ts'

export interface SelectRequest {
  /** At least one matcher that doesn't match the empty string; the metric name is a matcher on `__name__`. */
  readonly matchers: readonly Matcher[]
  /** Both inclusive, Unix milliseconds. */
  readonly startMs: number
  readonly endMs: number
}

export interface QueryContext {
  readonly signal: AbortSignal
  /** Samples a query may hold in memory; storage throws `too_large` beyond it. */
  readonly samplesMax: number
}

export interface SelectResult {
  /** In no order; label sets are unique. */
  readonly series: readonly SeriesSamples[]
  /** Added to the answer's warnings (a holder that did not answer, say). */
  readonly warnings: readonly string[]
}

/**
 * A selector with one range function over steps, evaluated where the data lies. Step k is at `startMs + k * stepMs`; its window is
 * (t − offsetMs − rangeMs, t − offsetMs]. Storage may answer undefined ("unsupported"), then the caller selects and computes.
 */
export interface RangeRequest {
  readonly matchers: readonly Matcher[]
  /** Name of the range function (`rate`, `increase`, …), or '' for an instant selector with look-back. */
  readonly func: string
  readonly rangeMs: number
  readonly offsetMs: number
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
  readonly lookbackMs: number
  /** Present for `sum`, `count`, `min`, `max` over the result. */
  readonly aggregate?: { readonly op: string; readonly without: boolean; readonly grouping: readonly string[] }
}

/** One series by steps: `values[k]` counts where `present[k]` is 1. */
export interface StepSeries {
  readonly labels: Labels
  readonly values: Float64Array
  readonly present: Uint8Array
  readonly histograms?: readonly (FloatHistogram | undefined)[]
}

export interface RangeResult {
  readonly series: readonly StepSeries[]
  readonly warnings: readonly string[]
  readonly infos: readonly string[]
  /** What the range function had to say; the evaluator adds the place in the query. */
  readonly remarks?: readonly { readonly level: 'warning' | 'info'; readonly text: string }[]
}

export interface MetricsQueryable {
  select(request: SelectRequest, context: QueryContext): Promise<SelectResult>
  /** undefined = not supported for this request. */
  range?(request: RangeRequest, context: QueryContext): Promise<RangeResult | undefined>
}
