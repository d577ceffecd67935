import type { CounterResetHint, FloatHistogram, Labels, Span } from '../../model/index.ts'
import { ProtoReader, unsignedFromHalves, WIRE_FIXED64, WIRE_VARINT } from '../protobuf/index.ts'
import { floatBits, isStaleBits } from './float-bits.ts'

const HINTS: readonly CounterResetHint[] = ['unknown', 'reset', 'not_reset', 'gauge']

export interface PendingHistogram {
  /** Undefined for a stale marker. */
  readonly histogram: FloatHistogram | undefined
  readonly timestampMs: number
  readonly startMs: number
}

export interface PendingExemplar {
  readonly labels: Labels
  readonly value: number
  readonly timestampMs: number
}

/**
 * The points of the series being read, kept until its labels are known: labels may come after them on the wire.
 * Samples lie in arrays that are reused from series to series.
 */
export class PendingPoints {
  times = new Float64Array(64)
  values = new Float64Array(64)
  starts = new Float64Array(64)
  stale = new Uint8Array(64)
  samples = 0
  histograms: PendingHistogram[] = []
  exemplars: PendingExemplar[] = []
  readonly #reader = new ProtoReader(new Uint8Array(0))
  readonly #float = floatBits()
  readonly #halves = new Uint32Array(2)
  readonly #double = new Float64Array(this.#halves.buffer)

  clear(): void {
    this.samples = 0
    if (this.histograms.length > 0) this.histograms = []
    if (this.exemplars.length > 0) this.exemplars = []
  }

  /** Sample: 1 value (double), 2 timestamp (int64 ms), in 2.0 also 3 start timestamp. */
  sample(bytes: Uint8Array, from: number, to: number): void {
    if (this.samples === this.times.length) this.#grow()
    if (this.#usualSample(bytes, from, to)) return
    const at = this.samples++
    let value = 0
    let stale = 0
    let timeMs = 0
    let startMs = 0
    const reader = this.#reader.reset(bytes, from, to)
    while (reader.next()) {
      if (reader.field === 1 && reader.wire === WIRE_FIXED64) {
        value = this.#float(reader.low, reader.high)
        stale = isStaleBits(reader.low, reader.high) ? 1 : 0
      } else if (reader.field === 2 && reader.wire === WIRE_VARINT) timeMs = signed(reader)
      else if (reader.field === 3 && reader.wire === WIRE_VARINT) startMs = signed(reader)
    }
    this.times[at] = timeMs
    this.values[at] = value
    this.stale[at] = stale
    this.starts[at] = startMs
  }

  /** A sample as every sender writes it, `09 <8 bytes> 10 <varint of up to 49 bits>`; false, with nothing kept, for any other form. */
  #usualSample(bytes: Uint8Array, from: number, to: number): boolean {
    if (to - from < 11 || to - from > 17 || bytes[from] !== 0x09 || bytes[from + 9] !== 0x10) return false
    let timeMs = 0
    let scale = 1
    let i = from + 10
    for (; i < to; i++) {
      const byte = bytes[i]!
      timeMs += (byte & 0x7f) * scale
      scale *= 0x80
      if (byte < 0x80) break
    }
    if (i !== to - 1) return false
    const halves = this.#halves
    halves[0] = bytes[from + 1]! | (bytes[from + 2]! << 8) | (bytes[from + 3]! << 16) | (bytes[from + 4]! << 24)
    halves[1] = bytes[from + 5]! | (bytes[from + 6]! << 8) | (bytes[from + 7]! << 16) | (bytes[from + 8]! << 24)
    const at = this.samples++
    this.times[at] = timeMs
    this.values[at] = this.#double[0]!
    this.stale[at] = isStaleBits(halves[0], halves[1]) ? 1 : 0
    this.starts[at] = 0
    return true
  }

  /** Histogram, the same numbers in 1.0 and 2.0. */
  histogram(bytes: Uint8Array, from: number, to: number): void {
    const raw = readHistogramFields(bytes, from, to, this.#float)
    const { timestampMs, startMs } = raw
    this.histograms.push({ histogram: raw.stale ? undefined : histogramOf(raw), timestampMs, startMs })
  }

  /** Exemplar: 1 labels (the caller reads them), 2 value, 3 timestamp. */
  exemplar(bytes: Uint8Array, from: number, to: number, labels: Labels): void {
    let value = 0
    let timestampMs = 0
    const reader = this.#reader.reset(bytes, from, to)
    while (reader.next()) {
      if (reader.field === 2 && reader.wire === WIRE_FIXED64) value = this.#float(reader.low, reader.high)
      else if (reader.field === 3 && reader.wire === WIRE_VARINT) timestampMs = signed(reader)
    }
    this.exemplars.push({ labels, value, timestampMs })
  }

  #grow(): void {
    const grown = <T extends Float64Array | Uint8Array>(old: T, made: T): T => {
      made.set(old)
      return made
    }
    const size = this.times.length * 2
    this.times = grown(this.times, new Float64Array(size))
    this.values = grown(this.values, new Float64Array(size))
    this.starts = grown(this.starts, new Float64Array(size))
    this.stale = grown(this.stale, new Uint8Array(size))
  }
}

interface HistogramFields {
  count: number
  sum: number
  stale: boolean
  schema: number
  zeroThreshold: number
  zeroCount: number
  negativeSpans: Span[]
  positiveSpans: Span[]
  negativeDeltas: number[]
  positiveDeltas: number[]
  negativeCounts: number[]
  positiveCounts: number[]
  customValues: number[]
  hint: CounterResetHint
  timestampMs: number
  startMs: number
}

