import { ProtoReader, ProtoWriter } from '../../protobuf/index.ts'
import { writeTextAttribute } from '../common/index.ts'
import { newSpanFields, readSpan } from './span.ts'

interface ScopeGroup {
  readonly scope: Uint8Array
  readonly spans: ProtoWriter
}

interface ResourceGroup {
  readonly resource: Uint8Array
  readonly scopes: Map<string, ScopeGroup>
}

/**
 * Puts spans back under their resources and scopes, as `repeated ResourceSpans` in field 1 (TracesData, tempopb.Trace).
 *
 * Grafana's decoder fails on what protobuf leaves out, so every ResourceSpans has a resource with at least one attribute
 * (`service.name="unknown_service"` where there was none), every ScopeSpans a scope, every Span a status, empty or not.
 */
export class TraceAssembler {
  readonly #resources = new Map<string, ResourceGroup>()
  readonly #fields = newSpanFields()
  #count = 0

  /** Spans added. */
  get count(): number {
    return this.#count
  }

  /** @param resource,scope wrappers of `walkSpans`, kept; the span is copied */
  add(resource: Uint8Array, scope: Uint8Array, bytes: Uint8Array, from = 0, to = bytes.length): void {
    const resourceKey = keyOf(resource)
    let group = this.#resources.get(resourceKey)
    if (group === undefined) {
      group = { resource, scopes: new Map() }
      this.#resources.set(resourceKey, group)
    }
    const scopeKey = keyOf(scope)
    let scopeGroup = group.scopes.get(scopeKey)
    if (scopeGroup === undefined) {
      scopeGroup = { scope, spans: new ProtoWriter(1024) }
      group.scopes.set(scopeKey, scopeGroup)
    }
    const spans = scopeGroup.spans
    const hasStatus = readSpan(bytes, from, to, this.#fields).hasStatus
    spans.head(2, to - from + (hasStatus ? 0 : 2))
    spans.raw(bytes, from, to)
    if (!hasStatus) spans.head(15, 0)
    this.#count++
  }

  bytes(): Uint8Array {
    const writer = new ProtoWriter(4096)
    for (const group of this.#resources.values()) {
      const resourceSpans = writer.begin(1)
      writeResource(writer, group.resource)
      for (const { scope, spans } of group.scopes.values()) {
        const scopeSpans = writer.begin(2)
        writer.raw(scope)
        writer.raw(spans.view())
        writer.end(scopeSpans)
      }
      writer.end(resourceSpans)
    }
    return writer.take()
  }
}

function writeResource(writer: ProtoWriter, wrapper: Uint8Array): void {
  const reader = new ProtoReader(wrapper)
  let attributes = 0
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    const resource = new ProtoReader(wrapper, reader.start, reader.stop)
    while (resource.next()) if (resource.field === 1) attributes++
  }
  if (attributes > 0) {
    writer.raw(wrapper)
    return
  }
  const mark = writer.begin(1)
  writeTextAttribute(writer, 1, 'service.name', 'unknown_service')
  writer.end(mark)
  reader.reset(wrapper, 0, wrapper.length)
  let fieldFrom = 0
  while (reader.next()) {
    if (reader.field !== 1) writer.raw(wrapper, fieldFrom, reader.at)
    fieldFrom = reader.at
  }
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
