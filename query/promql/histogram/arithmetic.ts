/** Sums, differences and scaling of native histograms, and reset detection. */
import { CUSTOM_BUCKETS_SCHEMA, type CounterResetHint, type FloatHistogram } from '../../../lib/model/index.ts'
import { exponentialBound, packSpans, reduceBuckets, unpackSpans, type IndexedBuckets } from './buckets.ts'

/** A histogram taken apart for arithmetic. */
interface Parts {
  schema: number
  zeroThreshold: number
  zeroCount: number
  positive: IndexedBuckets
  negative: IndexedBuckets
}

export interface Combination {
  readonly histogram: FloatHistogram
  /** A reset and a non-reset were combined: the outcome's hint is unknown. */
  readonly hintCollision: boolean
  /** Custom bounds differed: only those both have are left. */
  readonly boundsReconciled: boolean
}

export function usesCustomBuckets(histogram: FloatHistogram): boolean {
  return histogram.schema === CUSTOM_BUCKETS_SCHEMA
}

export function withHint(histogram: FloatHistogram, counterResetHint: CounterResetHint): FloatHistogram {
  return histogram.counterResetHint === counterResetHint ? histogram : { ...histogram, counterResetHint }
}

/** A histogram without observations, in the layout of another. */
export function emptyHistogram(like: FloatHistogram): FloatHistogram {
  return {
    schema: like.schema,
    zeroThreshold: 0,
    zeroCount: 0,
    count: 0,
    sum: 0,
    positiveSpans: [],
    negativeSpans: [],
    positiveBuckets: [],
    negativeBuckets: [],
    customValues: like.customValues,
    counterResetHint: 'unknown',
  }
}

function takeApart(histogram: FloatHistogram): Parts {
  return {
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount,
    positive: unpackSpans(histogram.positiveSpans, histogram.positiveBuckets),
    negative: unpackSpans(histogram.negativeSpans, histogram.negativeBuckets),
  }
}

function putTogether(parts: Parts, rest: Pick<FloatHistogram, 'count' | 'sum' | 'customValues' | 'counterResetHint'>): FloatHistogram {
  const positive = packSpans(parts.positive)
  const negative = packSpans(parts.negative)
  return {
    count: rest.count,
    sum: rest.sum,
    customValues: rest.customValues,
    counterResetHint: rest.counterResetHint,
    schema: parts.schema,
    zeroThreshold: parts.zeroThreshold,
    zeroCount: parts.zeroCount,
    positiveSpans: positive.spans,
    positiveBuckets: positive.counts,
    negativeSpans: negative.spans,
    negativeBuckets: negative.counts,
  }
}

/** The histogram without empty buckets. */
export function compactHistogram(histogram: FloatHistogram): FloatHistogram {
  return putTogether(takeApart(histogram), histogram)
}

/**
 * a + b, or undefined where one has exponential and the other custom buckets.
 * Source: Prometheus `FloatHistogram.Add`.
 */
export function addHistograms(a: FloatHistogram, b: FloatHistogram): Combination | undefined {
  return combine(a, b, 1)
}

/** a − b; as `addHistograms`. */
export function subtractHistograms(a: FloatHistogram, b: FloatHistogram): Combination | undefined {
  return combine(a, b, -1)
}

