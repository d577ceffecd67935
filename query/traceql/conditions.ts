/**
 * What a store can use of a query: conditions that at least one span of every matching trace fulfils. Taken from the conjunction of the first span filter;
 * where the query begins with anything but a filter that every match passes, there are none.
 */
import type { TraceConditions } from '../store/index.ts'
import type { AttributeRef, FieldExpr, Intrinsic, Pipeline, Spanset, Stage, Static } from './ast.ts'

type Mutable = { -readonly [K in keyof TraceConditions]: TraceConditions[K] }

export function conditionsOf(pipeline: Pipeline): TraceConditions {
  const filter = firstFilter(pipeline.stages[0])
  const out: Mutable = {}
  const needles: string[] = []
  if (filter !== undefined) for (const part of conjuncts(filter)) addCondition(part, out, needles)
  return needles.length === 0 ? out : { ...out, needles }
}

/** Fields that the query names: shown with each matching span. */
export function fieldsOf(pipeline: Pipeline): (AttributeRef | Intrinsic)[] {
  const out: (AttributeRef | Intrinsic)[] = []
  const visitField = (expr: FieldExpr): void => {
    if (expr.kind === 'attribute' || expr.kind === 'intrinsic') out.push(expr)
    else if (expr.kind === 'unary') visitField(expr.expr)
    else if (expr.kind === 'binary') {
      visitField(expr.left)
      visitField(expr.right)
    }
  }
  const visit = (stage: Stage): void => {
    if (stage.kind === 'filter') visitField(stage.expr)
    else if (stage.kind === 'by') visitField(stage.expr)
    else if (stage.kind === 'select') out.push(...stage.fields)
    else if (stage.kind === 'pipeline') stage.stages.forEach(visit)
    else if (stage.kind === 'spansetBinary') {
      visit(stage.left)
      visit(stage.right)
    }
  }
  pipeline.stages.forEach(visit)
  return out
}

/** The filter that some span of each match passes. A `!` operator keeps the right side only, `||` promises neither. */
function firstFilter(stage: Stage | undefined): FieldExpr | undefined {
  if (stage === undefined) return undefined
  if (stage.kind === 'filter') return stage.expr
  if (stage.kind === 'pipeline') return firstFilter(stage.stages[0])
  if (stage.kind !== 'spansetBinary' || stage.op === '||') return undefined
  return firstFilter((stage.op.startsWith('!') ? stage.right : stage.left) satisfies Spanset)
}

function conjuncts(expr: FieldExpr): FieldExpr[] {
  return expr.kind === 'binary' && expr.op === '&&' ? [...conjuncts(expr.left), ...conjuncts(expr.right)] : [expr]
}

function addCondition(expr: FieldExpr, out: Mutable, needles: string[]): void {
  if (expr.kind !== 'binary' || expr.right.kind !== 'static') return
  const { left, op, right } = expr
  if (left.kind === 'intrinsic') return addIntrinsic(left, op, right, out)
  if (left.kind !== 'attribute' || op !== '=' || right.type !== 'string') return
  const text = String(right.value)
  if (left.scope === 'resource' && left.name === 'service.name') out.service = text
  else if (left.scope === 'span' || left.scope === 'resource' || left.scope === 'none') needles.push(text)
}

function addIntrinsic({ name }: Intrinsic, op: string, { value }: Static, out: Mutable): void {
  if (name === 'name' && op === '=' && typeof value === 'string') out.name = value
  if (typeof value !== 'number') return
  if (name === 'status' && op === '=') out.statusCode = value
  if (name === 'kind' && op === '=') out.kind = value
  if (name !== 'duration') return
  if (op === '>' || op === '>=' || op === '=') out.durationMinNs = Math.max(out.durationMinNs ?? -Infinity, value)
  if (op === '<' || op === '<=' || op === '=') out.durationMaxNs = Math.min(out.durationMaxNs ?? Infinity, value)
}
