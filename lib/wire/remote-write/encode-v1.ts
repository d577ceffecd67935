import type { FloatHistogram, Labels, Span } from '../../model/index.ts'
import { ProtoWriter } from '../protobuf/index.ts'
import type { FamilyMetadata } from '../rows/index.ts'
import { STALE_NAN_HIGH, STALE_NAN_LOW } from './float-bits.ts'
import { METRIC_TYPES } from './metric-types.ts'

/** One series of a request. Samples: times (Unix ms) and values side by side; `stale[i]` true writes Prometheus' stale marker. */
export interface WriteSeries {
  readonly labels: Labels
  readonly times?: ArrayLike<number>
  readonly values?: ArrayLike<number>
  readonly stale?: ArrayLike<boolean | number>
  readonly histograms?: readonly { readonly timestampMs: number; readonly histogram: FloatHistogram }[]
  readonly exemplars?: readonly { readonly labels: Labels; readonly value: number; readonly timestampMs: number }[]
}

/** A prometheus.WriteRequest, uncompressed. Histograms go as float histograms. */
export function encodeWriteV1(series: Iterable<WriteSeries>, metadata: readonly FamilyMetadata[] = []): Uint8Array {
  const writer = new ProtoWriter(4096)
  for (const one of series) writeSeries(writer, one)
  for (const { family, type, help, unit } of metadata) {
    const mark = writer.begin(3)
    writer.uint(1, Math.max(0, METRIC_TYPES.indexOf(type)))
    writer.text(2, family)
    writer.text(4, help)
    writer.text(5, unit)
    writer.end(mark)
  }
  return writer.take()
}

function writeSeries(writer: ProtoWriter, { labels, times = [], values = [], stale, histograms = [], exemplars = [] }: WriteSeries): void {
  const mark = writer.begin(1)
  writeLabels(writer, labels)
  for (let i = 0; i < times.length; i++) {
    const sample = writer.begin(2)
    if (stale?.[i]) writer.fixed64(1, STALE_NAN_LOW, STALE_NAN_HIGH)
    else writer.double(1, values[i]!)
    writeSigned(writer, 2, times[i]!)
    writer.end(sample)
  }
  for (const { labels: own, value, timestampMs } of exemplars) {
    const exemplar = writer.begin(3)
    writeLabels(writer, own)
    writer.double(2, value)
    writeSigned(writer, 3, timestampMs)
    writer.end(exemplar)
  }
  for (const { timestampMs, histogram } of histograms) {
    const one = writer.begin(4)
    writeHistogram(writer, histogram, timestampMs)
    writer.end(one)
  }
  writer.end(mark)
}

function writeLabels(writer: ProtoWriter, labels: Labels): void {
  for (let i = 0; i < labels.length; i += 2) {
    const mark = writer.begin(1)
    writer.text(1, labels[i]!)
    writer.text(2, labels[i + 1]!)
    writer.end(mark)
  }
}

function writeHistogram(writer: ProtoWriter, histogram: FloatHistogram, timestampMs: number): void {
  writer.double(2, histogram.count)
  writer.double(3, histogram.sum)
  writer.uint(4, zigzag(histogram.schema))
  writer.double(5, histogram.zeroThreshold)
  writer.double(7, histogram.zeroCount)
  writeSpans(writer, 8, histogram.negativeSpans)
  writeDoubles(writer, 10, histogram.negativeBuckets)
  writeSpans(writer, 11, histogram.positiveSpans)
  writeDoubles(writer, 13, histogram.positiveBuckets)
  writer.uint(14, ['unknown', 'reset', 'not_reset', 'gauge'].indexOf(histogram.counterResetHint))
  writeSigned(writer, 15, timestampMs)
  writeDoubles(writer, 16, histogram.customValues)
}

function writeSpans(writer: ProtoWriter, field: number, spans: readonly Span[]): void {
  for (const { offset, length } of spans) {
    const mark = writer.begin(field)
    writer.uint(1, zigzag(offset))
    writer.uint(2, length)
    writer.end(mark)
  }
}

function writeDoubles(writer: ProtoWriter, field: number, values: readonly number[]): void {
  if (values.length > 0) writer.bytes(field, new Uint8Array(Float64Array.from(values).buffer))
}

function writeSigned(writer: ProtoWriter, field: number, value: number): void {
  writer.uint64(field, value - Math.floor(value / 4_294_967_296) * 4_294_967_296, Math.floor(value / 4_294_967_296) >>> 0)
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}
