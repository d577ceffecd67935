import { ProtoReader, WIRE_FIXED64, WIRE_VARINT, millisOfNano, subNsOfNano } from '../../protobuf/index.ts'

/**
 * Where a span's fixed fields lie. Offsets are into the bytes given to `readSpan`; −1 where the field is missing or has a wrong
 * length. One object is reused for all spans of a walk.
 */
export interface SpanFields {
  /** 16 bytes, not all zero; else −1. */
  traceIdAt: number
  /** 8 bytes, not all zero; else −1. */
  spanIdAt: number
  /** 8 bytes, not all zero; −1 for a root. */
  parentIdAt: number
  nameFrom: number
  nameTo: number
  /** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number
  startMs: number
  startSubNs: number
  /** Nanoseconds from start to end; 0 where the end is missing or before the start. Exact below 104 days. */
  durationNs: number
  /** 0 unset, 1 ok, 2 error. */
  statusCode: number
  statusMessageFrom: number
  statusMessageTo: number
  hasStatus: boolean
}

export function newSpanFields(): SpanFields {
  return {
    traceIdAt: -1,
    spanIdAt: -1,
    parentIdAt: -1,
    nameFrom: 0,
    nameTo: 0,
    kind: 0,
    startMs: 0,
    startSubNs: 0,
    durationNs: 0,
    statusCode: 0,
    statusMessageFrom: 0,
    statusMessageTo: 0,
    hasStatus: false,
  }
}

/** Finds the fixed fields of the Span message in `bytes[from, to)`. Errors: `bad_data` where it is no protobuf. */
export function readSpan(bytes: Uint8Array, from: number, to: number, out: SpanFields): SpanFields {
  out.traceIdAt = out.spanIdAt = out.parentIdAt = -1
  out.nameFrom = out.nameTo = out.kind = out.startMs = out.startSubNs = out.durationNs = 0
  out.statusCode = out.statusMessageFrom = out.statusMessageTo = 0
  out.hasStatus = false
  let endMs = 0
  let endSubNs = 0
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.isBytes) {
      readRange(reader, out)
      continue
    }
    if (reader.wire === WIRE_FIXED64 && reader.field === 7) {
      out.startMs = millisOfNano(reader.low, reader.high)
      out.startSubNs = subNsOfNano(reader.low, reader.high)
    } else if (reader.wire === WIRE_FIXED64 && reader.field === 8) {
      endMs = millisOfNano(reader.low, reader.high)
      endSubNs = subNsOfNano(reader.low, reader.high)
    } else if (reader.wire === WIRE_VARINT && reader.field === 6) out.kind = reader.low <= 5 ? reader.low : 0
  }
  out.durationNs = Math.max(0, (endMs - out.startMs) * 1e6 + endSubNs - out.startSubNs)
  return out
}

function readRange(reader: ProtoReader, out: SpanFields): void {
  switch (reader.field) {
    case 1:
      out.traceIdAt = idAt(reader, 16)
      return
    case 2:
      out.spanIdAt = idAt(reader, 8)
      return
    case 4:
      out.parentIdAt = idAt(reader, 8)
      return
    case 5:
      out.nameFrom = reader.start
      out.nameTo = reader.stop
      return
    case 15: {
      out.hasStatus = true
      const status = new ProtoReader(reader.bytes, reader.start, reader.stop)
      while (status.next()) {
        if (status.field === 3 && status.wire === WIRE_VARINT) out.statusCode = status.low <= 2 ? status.low : 0
        else if (status.field === 2 && status.isBytes) {
          out.statusMessageFrom = status.start
          out.statusMessageTo = status.stop
        }
      }
    }
  }
}

function idAt(reader: ProtoReader, size: number): number {
  if (reader.stop - reader.start !== size) return -1
  for (let i = reader.start; i < reader.stop; i++) if (reader.bytes[i] !== 0) return reader.start
  return -1
}
