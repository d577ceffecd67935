/** A TraceQL search on one partition: the newest traces that match, as the Tempo API shows them. */
import { compileQuery, contextOf, type CompiledQuery, type MatchedSpans, type TraceContext } from '../../traceql/index.ts'
import type { SpanView, Task, TraceView } from '../../store/index.ts'
import type { TraceStore } from '../../traces/index.ts'

export interface SearchRequest {
  readonly query: string
  readonly startMs: number
  readonly endMs: number
  readonly limit: number
  /** Spans shown of each spanset. */
  readonly spansPerSpanset: number
}

type Shown = string | number | boolean

export interface FoundSpan {
  readonly spanId: string
  readonly name: string
  readonly startMs: number
  readonly startSubNs: number
  readonly durationNs: number
  readonly attributes: readonly { readonly key: string; readonly value: Shown }[]
}

export interface FoundSpanset {
  readonly spans: readonly FoundSpan[]
  /** Spans in it, shown or not. */
  readonly matched: number
  readonly attributes: readonly { readonly key: string; readonly value: Shown }[]
}

export interface FoundTrace {
  readonly traceId: string
  readonly rootService: string
  readonly rootName: string
  readonly startMs: number
  readonly startSubNs: number
  readonly durationMs: number
  readonly spansets: readonly FoundSpanset[]
  readonly services: readonly { readonly service: string; readonly spans: number; readonly errors: number }[]
}

export interface SearchAnswer {
  /** Newest first. */
  readonly traces: readonly FoundTrace[]
  readonly inspectedTraces: number
  readonly inspectedSpans: number
}

/** Tempo's text where a trace's root was not received. */
const NO_ROOT = '<root span not yet received>'

export function* searchTraces(store: TraceStore, tenant: string, request: SearchRequest): Task<SearchAnswer> {
  const query = compileQuery(request.query)
  const traces: FoundTrace[] = []
  let inspectedTraces = 0
  let inspectedSpans = 0
  for (const trace of store.scan(tenant, { startMs: request.startMs, endMs: request.endMs, conditions: query.conditions })) {
    yield
    if (trace === undefined) continue
    inspectedTraces++
    inspectedSpans += trace.spans.length
    const context = contextOf(trace)
    const sets = query.match(context)
    if (sets.length > 0) traces.push(foundTrace(trace, sets, context, query, request.spansPerSpanset))
    if (traces.length >= request.limit) break
  }
  return { traces: newestFirst(traces), inspectedTraces, inspectedSpans }
}

export function mergeSearches(answers: readonly SearchAnswer[], { limit }: SearchRequest): SearchAnswer {
  return {
    traces: newestFirst(joinHalves(answers.flatMap((answer) => answer.traces))).slice(0, limit),
    inspectedTraces: answers.reduce((sum, answer) => sum + answer.inspectedTraces, 0),
    inspectedSpans: answers.reduce((sum, answer) => sum + answer.inspectedSpans, 0),
  }
}

/** A trace whose partition moved while it was written has spans with two holders: each found what its own half tells. */
function joinHalves(traces: readonly FoundTrace[]): FoundTrace[] {
  const byId = new Map<string, FoundTrace>()
  for (const trace of traces) {
    const other = byId.get(trace.traceId)
    byId.set(trace.traceId, other === undefined ? trace : joined(other, trace))
  }
  return [...byId.values()]
}

function joined(a: FoundTrace, b: FoundTrace): FoundTrace {
  const [first, last] = a.startMs < b.startMs || (a.startMs === b.startMs && a.startSubNs <= b.startSubNs) ? [a, b] : [b, a]
  const root = first.rootService === NO_ROOT ? last : first
  const services = new Map(first.services.map((one) => [one.service, one]))
  for (const { service, spans, errors } of last.services) {
    const known = services.get(service)
    services.set(service, { service, spans: spans + (known?.spans ?? 0), errors: errors + (known?.errors ?? 0) })
  }
  return {
    ...first,
    rootService: root.rootService,
    rootName: root.rootName,
    durationMs: Math.max(first.startMs + first.durationMs, last.startMs + last.durationMs) - first.startMs,
    spansets: [...first.spansets, ...last.spansets],
    services: [...services.values()],
  }
}

function newestFirst(traces: readonly FoundTrace[]): FoundTrace[] {
  return [...traces].sort((a, b) => b.startMs - a.startMs || b.startSubNs - a.startSubNs)
}

function foundTrace(
  trace: TraceView,
  sets: readonly MatchedSpans[],
  context: TraceContext,
  query: CompiledQuery,
  spansMax: number,
): FoundTrace {
  const [first] = trace.spans
  return {
    traceId: trace.traceId,
    rootService: context.root?.service ?? NO_ROOT,
    rootName: context.root?.name ?? '',
    startMs: first!.startMs,
    startSubNs: first!.startSubNs,
    durationMs: Math.floor(context.durationNs / 1e6),
    spansets: sets.map((set) => foundSpanset(set, context, query, spansMax)),
    services: servicesOf(trace.spans),
  }
}

function foundSpanset(
  { spans, groups, scalars }: MatchedSpans,
  context: TraceContext,
  query: CompiledQuery,
  spansMax: number,
): FoundSpanset {
  const attributes: { key: string; value: Shown }[] = scalars.map(({ name, value }) => ({ key: name, value }))
  for (const { name, value } of groups) attributes.push({ key: name, value: value ?? 'nil' })
  return {
    matched: spans.length,
    attributes,
    spans: spans.slice(0, spansMax).map((span) => ({
      spanId: span.spanId,
      name: span.name,
      startMs: span.startMs,
      startSubNs: span.startSubNs,
      durationNs: span.durationNs,
      attributes: query.shownAttributes(span, context),
    })),
  }
}

function servicesOf(spans: readonly SpanView[]): FoundTrace['services'] {
  const counts = new Map<string, { spans: number; errors: number }>()
  for (const span of spans) {
    const count = counts.get(span.service) ?? { spans: 0, errors: 0 }
    count.spans++
    if (span.statusCode === 2) count.errors++
    counts.set(span.service, count)
  }
  return [...counts].map(([service, count]) => ({ service, ...count }))
}
