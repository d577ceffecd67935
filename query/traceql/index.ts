/**
 * TraceQL over whole traces. `compileQuery` parses and checks a query; `match` runs it on one trace, which the store hands over whole because a trace lies in
 * one partition. `conditions` is what the store can use to pass traces over.
 *
 * Contract: Tempo's behaviour for searches; metrics (`| rate()` …), `parent.` and scalar filters between two aggregates answer with an error that names
 * them. Limits: query length, nesting.
 */
import type { SpanView, TraceConditions } from '../store/index.ts'
import type { AttributeRef, Intrinsic } from './ast.ts'
import { conditionsOf, fieldsOf } from './conditions.ts'
import { evaluate, type MatchedSpans } from './evaluate.ts'
import { parse } from './parser.ts'
import { validate } from './validate.ts'
import { contextOf, fieldValues, Patterns, type TraceContext, type Value } from './values.ts'

export type { MatchedSpans, TraceContext, Value }
export { contextOf }

export interface CompiledQuery {
  readonly conditions: TraceConditions
  /** Spansets of the trace that are left at the end; none = no match. */
  match(context: TraceContext): readonly MatchedSpans[]
  /** The attributes a query names, as a span has them: shown beside it. Intrinsics are left out. */
  shownAttributes(span: SpanView, context: TraceContext): { readonly key: string; readonly value: Exclude<Value, null> }[]
}

/** Errors: bad_data, with position or cause. */
export function compileQuery(query: string): CompiledQuery {
  const pipeline = parse(query.trim() === '' ? '{}' : query)
  validate(pipeline)
  const patterns = new Patterns()
  const fields = fieldsOf(pipeline)
  return {
    conditions: conditionsOf(pipeline),
    match: (context) => evaluate(pipeline, context, patterns),
    shownAttributes(span, context) {
      const out = new Map<string, Exclude<Value, null>>()
      for (const field of fields) {
        const [value] = fieldValues(field, span, context)
        if (value !== null && value !== undefined && isShown(field)) out.set(field.name, value)
      }
      return [...out].map(([key, value]) => ({ key, value }))
    },
  }
}

/** Fields every result has in places of their own. */
const OWN_PLACE: ReadonlySet<string> = new Set(['name', 'duration', 'spanId', 'traceId', 'traceDuration', 'rootName', 'rootServiceName'])

function isShown(field: AttributeRef | Intrinsic): boolean {
  return field.kind === 'attribute' || !OWN_PLACE.has(field.name)
}