function combine(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): Combination | undefined {
  if (usesCustomBuckets(a) !== usesCustomBuckets(b)) return undefined
  const { hint, collision } = combineHints(a.counterResetHint, b.counterResetHint)
  const rest = { count: a.count + sign * b.count, sum: a.sum + sign * b.sum, counterResetHint: hint }
  const left = takeApart(a)
  const right = takeApart(b)
  if (usesCustomBuckets(a)) {
    const reconciled = !sameBounds(a.customValues, b.customValues)
    const customValues = reconciled ? commonBounds(a.customValues, b.customValues) : a.customValues
    if (reconciled) {
      left.positive = rebound(left.positive, a.customValues, customValues)
      right.positive = rebound(right.positive, b.customValues, customValues)
    }
    left.positive = mergeBuckets(left.positive, right.positive, sign)
    return { histogram: putTogether(left, { ...rest, customValues }), hintCollision: collision, boundsReconciled: reconciled }
  }
  reconcileZeroBuckets(left, right)
  const schema = Math.min(left.schema, right.schema)
  left.positive = mergeBuckets(reduceBuckets(left.positive, left.schema, schema), reduceBuckets(right.positive, right.schema, schema), sign)
  left.negative = mergeBuckets(reduceBuckets(left.negative, left.schema, schema), reduceBuckets(right.negative, right.schema, schema), sign)
  left.zeroCount += sign * right.zeroCount
  left.schema = schema
  return { histogram: putTogether(left, { ...rest, customValues: [] }), hintCollision: collision, boundsReconciled: false }
}

function combineHints(a: CounterResetHint, b: CounterResetHint): { hint: CounterResetHint; collision: boolean } {
  if (a === b) return { hint: a, collision: false }
  if (a === 'gauge' || b === 'gauge') return { hint: 'gauge', collision: false }
  return { hint: 'unknown', collision: a !== 'unknown' && b !== 'unknown' }
}

function mergeBuckets(a: IndexedBuckets, b: IndexedBuckets, sign: 1 | -1): IndexedBuckets {
  const indexes: number[] = []
  const counts: number[] = []
  let i = 0
  let j = 0
  while (i < a.indexes.length || j < b.indexes.length) {
    const left = i < a.indexes.length ? a.indexes[i]! : Infinity
    const right = j < b.indexes.length ? b.indexes[j]! : Infinity
    indexes.push(Math.min(left, right))
    counts.push((left <= right ? a.counts[i++]! : 0) + (right <= left ? sign * b.counts[j++]! : 0))
  }
  return { indexes, counts }
}

/** Widens both zero buckets until their thresholds are the same; buckets inside move into them. */
function reconcileZeroBuckets(a: Parts, b: Parts): void {
  while (a.zeroThreshold !== b.zeroThreshold) {
    if (a.zeroThreshold < b.zeroThreshold) widenZeroBucket(a, b.zeroThreshold)
    else widenZeroBucket(b, a.zeroThreshold)
  }
}

function widenZeroBucket(parts: Parts, threshold: number): void {
  let wanted = threshold
  for (const side of [parts.positive, parts.negative]) {
    for (let i = 0; i < side.indexes.length; i++) {
      const upper = exponentialBound(side.indexes[i]!, parts.schema)
      const lower = exponentialBound(side.indexes[i]! - 1, parts.schema)
      if (side.counts[i] !== 0 && lower < wanted && upper > wanted) wanted = upper
    }
  }
  for (const key of ['positive', 'negative'] as const) {
    const side = parts[key]
    const kept: IndexedBuckets = { indexes: [], counts: [] }
    for (let i = 0; i < side.indexes.length; i++) {
      if (exponentialBound(side.indexes[i]!, parts.schema) <= wanted) parts.zeroCount += side.counts[i]!
      else {
        kept.indexes.push(side.indexes[i]!)
        kept.counts.push(side.counts[i]!)
      }
    }
    parts[key] = kept
  }
  parts.zeroThreshold = wanted
}

function sameBounds(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((bound, i) => bound === b[i]))
}

function commonBounds(a: readonly number[], b: readonly number[]): number[] {
  const right = new Set(b)
  return a.filter((bound) => right.has(bound))
}

/** Custom buckets under fewer bounds: each goes to the bucket that ends at or after its own end. */
function rebound(buckets: IndexedBuckets, from: readonly number[], to: readonly number[]): IndexedBuckets {
  const out: IndexedBuckets = { indexes: [], counts: [] }
  let target = 0
  for (let i = 0; i < buckets.indexes.length; i++) {
    const upper = from[buckets.indexes[i]!] ?? Infinity
    while (target < to.length && to[target]! < upper) target++
    if (out.indexes.at(-1) === target) out.counts[out.counts.length - 1]! += buckets.counts[i]!
    else {
      out.indexes.push(target)
      out.counts.push(buckets.counts[i]!)
    }
  }
  return out
}

