/** The fragments of traces. A trace lies in one partition, so most answers are merged by putting them one after another. */
import type { Attribute } from '../../../lib/wire/otlp/common/index.ts'
import { compileQuery, contextOf } from '../../traceql/index.ts'
import type { SpanView, Task } from '../../store/index.ts'
import type { Operation, TraceStore } from '../../traces/index.ts'
import type { FragmentKind } from '../fragment.ts'
import { mergeSearches, searchTraces, type SearchAnswer, type SearchRequest } from './search.ts'

type Kind<Request, Answer> = FragmentKind<TraceStore, Request, Answer>

/** `repeated ResourceSpans` in field 1; empty where the trace is not known. */
export const traceByIdFragment: Kind<{ traceId: Uint8Array }, Uint8Array> = {
  name: 'traces.byId',
  signal: 'traces',
  *execute(store, tenant, { traceId }) {
    return (yield* store.traceBytes(tenant, traceId)) ?? new Uint8Array()
  },
  // Protobuf's own rule: messages one after another are one message with all their repeated fields.
  merge: (answers) => new Uint8Array(Buffer.concat(answers)),
}

export const searchFragment: Kind<SearchRequest, SearchAnswer> = {
  name: 'traces.search',
  signal: 'traces',
  execute: searchTraces,
  merge: mergeSearches,
}

export interface FindRequest {
  /** TraceQL. */
  readonly query: string
  readonly startMs: number
  readonly endMs: number
  readonly limit: number
}

/** Whole traces that match, newest first, as protobuf. */
export const findFragment: Kind<FindRequest, { startMs: number; bytes: Uint8Array }[]> = {
  name: 'traces.find',
  signal: 'traces',
  *execute(store, tenant, { query, startMs, endMs, limit }) {
    const compiled = compileQuery(query)
    const out: { startMs: number; bytes: Uint8Array }[] = []
    for (const trace of store.scan(tenant, { startMs, endMs, conditions: compiled.conditions })) {
      yield
      if (trace === undefined || compiled.match(contextOf(trace)).length === 0) continue
      const bytes = yield* store.traceBytes(tenant, new Uint8Array(Buffer.from(trace.traceId, 'hex')))
      out.push({ startMs: trace.spans[0]!.startMs, bytes: bytes! })
      if (out.length >= limit) break
    }
    return out
  },
  merge: (answers, { limit }) =>
    answers
      .flat()
      .sort((a, b) => b.startMs - a.startMs)
      .slice(0, limit),
}

export const operationsFragment: Kind<Record<never, never>, Operation[]> = {
  name: 'traces.operations',
  signal: 'traces',
  execute: (store, tenant) => store.operations(tenant),
  merge(answers) {
    const counts = new Map<string, Operation>()
    for (const operation of answers.flat()) {
      const key = `${operation.service}\n${operation.name}`
      counts.set(key, { ...operation, spans: operation.spans + (counts.get(key)?.spans ?? 0) })
    }
    return [...counts.values()]
  },
}

export type TagScope = 'resource' | 'span' | 'event' | 'link' | 'instrumentation'

/** Names of attributes by scope, of the newest spans. */
export const tagsFragment: Kind<{ startMs: number; endMs: number; query: string }, Record<TagScope, string[]>> = {
  name: 'traces.tags',
  signal: 'traces',
  *execute(store, tenant, { startMs, endMs, query }) {
    const names = {
      resource: new Set<string>(),
      span: new Set<string>(),
      event: new Set<string>(),
      link: new Set<string>(),
      instrumentation: new Set<string>(),
    }
    const add = (scope: TagScope, attributes: readonly Attribute[]): void => {
      for (const { key } of attributes) if (names[scope].size < TAGS_MAX) names[scope].add(key)
    }
    yield* forNewestSpans(store, tenant, startMs, endMs, query, (span) => {
      for (const scope of SCOPES) for (const attributes of attributesIn(span, scope)) add(scope, attributes)
    })
    return Object.fromEntries(SCOPES.map((scope) => [scope, [...names[scope]]])) as unknown as Record<TagScope, string[]>
  },
  merge: (answers) =>
    Object.fromEntries(
      SCOPES.map((scope) => [scope, [...new Set(answers.flatMap((answer) => answer[scope]))].sort()]),
    ) as unknown as Record<TagScope, string[]>,
}

