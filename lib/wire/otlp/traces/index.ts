/**
 * OTLP traces on bytes: requests are split by trace, walked and put together again without decoding spans into objects.
 *
 * A span is always its own message's bytes. What surrounds it is kept as two *wrappers*: the fields of its ResourceSpans
 * and of its ScopeSpans other than the spans, verbatim, with an empty resource or scope message where there was none. So a trace
 * read by id is what was sent. `readSpan` finds the fixed fields by position; attributes, events and links are decoded only
 * where a query asks.
 *
 * Invariants: a payload is at most PAYLOAD_BYTES_MAX; spans in it have a 16-byte trace id and an 8-byte span id that are not all
 * zero. Any bytes give a value or an error of kind `bad_data`.
 */
export { TraceAssembler } from './assemble.ts'
export { eventsOf, linksOf, scopeOf, spanAttributes, wrapperAttributes, type ScopeInfo, type SpanEvent, type SpanLink } from './detail.ts'
export { newSpanFields, readSpan, type SpanFields } from './span.ts'
export { splitTraces, type SplitTraces, type TraceBatch } from './split.ts'
export { walkSpans, type SpanVisitor } from './walk.ts'
