import type { FloatHistogram, Span } from '../../../model/index.ts'
import type { Buckets, Point } from './point.ts'

const SCHEMA_MAX = 8
export const SCALE_MIN = -4
const ZERO_THRESHOLD = 1e-128
/** A gap of up to so many empty buckets is written out: a new span costs more. */
const GAP_MAX = 2

/**
 * A native histogram of an exponential one with scale ≥ SCALE_MIN; finer ones than Prometheus has are merged down to schema 8.
 * OTLP's bucket i is (base^i, base^(i+1)], Prometheus' is (base^(i−1), base^i]: indexes move by one.
 * Source: `exponentialToNativeHistogram` of Prometheus' OTLP translation.
 */
export function nativeHistogramOf(point: Point): FloatHistogram {
  const shift = Math.max(0, point.scale - SCHEMA_MAX)
  const positive = spansOf(point.positive, shift)
  const negative = spansOf(point.negative, shift)
  return {
    schema: Math.min(point.scale, SCHEMA_MAX),
    zeroThreshold: point.zeroThreshold > 0 ? point.zeroThreshold : ZERO_THRESHOLD,
    zeroCount: point.zeroCount,
    count: point.count,
    sum: point.sum ?? 0,
    positiveSpans: positive.spans,
    negativeSpans: negative.spans,
    positiveBuckets: positive.counts,
    negativeBuckets: negative.counts,
    customValues: [],
    counterResetHint: 'unknown',
  }
}

function spansOf({ offset, counts }: Buckets, shift: number): { spans: Span[]; counts: number[] } {
  const merged = new Map<number, number>()
  for (const [i, count] of counts.entries()) {
    if (count === 0) continue
    const index = Math.floor((offset + i) / 2 ** shift) + 1
    merged.set(index, (merged.get(index) ?? 0) + count)
  }
  const spans: { offset: number; length: number }[] = []
  const out: number[] = []
  let next = 0
  for (const [index, count] of merged) {
    const gap = index - next
    const span = spans.at(-1)
    if (span === undefined || gap > GAP_MAX) spans.push({ offset: gap, length: 1 })
    else {
      for (let i = 0; i < gap; i++) out.push(0)
      span.length += gap + 1
    }
    out.push(count)
    next = index + 1
  }
  return { spans, counts: out }
}