function readHistogramFields(bytes: Uint8Array, from: number, to: number, float: (low: number, high: number) => number): HistogramFields {
  const out: HistogramFields = {
    count: 0,
    sum: 0,
    stale: false,
    schema: 0,
    zeroThreshold: 0,
    zeroCount: 0,
    negativeSpans: [],
    positiveSpans: [],
    negativeDeltas: [],
    positiveDeltas: [],
    negativeCounts: [],
    positiveCounts: [],
    customValues: [],
    hint: 'unknown',
    timestampMs: 0,
    startMs: 0,
  }
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.wire === WIRE_VARINT) readWhole(out, reader)
    else if (reader.wire === WIRE_FIXED64) readDouble(out, reader, float(reader.low, reader.high))
    if (reader.field === 8) readSpan(reader, out.negativeSpans)
    else if (reader.field === 9) readDeltas(reader, out.negativeDeltas)
    else if (reader.field === 10) readDoubles(reader, out.negativeCounts, float)
    else if (reader.field === 11) readSpan(reader, out.positiveSpans)
    else if (reader.field === 12) readDeltas(reader, out.positiveDeltas)
    else if (reader.field === 13) readDoubles(reader, out.positiveCounts, float)
    else if (reader.field === 16) readDoubles(reader, out.customValues, float)
  }
  return out
}

function readWhole(out: HistogramFields, reader: ProtoReader): void {
  if (reader.field === 1) out.count = unsignedFromHalves(reader.low, reader.high)
  else if (reader.field === 4) out.schema = zigzag(reader)
  else if (reader.field === 6) out.zeroCount = unsignedFromHalves(reader.low, reader.high)
  else if (reader.field === 14) out.hint = HINTS[reader.low] ?? 'unknown'
  else if (reader.field === 15) out.timestampMs = signed(reader)
  else if (reader.field === 17) out.startMs = signed(reader)
}

function readDouble(out: HistogramFields, reader: ProtoReader, value: number): void {
  if (reader.field === 2) out.count = value
  else if (reader.field === 3) {
    out.sum = value
    out.stale = isStaleBits(reader.low, reader.high)
  } else if (reader.field === 5) out.zeroThreshold = value
  else if (reader.field === 7) out.zeroCount = value
}

function histogramOf(raw: HistogramFields): FloatHistogram {
  const { schema, zeroThreshold, zeroCount, count, sum, positiveSpans, negativeSpans, customValues } = raw
  return {
    schema,
    zeroThreshold,
    zeroCount,
    count,
    sum,
    positiveSpans,
    negativeSpans,
    positiveBuckets: raw.positiveCounts.length > 0 ? raw.positiveCounts : summed(raw.positiveDeltas),
    negativeBuckets: raw.negativeCounts.length > 0 ? raw.negativeCounts : summed(raw.negativeDeltas),
    customValues,
    counterResetHint: raw.hint,
  }
}

function summed(deltas: readonly number[]): number[] {
  let count = 0
  return deltas.map((delta) => (count += delta))
}

/** BucketSpan: 1 offset (sint32), 2 length. */
function readSpan(field: ProtoReader, out: Span[]): void {
  if (!field.isBytes) return
  let offset = 0
  let length = 0
  const reader = new ProtoReader(field.bytes, field.start, field.stop)
  while (reader.next()) {
    if (reader.wire !== WIRE_VARINT) continue
    if (reader.field === 1) offset = zigzag(reader)
    else if (reader.field === 2) length = reader.low
  }
  out.push({ offset, length })
}

/** sint64s, packed or one a field. */
function readDeltas(field: ProtoReader, out: number[]): void {
  if (field.wire === WIRE_VARINT) out.push(zigzag(field))
  if (!field.isBytes) return
  for (const [low, high] of varints(field.bytes, field.start, field.stop)) out.push(zigzagOf(low, high))
}

function readDoubles(field: ProtoReader, out: number[], float: (low: number, high: number) => number): void {
  if (field.wire === WIRE_FIXED64) out.push(float(field.low, field.high))
  if (!field.isBytes) return
  const view = new DataView(field.bytes.buffer, field.bytes.byteOffset, field.bytes.byteLength)
  for (let at = field.start; at + 8 <= field.stop; at += 8) out.push(view.getFloat64(at, true))
}

/** Packed varints as unsigned halves. A cut one ends the list. */
export function* varints(bytes: Uint8Array, from: number, to: number): Generator<[low: number, high: number]> {
  let at = from
  while (at < to) {
    let value = 0n
    let shift = 0n
    let byte = 0x80
    while (byte >= 0x80 && at < to && shift < 70n) {
      byte = bytes[at++]!
      value |= BigInt(byte & 0x7f) << shift
      shift += 7n
    }
    if (byte >= 0x80) return
    yield [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)]
  }
}

function signed(reader: ProtoReader): number {
  return (reader.high | 0) * 4_294_967_296 + reader.low
}

function zigzag(reader: ProtoReader): number {
  return zigzagOf(reader.low, reader.high)
}

function zigzagOf(low: number, high: number): number {
  const half = (high * 4_294_967_296 + low - (low & 1)) / 2
  return (low & 1) === 1 ? -half - 1 : half
}
