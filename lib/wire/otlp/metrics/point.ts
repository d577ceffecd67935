import { millisOfNano, ProtoReader, unsignedFromHalves, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT } from '../../protobuf/index.ts'

/** A data point of any kind: what its message held. Ranges of attributes and exemplars are read again where they are needed. */
export interface Point {
  timeMs: number
  startMs: number
  /** The flag NO_RECORDED_VALUE: a stale marker. */
  isStale: boolean
  value: number
  count: number
  sum: number | undefined
  bucketCounts: number[]
  bounds: number[]
  scale: number
  zeroCount: number
  zeroThreshold: number
  positive: Buckets
  negative: Buckets
  quantiles: [quantile: number, value: number][]
  exemplars: [from: number, to: number][]
}

export interface Buckets {
  readonly offset: number
  readonly counts: readonly number[]
}

/** Field numbers by kind of point, where they differ; 0 where the kind has no such field. */
export interface PointFields {
  readonly attributes: number
  readonly flags: number
  readonly exemplars: number
}

export const NUMBER_POINT: PointFields = { attributes: 7, flags: 8, exemplars: 5 }
export const HISTOGRAM_POINT: PointFields = { attributes: 9, flags: 10, exemplars: 8 }
export const EXPONENTIAL_POINT: PointFields = { attributes: 1, flags: 10, exemplars: 11 }
export const SUMMARY_POINT: PointFields = { attributes: 7, flags: 8, exemplars: 0 }

const NO_BUCKETS: Buckets = { offset: 0, counts: [] }

export function readPoint(bytes: Uint8Array, from: number, to: number, fields: PointFields): Point {
  const out = emptyPoint()
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    const { field } = reader
    if (field === 2 && reader.wire === WIRE_FIXED64) out.startMs = millisOfNano(reader.low, reader.high)
    else if (field === 3 && reader.wire === WIRE_FIXED64) out.timeMs = millisOfNano(reader.low, reader.high)
    else if (field === fields.flags && (reader.wire === WIRE_VARINT || reader.wire === WIRE_FIXED32)) out.isStale = (reader.low & 1) === 1
    else if (field === fields.exemplars && reader.isBytes) out.exemplars.push([reader.start, reader.stop])
    else if (fields === NUMBER_POINT) readNumber(reader, out)
    else if (fields === HISTOGRAM_POINT) readHistogram(reader, out)
    else if (fields === EXPONENTIAL_POINT) readExponential(reader, out)
    else readSummary(reader, out)
  }
  return out
}

function emptyPoint(): Point {
  return {
    timeMs: 0,
    startMs: 0,
    isStale: false,
    value: 0,
    count: 0,
    sum: undefined,
    bucketCounts: [],
    bounds: [],
    scale: 0,
    zeroCount: 0,
    zeroThreshold: 0,
    positive: NO_BUCKETS,
    negative: NO_BUCKETS,
    quantiles: [],
    exemplars: [],
  }
}

function readNumber(reader: ProtoReader, out: Point): void {
  if (reader.wire !== WIRE_FIXED64) return
  if (reader.field === 4) out.value = doubleOf(reader)
  else if (reader.field === 6) out.value = (reader.high | 0) * 4_294_967_296 + reader.low
}

function readHistogram(reader: ProtoReader, out: Point): void {
  if (reader.field === 6) readFixed(reader, out.bucketCounts, wholeOf)
  else if (reader.field === 7) readFixed(reader, out.bounds, doubleOf)
  else readCountAndSum(reader, out)
}

function readExponential(reader: ProtoReader, out: Point): void {
  if (reader.field === 6 && reader.wire === WIRE_VARINT) out.scale = zigzagOf(reader)
  else if (reader.field === 7 && reader.wire === WIRE_FIXED64) out.zeroCount = wholeOf(reader)
  else if (reader.field === 14 && reader.wire === WIRE_FIXED64) out.zeroThreshold = doubleOf(reader)
  else if (reader.field === 8 && reader.isBytes) out.positive = readBuckets(reader)
  else if (reader.field === 9 && reader.isBytes) out.negative = readBuckets(reader)
  else readCountAndSum(reader, out)
}

function readSummary(reader: ProtoReader, out: Point): void {
  if (reader.field !== 6 || !reader.isBytes) {
    readCountAndSum(reader, out)
    return
  }
  const pair: [number, number] = [0, 0]
  const inner = new ProtoReader(reader.bytes, reader.start, reader.stop)
  while (inner.next()) if (inner.wire === WIRE_FIXED64 && inner.field <= 2) pair[inner.field - 1] = doubleOf(inner)
  out.quantiles.push(pair)
}

function readCountAndSum(reader: ProtoReader, out: Point): void {
  if (reader.wire !== WIRE_FIXED64) return
  if (reader.field === 4) out.count = wholeOf(reader)
  else if (reader.field === 5) out.sum = doubleOf(reader)
}

/** Buckets: 1 offset (sint32), 2 counts (uint64, packed). */
function readBuckets(field: ProtoReader): Buckets {
  const counts: number[] = []
  let offset = 0
  const reader = new ProtoReader(field.bytes, field.start, field.stop)
  while (reader.next()) {
    if (reader.field === 1 && reader.wire === WIRE_VARINT) offset = zigzagOf(reader)
    else if (reader.field === 2 && reader.wire === WIRE_VARINT) counts.push(wholeOf(reader))
    else if (reader.field === 2 && reader.isBytes) readVarints(reader, counts)
  }
  return { offset, counts }
}

function readVarints({ bytes, start, stop }: ProtoReader, out: number[]): void {
  for (let at = start; at < stop;) {
    let value = 0
    let scale = 1
    while (at < stop) {
      const byte = bytes[at++]!
      value += (byte & 0x7f) * scale
      scale *= 0x80
      if (byte < 0x80) break
    }
    out.push(value)
  }
}

/** Fixed 64-bit numbers, packed or one a field. */
function readFixed(reader: ProtoReader, out: number[], take: (halves: { low: number; high: number }) => number): void {
  if (reader.wire === WIRE_FIXED64) out.push(take(reader))
  if (!reader.isBytes) return
  const view = new DataView(reader.bytes.buffer, reader.bytes.byteOffset, reader.bytes.byteLength)
  for (let at = reader.start; at + 8 <= reader.stop; at += 8) {
    out.push(take({ low: view.getUint32(at, true), high: view.getUint32(at + 4, true) }))
  }
}

function wholeOf({ low, high }: { low: number; high: number }): number {
  return unsignedFromHalves(low, high)
}

export function doubleOf({ low, high }: { low: number; high: number }): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, low, true)
  view.setUint32(4, high, true)
  return view.getFloat64(0, true)
}

function zigzagOf({ low }: { low: number }): number {
  return (low >>> 1) ^ -(low & 1)
}
