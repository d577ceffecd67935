/** Buckets of a native histogram as (index, count) pairs, and their bounds. */
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type Span } from '../../../lib/model/index.ts'
import { formatGeneral } from '../go-float.ts'

/** One side of a histogram: indexes ascending, no count twice. */
export interface IndexedBuckets {
  readonly indexes: number[]
  readonly counts: number[]
}

export interface Bucket {
  readonly lower: number
  readonly upper: number
  readonly count: number
}

export function unpackSpans(spans: readonly Span[], counts: readonly number[]): IndexedBuckets {
  const indexes: number[] = []
  let index = 0
  for (const span of spans) {
    index += span.offset
    for (let i = 0; i < span.length; i++) indexes.push(index++)
  }
  return { indexes, counts: counts.slice(0, indexes.length) }
}

/** Spans and counts without empty buckets. */
export function packSpans(buckets: IndexedBuckets): { spans: Span[]; counts: number[] } {
  const spans: { offset: number; length: number }[] = []
  const counts: number[] = []
  let next = 0
  for (let i = 0; i < buckets.indexes.length; i++) {
    if (buckets.counts[i] === 0) continue
    const index = buckets.indexes[i]!
    const last = spans.at(-1)
    if (last !== undefined && index === next) last.length++
    else spans.push({ offset: index - next, length: 1 })
    counts.push(buckets.counts[i]!)
    next = index + 1
  }
  return { spans, counts }
}

/** How the bounds of a bucket belong to it, in the numbers of Prometheus' JSON: 0 (a, b], 1 [a, b), 2 (a, b), 3 [a, b]. */
export type BoundaryRule = 0 | 1 | 2 | 3

/** The buckets that hold something, with their boundary rule. */
export function histogramBuckets(histogram: FloatHistogram): (Bucket & { readonly rule: BoundaryRule })[] {
  return allBuckets(histogram)
    .filter((bucket) => bucket.count !== 0)
    .map((bucket) => {
      const isZero = bucket.lower === -bucket.upper
      const upperInclusive = isZero || bucket.upper > 0
      const lowerInclusive = isZero || bucket.lower < 0
      const rule = upperInclusive ? (lowerInclusive ? 3 : 0) : lowerInclusive ? 1 : 2
      return { ...bucket, rule }
    })
}

/** `{count:20, sum:10, [-0.001,0.001]:2, (0.5,1]:18}`, as Prometheus prints a histogram. */
export function formatHistogram(histogram: FloatHistogram): string {
  const parts = [`count:${formatGeneral(histogram.count)}`, `sum:${formatGeneral(histogram.sum)}`]
  for (const { lower, upper, count, rule } of histogramBuckets(histogram)) {
    const open = rule === 1 || rule === 3 ? '[' : '('
    const close = rule === 0 || rule === 3 ? ']' : ')'
    parts.push(`${open}${formatGeneral(lower)},${formatGeneral(upper)}${close}:${formatGeneral(count)}`)
  }
  return `{${parts.join(', ')}}`
}

/** The upper bound of an exponential bucket: 2^(index · 2^−schema), exact at powers of two. */
export function exponentialBound(index: number, schema: number): number {
  if (schema <= 0) {
    const exponent = index * 2 ** -schema
    return exponent >= 1024 ? (exponent === 1024 ? Number.MAX_VALUE : Infinity) : 2 ** exponent
  }
  const parts = 2 ** schema
  const whole = Math.floor(index / parts)
  const fraction = index - whole * parts
  if (whole >= 1024) return fraction === 0 && whole === 1024 ? Number.MAX_VALUE : Infinity
  return 2 ** (fraction / parts) * 2 ** whole
}

/** Index of a bucket once the schema is reduced. */
export function reducedIndex(index: number, from: number, to: number): number {
  return ((index - 1) >> (from - to)) + 1
}

export function reduceBuckets(buckets: IndexedBuckets, from: number, to: number): IndexedBuckets {
  if (from === to) return buckets
  const indexes: number[] = []
  const counts: number[] = []
  for (let i = 0; i < buckets.indexes.length; i++) {
    const index = reducedIndex(buckets.indexes[i]!, from, to)
    if (indexes.at(-1) === index) counts[counts.length - 1]! += buckets.counts[i]!
    else {
      indexes.push(index)
      counts.push(buckets.counts[i]!)
    }
  }
  return { indexes, counts }
}

/**
 * All buckets by value: negative ones, the zero bucket where it holds something or has a width, positive ones. Custom
 * buckets begin at −Inf and end at +Inf.
 */
export function allBuckets(histogram: FloatHistogram): Bucket[] {
  const { schema, zeroThreshold, zeroCount, customValues } = histogram
  const positive = unpackSpans(histogram.positiveSpans, histogram.positiveBuckets)
  const out: Bucket[] = []
  if (schema === CUSTOM_BUCKETS_SCHEMA) {
    for (let i = 0; i < positive.indexes.length; i++) {
      const index = positive.indexes[i]!
      const lower = index === 0 ? -Infinity : customValues[index - 1]!
      out.push({ lower, upper: customValues[index] ?? Infinity, count: positive.counts[i]! })
    }
    return out
  }
  const negative = unpackSpans(histogram.negativeSpans, histogram.negativeBuckets)
  for (let i = negative.indexes.length - 1; i >= 0; i--) {
    const index = negative.indexes[i]!
    const lower = -exponentialBound(index, schema)
    const upper = -exponentialBound(index - 1, schema)
    if (lower < -zeroThreshold) out.push({ lower, upper: Math.min(upper, -zeroThreshold), count: negative.counts[i]! })
  }
  if (zeroCount !== 0) out.push({ lower: -zeroThreshold, upper: zeroThreshold, count: zeroCount })
  for (let i = 0; i < positive.indexes.length; i++) {
    const index = positive.indexes[i]!
    const lower = exponentialBound(index - 1, schema)
    const upper = exponentialBound(index, schema)
    if (upper > zeroThreshold) out.push({ lower: Math.max(lower, zeroThreshold), upper, count: positive.counts[i]! })
  }
  return out
}
