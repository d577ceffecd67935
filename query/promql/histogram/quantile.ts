/** Estimates from a native histogram. Source: Prometheus `promql/quantile.go`. */
import type { FloatHistogram } from '../../../lib/model/index.ts'
import { KahanSum } from '../kahan.ts'
import { usesCustomBuckets } from './arithmetic.ts'
import { allBuckets, type Bucket } from './buckets.ts'

export interface Estimate {
  readonly value: number
  /** NaN observations were there: 'nan' made the result NaN, 'skewed' moved it. */
  readonly nan?: 'nan' | 'skewed'
}

/** The q-quantile; linear inside custom and zero buckets, exponential elsewhere. */
export function histogramQuantile(q: number, histogram: FloatHistogram): Estimate {
  if (q < 0) return { value: -Infinity }
  if (q > 1) return { value: Infinity }
  if (histogram.count === 0 || Number.isNaN(q)) return { value: NaN }
  const hasNan = Number.isNaN(histogram.sum)
  const forward = hasNan || q < 0.5
  const buckets = allBuckets(histogram)
  if (!forward) buckets.reverse()
  const wanted = (forward ? q : 1 - q) * histogram.count
  let count = 0
  let bucket: Bucket = { lower: 0, upper: 0, count: 0 }
  for (bucket of buckets) {
    count += bucket.count
    if (bucket.count !== 0 && count >= wanted) break
  }
  const bounds = quantileBounds(histogram, bucket)
  if (typeof bounds === 'number') return { value: bounds }
  count = Math.min(count, histogram.count)
  if (count < wanted) return hasNan ? { value: NaN, nan: 'nan' } : { value: bounds.upper }
  const rank = forward ? wanted - (count - bucket.count) : count - wanted
  const value = interpolate(histogram, bounds, rank / bucket.count)
  return hasNan ? { value, nan: 'skewed' } : { value }
}

/** The bucket's bounds for interpolation, or the answer itself where there is nothing to interpolate between. */
function quantileBounds(histogram: FloatHistogram, bucket: Bucket): Bucket | number {
  if (usesCustomBuckets(histogram)) {
    if (bucket.lower === -Infinity) return bucket.upper <= 0 ? bucket.upper : { ...bucket, lower: 0 }
    if (bucket.upper === Infinity) return bucket.lower
    return bucket
  }
  return zeroBucketBounds(histogram, bucket)
}

/** Zero buckets reach from or to 0 where all other buckets are on one side. */
function zeroBucketBounds(histogram: FloatHistogram, bucket: Bucket): Bucket {
  if (bucket.lower > 0 || bucket.upper < 0) return bucket
  const positive = histogram.positiveBuckets.length > 0
  const negative = histogram.negativeBuckets.length > 0
  if (positive && !negative) return { ...bucket, lower: 0 }
  if (negative && !positive) return { ...bucket, upper: 0 }
  return bucket
}

function interpolate(histogram: FloatHistogram, { lower, upper }: Bucket, fraction: number): number {
  if (usesCustomBuckets(histogram) || (lower <= 0 && upper >= 0)) return lower + (upper - lower) * fraction
  const logLower = Math.log2(Math.abs(lower))
  const logUpper = Math.log2(Math.abs(upper))
  if (lower > 0) return 2 ** (logLower + (logUpper - logLower) * fraction)
  return -(2 ** (logUpper + (logLower - logUpper) * (1 - fraction)))
}

/** The share of observations between two values. */
export function histogramFraction(lower: number, upper: number, histogram: FloatHistogram): Estimate {
  if (histogram.count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return { value: NaN }
  const buckets = allBuckets(histogram)
  const hasNan = Number.isNaN(histogram.sum)
  if (lower >= upper) return { value: 0 }
  const total = hasNan ? buckets.reduce((sum, bucket) => sum + bucket.count, 0) : histogram.count
  const lowerRank = Math.min(rankOf(lower, histogram, buckets, total), total)
  const upperRank = Math.min(rankOf(upper, histogram, buckets, total), total)
  const value = (upperRank - lowerRank) / histogram.count
  return hasNan ? { value, nan: 'skewed' } : { value }
}

/** How many observations are below a value. */
function rankOf(value: number, histogram: FloatHistogram, buckets: readonly Bucket[], total: number): number {
  let rank = 0
  for (const raw of buckets) {
    const isZero = raw.lower <= 0 && raw.upper >= 0
    const bucket = isZero ? zeroBucketBounds(histogram, raw) : raw
    if (bucket.lower >= value) return rank
    if (bucket.upper > value) {
      if (bucket.lower === -Infinity) return bucket.count
      return rank + bucket.count * shareBelow(value, bucket, isZero || usesCustomBuckets(histogram))
    }
    rank += raw.count
  }
  return total
}

function shareBelow(value: number, { lower, upper }: Bucket, linear: boolean): number {
  if (linear) return (value - lower) / (upper - lower)
  const logLower = Math.log2(Math.abs(lower))
  const logUpper = Math.log2(Math.abs(upper))
  const logValue = Math.log2(Math.abs(value))
  return value > 0 ? (logValue - logLower) / (logUpper - logLower) : 1 - (logValue - logUpper) / (logLower - logUpper)
}

/** Variance of the observations, each taken to be in the middle of its bucket. */
export function histogramVariance(histogram: FloatHistogram): number {
  const mean = histogram.sum / histogram.count
  const total = new KahanSum()
  for (const { lower, upper, count } of allBuckets(histogram)) {
    if (count === 0) continue
    let value: number
    if (usesCustomBuckets(histogram)) value = (upper + lower) / 2
    else if (lower <= 0 && upper >= 0) value = 0
    else value = Math.sqrt(upper * lower) * (upper < 0 ? -1 : 1)
    const delta = value - mean
    total.add(count * delta * delta)
  }
  return (total.sum + total.compensation) / histogram.count
}
