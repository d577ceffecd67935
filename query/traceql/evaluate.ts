/**
 * A pipeline on one whole trace: spansets in, spansets out. A trace matches where any spanset is left at the end.
 */
import type { SpanView } from '../store/index.ts'
import type { CompareOp, FieldExpr, Pipeline, ScalarExpr, Spanset, SpansetOp, Stage } from './ast.ts'
import { calculate, compare, evaluateField, isTrue, type Patterns, type TraceContext, type Value } from './values.ts'

/** Spans of one trace that belong together, by start. */
export interface MatchedSpans {
  readonly spans: readonly SpanView[]
  /** What `by()` grouped by, as text and value; '' before any grouping. */
  readonly groups: readonly { readonly name: string; readonly value: Value }[]
  /** Results of aggregates, by their text: `count()`. */
  readonly scalars: readonly { readonly name: string; readonly value: number }[]
}

export function evaluate(pipeline: Pipeline, context: TraceContext, patterns: Patterns): readonly MatchedSpans[] {
  let sets: readonly MatchedSpans[] = [{ spans: context.trace.spans, groups: [], scalars: [] }]
  for (const stage of pipeline.stages) {
    sets = sets.flatMap((set) => runStage(stage, set, context, patterns))
    if (stage.kind === 'coalesce' && sets.length > 0) sets = [{ spans: unique(sets.flatMap((set) => set.spans)), groups: [], scalars: [] }]
    if (sets.length === 0) return []
  }
  return sets
}

function runStage(stage: Stage, set: MatchedSpans, context: TraceContext, patterns: Patterns): readonly MatchedSpans[] {
  switch (stage.kind) {
    case 'select':
    case 'coalesce':
      return [set]
    case 'by': {
      const groups = new Map<Value, SpanView[]>()
      for (const span of set.spans) {
        const value = evaluateField(stage.expr, span, context, patterns)[0]!
        groups.set(value, [...(groups.get(value) ?? []), span])
      }
      const name = `by(${textOf(stage.expr)})`
      return [...groups].map(([value, spans]) => ({ ...set, spans, groups: [...set.groups, { name, value }] }))
    }
    case 'scalarFilter': {
      const value = scalarOf(stage.left, set, context, patterns)
      const limit = scalarOf(stage.right, set, context, patterns)
      if (value === null || limit === null || !compare(stage.op satisfies CompareOp, value, limit, patterns)) return []
      const name =
        stage.left.kind === 'aggregate' ? `${stage.left.op}(${stage.left.expr === undefined ? '' : textOf(stage.left.expr)})` : ''
      return [name === '' ? set : { ...set, scalars: [...set.scalars, { name, value }] }]
    }
    default: {
      const spans = spansOf(stage, set.spans, context, patterns)
      return spans.length === 0 ? [] : [{ ...set, spans }]
    }
  }
}

function spansOf(spanset: Spanset, input: readonly SpanView[], context: TraceContext, patterns: Patterns): readonly SpanView[] {
  if (spanset.kind === 'filter') return input.filter((span) => isTrue(spanset.expr, span, context, patterns))
  if (spanset.kind === 'pipeline') {
    let sets: readonly MatchedSpans[] = [{ spans: input, groups: [], scalars: [] }]
    for (const stage of spanset.stages) sets = sets.flatMap((set) => runStage(stage, set, context, patterns))
    return unique(sets.flatMap((set) => set.spans))
  }
  const left = spansOf(spanset.left, input, context, patterns)
  const right = spansOf(spanset.right, input, context, patterns)
  return combine(spanset.op, left, right, context)
}

/** The spans that a spanset operator keeps. Structural operators keep those of the right side, with `&` those of both. */
function combine(op: SpansetOp, left: readonly SpanView[], right: readonly SpanView[], context: TraceContext): readonly SpanView[] {
  if (op === '&&') return left.length > 0 && right.length > 0 ? unique([...left, ...right]) : []
  if (op === '||') return unique([...left, ...right])
  const relation = RELATIONS[op.replace(/^[!&]/, '')]!
  const related = right.filter((span) => left.some((other) => other !== span && relation(other, span, context)))
  if (op.startsWith('!')) {
    const hit = new Set(related)
    return right.filter((span) => !hit.has(span))
  }
  if (!op.startsWith('&')) return related
  const partners = left.filter((span) => right.some((other) => other !== span && relation(span, other, context)))
  return unique([...partners, ...related])
}

type Relation = (left: SpanView, right: SpanView, context: TraceContext) => boolean

/** `A > B`: A is the parent of B. `A < B`: A is a child of B. `A ~ B`: they have the same parent. */
const RELATIONS: Readonly<Record<string, Relation>> = {
  '>': (left, right) => right.parentId === left.spanId,
  '>>': (left, right, context) => isAncestor(left, right, context),
  '<': (left, right) => left.parentId === right.spanId,
  '<<': (left, right, context) => isAncestor(right, left, context),
  '~': (left, right) => left.parentId !== '' && left.parentId === right.parentId,
}

function isAncestor(ancestor: SpanView, span: SpanView, { byId, trace }: TraceContext): boolean {
  let at = byId.get(span.parentId)
  // As many steps as there are spans: parent ids may form a ring.
  for (let steps = 0; at !== undefined && steps < trace.spans.length; steps++) {
    if (at === ancestor) return true
    at = byId.get(at.parentId)
  }
  return false
}

function scalarOf(expr: ScalarExpr, set: MatchedSpans, context: TraceContext, patterns: Patterns): number | null {
  switch (expr.kind) {
    case 'static':
      return typeof expr.value === 'number' ? expr.value : null
    case 'scalarBinary':
      return calculate(expr.op, scalarOf(expr.left, set, context, patterns), scalarOf(expr.right, set, context, patterns))
    case 'pipeline':
      return null
    case 'aggregate': {
      if (expr.op === 'count') return set.spans.length
      const values = set.spans
        .flatMap((span) => evaluateField(expr.expr!, span, context, patterns))
        .filter((value) => typeof value === 'number')
      if (values.length === 0) return null
      const sum = values.reduce((total, value) => total + value, 0)
      if (expr.op === 'sum') return sum
      if (expr.op === 'avg') return sum / values.length
      return expr.op === 'min' ? values.reduce((a, b) => Math.min(a, b)) : values.reduce((a, b) => Math.max(a, b))
    }
  }
}

function unique(spans: readonly SpanView[]): SpanView[] {
  return [...new Set(spans)].sort((a, b) => a.startMs - b.startMs || a.startSubNs - b.startSubNs)
}

function textOf(expr: FieldExpr): string {
  switch (expr.kind) {
    case 'attribute':
      return `${expr.scope === 'none' ? '' : expr.scope}.${expr.name}`
    case 'intrinsic':
      return expr.text
    case 'static':
      return String(expr.value)
    case 'unary':
      return `${expr.op}${textOf(expr.expr)}`
    case 'binary':
      return `(${textOf(expr.left)} ${expr.op} ${textOf(expr.right)})`
  }
}