/** Every count and the sum put through `apply`; a factor below zero makes a gauge. */
export function scaleHistogram(histogram: FloatHistogram, apply: (value: number) => number, negative = false): FloatHistogram {
  const parts = takeApart(histogram)
  parts.zeroCount = apply(parts.zeroCount)
  parts.positive = { indexes: parts.positive.indexes, counts: parts.positive.counts.map(apply) }
  parts.negative = { indexes: parts.negative.indexes, counts: parts.negative.counts.map(apply) }
  return putTogether(parts, {
    count: apply(histogram.count),
    sum: apply(histogram.sum),
    customValues: histogram.customValues,
    counterResetHint: negative ? 'gauge' : histogram.counterResetHint,
  })
}

/** Same layout and same counts; NaN equals NaN, the hint doesn't matter. */
export function histogramsEqual(a: FloatHistogram, b: FloatHistogram): boolean {
  if (a === b) return true
  const x = compactHistogram(a)
  const y = compactHistogram(b)
  const numbers = (h: FloatHistogram): number[] => [
    h.schema,
    h.zeroThreshold,
    h.zeroCount,
    h.count,
    h.sum,
    h.positiveSpans.length,
    h.negativeSpans.length,
    ...h.positiveSpans.flatMap((span) => [span.offset, span.length]),
    ...h.negativeSpans.flatMap((span) => [span.offset, span.length]),
    ...h.positiveBuckets,
    ...h.negativeBuckets,
    ...h.customValues,
  ]
  const left = numbers(x)
  const right = numbers(y)
  return left.length === right.length && left.every((value, i) => value === right[i] || (Number.isNaN(value) && Number.isNaN(right[i])))
}

/**
 * Whether a counter began anew between `previous` and `histogram`: the hint says so, or any count fell.
 * Source: Prometheus `FloatHistogram.DetectReset`.
 */
export function detectReset(histogram: FloatHistogram, previous: FloatHistogram): boolean {
  if (histogram.counterResetHint === 'reset') return true
  if (histogram.counterResetHint === 'not_reset') return false
  if (histogram.count < previous.count) return true
  if (usesCustomBuckets(histogram) !== usesCustomBuckets(previous)) return true
  const now = takeApart(histogram)
  const before = takeApart(previous)
  if (usesCustomBuckets(histogram)) {
    if (!sameBounds(histogram.customValues, previous.customValues)) {
      const bounds = commonBounds(histogram.customValues, previous.customValues)
      now.positive = rebound(now.positive, histogram.customValues, bounds)
      before.positive = rebound(before.positive, previous.customValues, bounds)
    }
    return anyFell(now.positive, before.positive)
  }
  if (histogram.schema > previous.schema || histogram.zeroThreshold < previous.zeroThreshold) return true
  widenZeroBucket(before, histogram.zeroThreshold)
  if (before.zeroThreshold !== histogram.zeroThreshold || now.zeroCount < before.zeroCount) return true
  return (
    anyFell(now.positive, reduceBuckets(before.positive, before.schema, now.schema)) ||
    anyFell(now.negative, reduceBuckets(before.negative, before.schema, now.schema))
  )
}

function anyFell(now: IndexedBuckets, before: IndexedBuckets): boolean {
  let i = 0
  for (let j = 0; j < before.indexes.length; j++) {
    if (before.counts[j] === 0) continue
    while (i < now.indexes.length && now.indexes[i]! < before.indexes[j]!) i++
    const count = now.indexes[i] === before.indexes[j] ? now.counts[i]! : 0
    if (count < before.counts[j]!) return true
  }
  return false
}
