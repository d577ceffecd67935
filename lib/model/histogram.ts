/**
 * A native histogram with float counts, as Prometheus' `FloatHistogram`: exponential buckets of `schema`
 * (−4 … 8), or custom bounds (schema −53) in `customValues`. Bucket counts are absolute, not deltas.
 */
export interface FloatHistogram {
  readonly schema: number
  readonly zeroThreshold: number
  readonly zeroCount: number
  readonly count: number
  readonly sum: number
  readonly positiveSpans: readonly Span[]
  readonly negativeSpans: readonly Span[]
  readonly positiveBuckets: readonly number[]
  readonly negativeBuckets: readonly number[]
  /** Upper bounds of the buckets where schema is −53, ascending, without +Inf; else empty. */
  readonly customValues: readonly number[]
  readonly counterResetHint: CounterResetHint
}

/** A run of `length` consecutive buckets, `offset` buckets after the end of the run before (the first: after index 0). */
export interface Span {
  readonly offset: number
  readonly length: number
}

export type CounterResetHint = 'unknown' | 'reset' | 'not_reset' | 'gauge'

export const CUSTOM_BUCKETS_SCHEMA = -53
