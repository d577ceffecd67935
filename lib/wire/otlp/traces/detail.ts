import { ProtoReader, WIRE_FIXED64, millisOfNano, subNsOfNano } from '../../protobuf/index.ts'
import { attributeOf, type Attribute } from '../common/index.ts'

export interface SpanEvent {
  readonly name: string
  readonly timeMs: number
  readonly subNs: number
  readonly attributes: readonly Attribute[]
}

export interface SpanLink {
  /** Hex digits. */
  readonly traceId: string
  readonly spanId: string
  readonly attributes: readonly Attribute[]
}

export interface ScopeInfo {
  readonly name: string
  readonly version: string
  readonly attributes: readonly Attribute[]
}

/** Attributes of the Span message in `bytes[from, to)`. */
export function spanAttributes(bytes: Uint8Array, from = 0, to = bytes.length): Attribute[] {
  return attributesIn(bytes, from, to, 9)
}

/** Attributes of the resource in a resource wrapper. */
export function wrapperAttributes(wrapper: Uint8Array): Attribute[] {
  const out: Attribute[] = []
  const reader = new ProtoReader(wrapper)
  while (reader.next()) if (reader.field === 1 && reader.isBytes) out.push(...attributesIn(wrapper, reader.start, reader.stop, 1))
  return out
}

/** The scope in a scope wrapper. */
export function scopeOf(wrapper: Uint8Array): ScopeInfo {
  let name = ''
  let version = ''
  const attributes: Attribute[] = []
  const reader = new ProtoReader(wrapper)
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    const scope = new ProtoReader(wrapper, reader.start, reader.stop)
    while (scope.next()) {
      if (!scope.isBytes) continue
      if (scope.field === 1) name = scope.text()
      else if (scope.field === 2) version = scope.text()
      else if (scope.field === 3) attributes.push(attributeOf(wrapper, scope.start, scope.stop))
    }
  }
  return { name, version, attributes }
}

export function eventsOf(bytes: Uint8Array, from = 0, to = bytes.length): SpanEvent[] {
  const out: SpanEvent[] = []
  const span = new ProtoReader(bytes, from, to)
  while (span.next()) {
    if (span.field !== 11 || !span.isBytes) continue
    const reader = new ProtoReader(bytes, span.start, span.stop)
    let name = ''
    let timeMs = 0
    let subNs = 0
    while (reader.next()) {
      if (reader.field === 2 && reader.isBytes) name = reader.text()
      else if (reader.field === 1 && reader.wire === WIRE_FIXED64) {
        timeMs = millisOfNano(reader.low, reader.high)
        subNs = subNsOfNano(reader.low, reader.high)
      }
    }
    out.push({ name, timeMs, subNs, attributes: attributesIn(bytes, span.start, span.stop, 3) })
  }
  return out
}

export function linksOf(bytes: Uint8Array, from = 0, to = bytes.length): SpanLink[] {
  const out: SpanLink[] = []
  const span = new ProtoReader(bytes, from, to)
  while (span.next()) {
    if (span.field !== 13 || !span.isBytes) continue
    const reader = new ProtoReader(bytes, span.start, span.stop)
    let traceId = ''
    let spanId = ''
    while (reader.next()) {
      if (!reader.isBytes) continue
      if (reader.field === 1) traceId = Buffer.from(reader.range()).toString('hex')
      else if (reader.field === 2) spanId = Buffer.from(reader.range()).toString('hex')
    }
    out.push({ traceId, spanId, attributes: attributesIn(bytes, span.start, span.stop, 4) })
  }
  return out
}

/** The KeyValues in field `field` of a message. */
function attributesIn(bytes: Uint8Array, from: number, to: number, field: number): Attribute[] {
  const out: Attribute[] = []
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) if (reader.field === field && reader.isBytes) out.push(attributeOf(bytes, reader.start, reader.stop))
  return out
}
