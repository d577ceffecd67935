/** Values of fields on a span, and how they compare. */
import type { Attribute } from '../../lib/wire/otlp/common/index.ts'
import { compileRegexp, type Regexp } from '../../lib/regexp/index.ts'
import type { SpanView, TraceView } from '../store/index.ts'
import type { AttributeRef, FieldExpr, FieldOp, Intrinsic } from './ast.ts'

/** null = the field is missing (nil). */
export type Value = string | number | boolean | null

/** A trace with what intrinsics need of it, worked out once. */
export interface TraceContext {
  readonly trace: TraceView
  readonly byId: ReadonlyMap<string, SpanView>
  readonly childCount: ReadonlyMap<string, number>
  readonly root: SpanView | undefined
  readonly durationNs: number
  /** Nested set numbers of a depth-first walk, from 1; made when first asked for. */
  nestedSet(): ReadonlyMap<SpanView, NestedSet>
}

export interface NestedSet {
  readonly left: number
  readonly right: number
  /** `left` of the parent, −1 for a root. */
  readonly parent: number
}

export function contextOf(trace: TraceView): TraceContext {
  const byId = new Map(trace.spans.map((span) => [span.spanId, span]))
  const childCount = new Map<string, number>()
  for (const span of trace.spans) if (span.parentId !== '') childCount.set(span.parentId, (childCount.get(span.parentId) ?? 0) + 1)
  const startNs = (span: SpanView): number => span.startMs * 1e6 + span.startSubNs
  const first = trace.spans.reduce((min, span) => Math.min(min, startNs(span)), Infinity)
  const last = trace.spans.reduce((max, span) => Math.max(max, startNs(span) + span.durationNs), -Infinity)
  let nested: ReadonlyMap<SpanView, NestedSet> | undefined
  return {
    trace,
    byId,
    childCount,
    root: trace.spans.find((span) => span.parentId === ''),
    durationNs: Math.max(0, last - first),
    nestedSet: () => (nested ??= numberSpans(trace.spans, byId)),
  }
}

/** Without recursion: a trace may be as deep as it has spans. */
function numberSpans(spans: readonly SpanView[], byId: ReadonlyMap<string, SpanView>): Map<SpanView, NestedSet> {
  const children = new Map<SpanView | undefined, SpanView[]>()
  for (const span of spans) {
    const parent = byId.get(span.parentId)
    const key = parent === span ? undefined : parent
    children.set(key, [...(children.get(key) ?? []), span])
  }
  const out = new Map<SpanView, NestedSet>()
  const lefts = new Map<SpanView, number>()
  let next = 1
  const roots = (children.get(undefined) ?? []).filter((span) => span.parentId === '' || byId.get(span.parentId) === span)
  const stack = [...roots].reverse().map((span) => ({ span, parent: -1, isEnd: false }))
  while (stack.length > 0) {
    const { span, parent, isEnd } = stack.pop()!
    if (isEnd) {
      out.set(span, { left: lefts.get(span)!, right: next++, parent })
      continue
    }
    lefts.set(span, next++)
    stack.push({ span, parent, isEnd: true })
    for (const child of [...(children.get(span) ?? [])].reverse()) stack.push({ span: child, parent: lefts.get(span)!, isEnd: false })
  }
  return out
}

/** The values a field has on a span: several for events and links, none (nil) where it is missing. */
export function fieldValues(field: AttributeRef | Intrinsic, span: SpanView, context: TraceContext): readonly Value[] {
  return field.kind === 'intrinsic' ? intrinsicValues(field, span, context) : attributeValues(field, span)
}

function attributeValues({ scope, name }: AttributeRef, span: SpanView): readonly Value[] {
  switch (scope) {
    case 'span':
      return named(span.attributes(), name)
    case 'resource':
      return named(span.resource(), name)
    case 'instrumentation':
      return named(span.scope().attributes, name)
    case 'event':
      return orNil(span.events().flatMap((event) => present(event.attributes, name)))
    case 'link':
      return orNil(span.links().flatMap((link) => present(link.attributes, name)))
    case 'none': {
      const own = present(span.attributes(), name)
      return own.length > 0 ? own : named(span.resource(), name)
    }
  }
}

function present(attributes: readonly Attribute[], name: string): Value[] {
  const found = attributes.find((attribute) => attribute.key === name)
  return found === undefined || found.type === 'empty' ? [] : [found.value]
}

function named(attributes: readonly Attribute[], name: string): Value[] {
  return orNil(present(attributes, name))
}

function orNil(values: Value[]): Value[] {
  return values.length === 0 ? [null] : values
}

