import type { CounterResetHint, FloatHistogram, Span } from '../../model/index.ts'
import { malformed, type RowsBytes, type RowsWriter } from './bytes.ts'

const HINTS: readonly CounterResetHint[] = ['unknown', 'reset', 'not_reset', 'gauge']

/** hint u8, schema zigzag, four doubles, then spans, buckets and custom bounds, each with its count. */
export function writeHistogram(out: RowsWriter, histogram: FloatHistogram): void {
  out.u8(HINTS.indexOf(histogram.counterResetHint))
  writeSigned(out, histogram.schema)
  out.f64(histogram.zeroThreshold)
  out.f64(histogram.zeroCount)
  out.f64(histogram.count)
  out.f64(histogram.sum)
  writeSpans(out, histogram.positiveSpans)
  writeSpans(out, histogram.negativeSpans)
  writeNumbers(out, histogram.positiveBuckets)
  writeNumbers(out, histogram.negativeBuckets)
  writeNumbers(out, histogram.customValues)
}

/** Errors: `bad_data` only. */
export function readHistogram(input: RowsBytes): FloatHistogram {
  const counterResetHint = HINTS[input.u8()]
  if (counterResetHint === undefined) throw malformed('a histogram has an unknown counter reset hint', input.at)
  return {
    counterResetHint,
    schema: readSigned(input),
    zeroThreshold: input.f64(),
    zeroCount: input.f64(),
    count: input.f64(),
    sum: input.f64(),
    positiveSpans: readSpans(input),
    negativeSpans: readSpans(input),
    positiveBuckets: readNumbers(input),
    negativeBuckets: readNumbers(input),
    customValues: readNumbers(input),
  }
}

/** Upper bound of the bytes `writeHistogram` takes. */
export function histogramBytesMax(histogram: FloatHistogram): number {
  const numbers = histogram.positiveBuckets.length + histogram.negativeBuckets.length + histogram.customValues.length
  return 90 + numbers * 8 + (histogram.positiveSpans.length + histogram.negativeSpans.length) * 12
}

function writeSpans(out: RowsWriter, spans: readonly Span[]): void {
  out.varint(spans.length)
  for (const span of spans) {
    writeSigned(out, span.offset)
    out.varint(span.length)
  }
}

function readSpans(input: RowsBytes): Span[] {
  const spans: Span[] = []
  for (let left = input.count(2); left > 0; left--) spans.push({ offset: readSigned(input), length: input.varint() })
  return spans
}

function writeNumbers(out: RowsWriter, numbers: readonly number[]): void {
  out.varint(numbers.length)
  for (const number of numbers) out.f64(number)
}

function readNumbers(input: RowsBytes): number[] {
  const numbers: number[] = []
  for (let left = input.count(8); left > 0; left--) numbers.push(input.f64())
  return numbers
}

function writeSigned(out: RowsWriter, value: number): void {
  out.varint(value < 0 ? -2 * value - 1 : 2 * value)
}

function readSigned(input: RowsBytes): number {
  const value = input.varint()
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2
}