export interface TagValue {
  readonly type: 'string' | 'int' | 'float' | 'bool'
  readonly value: string
}

/** Values of an attribute, of the newest spans; `scope` undefined: resource and span. */
export const tagValuesFragment: Kind<
  { startMs: number; endMs: number; query: string; scope: TagScope | undefined; name: string; limit: number },
  TagValue[]
> = {
  name: 'traces.tagValues',
  signal: 'traces',
  *execute(store, tenant, { startMs, endMs, query, scope, name, limit }) {
    const values = new Map<string, TagValue>()
    const scopes: readonly TagScope[] = scope === undefined ? ['resource', 'span'] : [scope]
    yield* forNewestSpans(store, tenant, startMs, endMs, query, (span) => {
      for (const attributes of scopes.flatMap((one) => attributesIn(span, one))) {
        const found = attributes.find((attribute) => attribute.key === name)
        if (found === undefined || values.size >= limit) continue
        const type = found.type === 'int' || found.type === 'bool' ? found.type : found.type === 'double' ? 'float' : 'string'
        values.set(`${type} ${String(found.value)}`, { type, value: String(found.value) })
      }
    })
    return [...values.values()]
  },
  merge(answers, { limit }) {
    const values = new Map(answers.flat().map((value) => [`${value.type} ${value.value}`, value]))
    return [...values.values()].sort((a, b) => (a.value < b.value ? -1 : 1)).slice(0, limit)
  },
}

export interface Dependency {
  readonly parent: string
  readonly child: string
  readonly calls: number
}

/** Calls between services, of the newest traces in the range. */
export const dependenciesFragment: Kind<{ startMs: number; endMs: number }, Dependency[]> = {
  name: 'traces.dependencies',
  signal: 'traces',
  *execute(store, tenant, { startMs, endMs }) {
    const calls = new Map<string, Dependency>()
    let traces = 0
    for (const trace of store.scan(tenant, { startMs, endMs, conditions: {} })) {
      yield
      if (trace === undefined) continue
      if (++traces > DEPENDENCY_TRACES_MAX) break
      const byId = new Map(trace.spans.map((span) => [span.spanId, span]))
      for (const span of trace.spans) {
        const parent = byId.get(span.parentId)
        if (parent !== undefined && parent.service !== span.service) addCall(calls, parent.service, span.service, 1)
      }
    }
    return [...calls.values()]
  },
  merge(answers) {
    const calls = new Map<string, Dependency>()
    for (const { parent, child, calls: count } of answers.flat()) addCall(calls, parent, child, count)
    return [...calls.values()]
  },
}

const SCOPES: readonly TagScope[] = ['resource', 'span', 'event', 'link', 'instrumentation']
/** Names of one scope in one answer. */
const TAGS_MAX = 5000
/** Spans that tags and their values are read from, in each partition. */
const TAG_SPANS_MAX = 20_000
const DEPENDENCY_TRACES_MAX = 20_000

function addCall(calls: Map<string, Dependency>, parent: string, child: string, count: number): void {
  const key = `${parent}\n${child}`
  calls.set(key, { parent, child, calls: (calls.get(key)?.calls ?? 0) + count })
}

function* forNewestSpans(
  store: TraceStore,
  tenant: string,
  startMs: number,
  endMs: number,
  query: string,
  visit: (span: SpanView) => void,
): Task<void> {
  const compiled = compileQuery(query)
  let spans = 0
  for (const trace of store.scan(tenant, { startMs, endMs, conditions: compiled.conditions })) {
    yield
    if (trace === undefined || compiled.match(contextOf(trace)).length === 0) continue
    for (const span of trace.spans) visit(span)
    spans += trace.spans.length
    if (spans > TAG_SPANS_MAX) return
  }
}

function attributesIn(span: SpanView, scope: TagScope): (readonly Attribute[])[] {
  switch (scope) {
    case 'resource':
      return [span.resource()]
    case 'span':
      return [span.attributes()]
    case 'instrumentation':
      return [span.scope().attributes]
    case 'event':
      return span.events().map((event) => event.attributes)
    case 'link':
      return span.links().map((link) => link.attributes)
  }
}
