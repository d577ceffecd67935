/** `histogram </ v` and `histogram >/ v`: the observations below or above a value. */
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram } from '../../../lib/model/index.ts'
import { usesCustomBuckets } from './arithmetic.ts'
import { exponentialBound, packSpans, unpackSpans, type IndexedBuckets } from './buckets.ts'

interface Trimmed {
  readonly kept: number
  /** Where the kept observations are taken to be, for the sum. */
  readonly middle: number
  readonly changed: boolean
}

/**
 * The histogram without the observations on the other side of `cutoff`. A bucket the cutoff lies in is divided: linearly
 * (custom bounds, zero bucket) or exponentially. The sum is estimated from the middles of what is left, unless nothing went.
 *
 * @param keepBelow true for `</`
 */
export function trimHistogram(histogram: FloatHistogram, cutoff: number, keepBelow: boolean): FloatHistogram {
  let count = 0
  let sum = 0
  let changed = false
  const take = (lower: number, upper: number, bucket: number, isZero: boolean): number => {
    const trimmed = trimBucket(histogram, { lower, upper, count: bucket }, cutoff, keepBelow, isZero)
    count += trimmed.kept
    if (trimmed.kept !== 0) sum += trimmed.kept * trimmed.middle
    changed ||= trimmed.changed && bucket !== 0
    return trimmed.kept
  }
  const { schema, customValues, zeroThreshold } = histogram
  const custom = schema === CUSTOM_BUCKETS_SCHEMA
  const positiveBounds = (index: number): [number, number] =>
    custom
      ? [index === 0 ? -Infinity : customValues[index - 1]!, customValues[index] ?? Infinity]
      : [exponentialBound(index - 1, schema), exponentialBound(index, schema)]
  const side = (buckets: IndexedBuckets, bounds: (index: number) => [number, number]): IndexedBuckets => ({
    indexes: buckets.indexes,
    counts: buckets.counts.map((bucket, i) => take(...bounds(buckets.indexes[i]!), bucket, false)),
  })
  const negative = side(unpackSpans(histogram.negativeSpans, histogram.negativeBuckets), (index) => [
    -exponentialBound(index, schema),
    -exponentialBound(index - 1, schema),
  ])
  const zeroBounds = zeroBucketRange(histogram, zeroThreshold)
  const zeroCount = histogram.zeroCount === 0 ? 0 : take(...zeroBounds, histogram.zeroCount, true)
  const positive = side(unpackSpans(histogram.positiveSpans, histogram.positiveBuckets), positiveBounds)
  if (!changed) return histogram
  const packedPositive = packSpans(positive)
  const packedNegative = packSpans(negative)
  return {
    ...histogram,
    count,
    sum,
    zeroCount,
    positiveSpans: packedPositive.spans,
    positiveBuckets: packedPositive.counts,
    negativeSpans: packedNegative.spans,
    negativeBuckets: packedNegative.counts,
  }
}

function zeroBucketRange(histogram: FloatHistogram, threshold: number): [number, number] {
  const positive = histogram.positiveBuckets.length > 0
  const negative = histogram.negativeBuckets.length > 0
  return [positive && !negative ? 0 : -threshold, negative && !positive ? 0 : threshold]
}

function trimBucket(
  histogram: FloatHistogram,
  bucket: { lower: number; upper: number; count: number },
  cutoff: number,
  keepBelow: boolean,
  isZero: boolean,
): Trimmed {
  const custom = usesCustomBuckets(histogram)
  const { upper, count } = bucket
  const lower = custom && bucket.lower === -Infinity && upper > 0 && upper !== Infinity ? 0 : bucket.lower
  const linear = custom || isZero
  if (keepBelow ? upper <= cutoff : lower >= cutoff) return { kept: count, middle: middleOf(lower, upper, linear, cutoff), changed: false }
  if (keepBelow ? lower >= cutoff : upper <= cutoff) return { kept: 0, middle: 0, changed: true }
  if (lower === -Infinity && upper === Infinity) return { kept: 0, middle: 0, changed: true }
  if (lower === -Infinity) return keepBelow ? { kept: count, middle: cutoff, changed: true } : { kept: 0, middle: 0, changed: true }
  if (upper === Infinity) return keepBelow ? { kept: 0, middle: 0, changed: true } : { kept: count, middle: cutoff, changed: true }
  const below = shareBelow(lower, upper, cutoff, linear)
  const kept = count * (keepBelow ? below : 1 - below)
  return { kept, middle: keepBelow ? middleOf(lower, cutoff, linear, cutoff) : middleOf(cutoff, upper, linear, cutoff), changed: true }
}

function shareBelow(lower: number, upper: number, cutoff: number, linear: boolean): number {
  if (linear) return (cutoff - lower) / (upper - lower)
  const logLower = Math.log2(Math.abs(lower))
  const logUpper = Math.log2(Math.abs(upper))
  return (Math.log2(Math.abs(cutoff)) - logLower) / (logUpper - logLower)
}

function middleOf(lower: number, upper: number, linear: boolean, cutoff: number): number {
  if (lower === -Infinity) return upper === Infinity ? cutoff : upper
  if (upper === Infinity) return lower
  if (linear) return (lower + upper) / 2
  return Math.sqrt(lower * upper) * (upper <= 0 ? -1 : 1)
}
