import { ProtoReader, ProtoWriter, textOf } from '../../protobuf/index.ts'
import { writeTextAttribute } from '../common/index.ts'
import type { Labels } from '../../../model/index.ts'

/** Receives the spans of a request in order. */
export interface SpanVisitor {
  /** The wrappers of the spans that follow: fields of ResourceSpans and ScopeSpans but for the spans. The arrays are new and may be kept. */
  scope(resource: Uint8Array, scope: Uint8Array): void
  /** A Span message is `bytes[from, to)`. */
  span(bytes: Uint8Array, from: number, to: number): void
}

const SCOPE_SPANS = 2
const SPANS = 2

/**
 * Walks an ExportTraceServiceRequest (or TracesData, the same layout).
 *
 * @param extra attributes to add to every resource that lacks them
 * Errors: `bad_data`, possibly after a part was visited.
 */
export function walkSpans(request: Uint8Array, visitor: SpanVisitor, extra: Labels = []): void {
  const reader = new ProtoReader(request)
  const writer = new ProtoWriter(512)
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    const resource = resourceWrapper(writer, request, reader.start, reader.stop, extra)
    const resourceSpans = new ProtoReader(request, reader.start, reader.stop)
    while (resourceSpans.next()) {
      if (resourceSpans.field !== SCOPE_SPANS || !resourceSpans.isBytes) continue
      visitor.scope(resource, scopeWrapper(writer, request, resourceSpans.start, resourceSpans.stop))
      const scopeSpans = new ProtoReader(request, resourceSpans.start, resourceSpans.stop)
      while (scopeSpans.next()) {
        if (scopeSpans.field === SPANS && scopeSpans.isBytes) visitor.span(request, scopeSpans.start, scopeSpans.stop)
      }
    }
  }
}

/** Fields of a ResourceSpans but for field 2; a resource message is always there, and first. */
function resourceWrapper(writer: ProtoWriter, bytes: Uint8Array, from: number, to: number, extra: Labels): Uint8Array {
  writer.reset()
  const known = new Set<string>()
  const mark = writer.begin(1)
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    writer.raw(bytes, reader.start, reader.stop)
    if (extra.length > 0) attributeKeys(bytes, reader.start, reader.stop, known)
  }
  for (let i = 0; i < extra.length; i += 2) if (!known.has(extra[i]!)) writeTextAttribute(writer, 1, extra[i]!, extra[i + 1]!)
  writer.end(mark)
  copyFields(writer, bytes, from, to, (field) => field > 2)
  return writer.take()
}

/** Fields of a ScopeSpans but for field 2; a scope message is always there, and first. */
function scopeWrapper(writer: ProtoWriter, bytes: Uint8Array, from: number, to: number): Uint8Array {
  writer.reset()
  const mark = writer.begin(1)
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) if (reader.field === 1 && reader.isBytes) writer.raw(bytes, reader.start, reader.stop)
  writer.end(mark)
  copyFields(writer, bytes, from, to, (field) => field > 2)
  return writer.take()
}

function copyFields(writer: ProtoWriter, bytes: Uint8Array, from: number, to: number, wanted: (field: number) => boolean): void {
  const reader = new ProtoReader(bytes, from, to)
  let fieldFrom = from
  while (reader.next()) {
    if (wanted(reader.field)) writer.raw(bytes, fieldFrom, reader.at)
    fieldFrom = reader.at
  }
}

function attributeKeys(bytes: Uint8Array, from: number, to: number, out: Set<string>): void {
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    const pair = new ProtoReader(bytes, reader.start, reader.stop)
    while (pair.next()) if (pair.field === 1 && pair.isBytes) out.add(textOf(bytes, pair.start, pair.stop))
  }
}