function intrinsicValues({ name }: Intrinsic, span: SpanView, context: TraceContext): readonly Value[] {
  switch (name) {
    case 'name':
      return [span.name]
    case 'kind':
      return [span.kind]
    case 'status':
      return [span.statusCode]
    case 'statusMessage':
      return [span.statusMessage]
    case 'duration':
      return [span.durationNs]
    case 'traceDuration':
      return [context.durationNs]
    case 'rootName':
      return [context.root?.name ?? null]
    case 'rootServiceName':
      return [context.root?.service ?? null]
    case 'childCount':
      return [context.childCount.get(span.spanId) ?? 0]
    case 'traceId':
      return [context.trace.traceId]
    case 'spanId':
      return [span.spanId]
    case 'parentId':
      return [span.parentId === '' ? null : span.parentId]
    case 'nestedSetLeft':
      return [context.nestedSet().get(span)?.left ?? 0]
    case 'nestedSetRight':
      return [context.nestedSet().get(span)?.right ?? 0]
    case 'nestedSetParent':
      return [context.nestedSet().get(span)?.parent ?? 0]
    case 'eventName':
      return orNil(span.events().map((event) => event.name))
    case 'eventTimeSinceStart':
      return orNil(span.events().map((event) => (event.timeMs - span.startMs) * 1e6 + event.subNs - span.startSubNs))
    case 'linkSpanId':
      return orNil(span.links().map((link) => link.spanId))
    case 'linkTraceId':
      return orNil(span.links().map((link) => link.traceId))
    case 'scopeName':
      return [span.scope().name]
    case 'scopeVersion':
      return [span.scope().version]
    case 'parent':
      return [null]
  }
}

/** Patterns of a query, compiled once. */
export class Patterns {
  readonly #compiled = new Map<string, Regexp>()

  test(pattern: string, text: string): boolean {
    let regexp = this.#compiled.get(pattern)
    if (regexp === undefined) this.#compiled.set(pattern, (regexp = compileRegexp(pattern, { anchored: true })))
    return regexp.test(text)
  }
}

/** The values of an expression on a span; a comparison is true where it holds for any pair of values. */
export function evaluateField(expr: FieldExpr, span: SpanView, context: TraceContext, patterns: Patterns): readonly Value[] {
  switch (expr.kind) {
    case 'static':
      return [expr.value]
    case 'attribute':
    case 'intrinsic':
      return fieldValues(expr, span, context)
    case 'unary': {
      const values = evaluateField(expr.expr, span, context, patterns)
      return values.map((value) =>
        expr.op === '!' ? (typeof value === 'boolean' ? !value : null) : typeof value === 'number' ? -value : null,
      )
    }
    case 'binary': {
      const { op } = expr
      if (op === '&&') return [isTrue(expr.left, span, context, patterns) && isTrue(expr.right, span, context, patterns)]
      if (op === '||') return [isTrue(expr.left, span, context, patterns) || isTrue(expr.right, span, context, patterns)]
      const left = evaluateField(expr.left, span, context, patterns)
      const right = evaluateField(expr.right, span, context, patterns)
      if (isArithmetic(op)) return [calculate(op, left[0]!, right[0]!)]
      return [left.some((a) => right.some((b) => compare(op, a, b, patterns)))]
    }
  }
}

export function isTrue(expr: FieldExpr, span: SpanView, context: TraceContext, patterns: Patterns): boolean {
  return evaluateField(expr, span, context, patterns).includes(true)
}

type ArithmeticOp = '+' | '-' | '*' | '/' | '%' | '^'

function isArithmetic(op: FieldOp): op is ArithmeticOp {
  return op === '+' || op === '-' || op === '*' || op === '/' || op === '%' || op === '^'
}

export function calculate(op: ArithmeticOp, a: Value, b: Value): number | null {
  if (typeof a !== 'number' || typeof b !== 'number') return null
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a % b
    case '^':
      return a ** b
  }
}

/** A missing field compares with nil only; values of different types are neither equal nor unequal. */
export function compare(op: FieldOp, a: Value, b: Value, patterns: Patterns): boolean {
  if (a === null || b === null) return op === '=' ? a === b : op === '!=' && a !== b && (a === null ? false : b === null)
  if (op === '=~' || op === '!~') {
    if (typeof a !== 'string' || typeof b !== 'string') return false
    return patterns.test(b, a) === (op === '=~')
  }
  if (typeof a !== typeof b) return false
  switch (op) {
    case '=':
      return a === b
    case '!=':
      return a !== b
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
    default:
      return false
  }
}
