/**
 * Types and what is not built. Source: Tempo's `ast_validate.go`: an attribute may be of any type, everything else has one.
 */
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { compileRegexp } from '../../lib/regexp/index.ts'
import {
  isConstant,
  type FieldExpr,
  type FieldOp,
  type IntrinsicName,
  type Pipeline,
  type ScalarExpr,
  type Spanset,
  type Stage,
  type StaticType,
} from './ast.ts'

type Type = StaticType | 'attribute'

const INTRINSIC_TYPES: Readonly<Record<IntrinsicName, Type>> = {
  name: 'string',
  kind: 'kind',
  status: 'status',
  statusMessage: 'string',
  duration: 'duration',
  traceDuration: 'duration',
  rootName: 'string',
  rootServiceName: 'string',
  nestedSetLeft: 'int',
  nestedSetRight: 'int',
  nestedSetParent: 'int',
  childCount: 'int',
  traceId: 'string',
  spanId: 'string',
  parentId: 'string',
  eventName: 'string',
  eventTimeSinceStart: 'duration',
  linkSpanId: 'string',
  linkTraceId: 'string',
  scopeName: 'string',
  scopeVersion: 'string',
  parent: 'nil',
}

const NUMERIC: readonly Type[] = ['int', 'float', 'duration', 'attribute']
const ARITHMETIC: readonly FieldOp[] = ['+', '-', '*', '/', '%', '^']
const ORDER: readonly FieldOp[] = ['<', '<=', '>', '>=']

/** Errors: bad_data for what has no meaning, and for what has one that is not built ("unsupported"). */
export function validate(pipeline: Pipeline): void {
  for (const stage of pipeline.stages) validateStage(stage)
}

function validateStage(stage: Stage): void {
  switch (stage.kind) {
    case 'by':
      typeOf(stage.expr)
      if (!referencesSpan(stage.expr)) throw invalid('grouping field expressions must reference the span')
      return
    case 'coalesce':
      return
    case 'select':
      for (const field of stage.fields) typeOf(field)
      return
    case 'scalarFilter':
      return validateScalarFilter(stage.left, stage.right)
    default:
      return validateSpanset(stage)
  }
}

function validateSpanset(spanset: Spanset): void {
  if (spanset.kind === 'pipeline') return validate(spanset)
  if (spanset.kind === 'spansetBinary') {
    validateSpanset(spanset.left)
    validateSpanset(spanset.right)
    return
  }
  const type = typeOf(spanset.expr)
  if (type !== 'bool' && type !== 'attribute') throw invalid('span filter field expressions must resolve to a boolean')
}

function validateScalarFilter(left: ScalarExpr, right: ScalarExpr): void {
  validateScalar(left)
  validateScalar(right)
  if (left.kind !== 'aggregate' || !isConstant(right)) throw unsupported('scalar filters other than an aggregate against a number')
}

function validateScalar(expr: ScalarExpr): void {
  if (expr.kind === 'static') return
  if (expr.kind === 'pipeline') return validate({ ...expr, stages: expr.stages.slice(0, -1) })
  if (expr.kind === 'scalarBinary') {
    validateScalar(expr.left)
    validateScalar(expr.right)
    return
  }
  if (expr.expr === undefined) return
  const type = typeOf(expr.expr)
  if (!NUMERIC.includes(type)) throw invalid(`aggregate field expressions must resolve to a number type: ${expr.op}()`)
  if (!referencesSpan(expr.expr)) throw invalid(`aggregate field expressions must reference the span: ${expr.op}()`)
}

function typeOf(expr: FieldExpr): Type {
  switch (expr.kind) {
    case 'static':
      return expr.type
    case 'attribute':
      if (expr.parent) throw unsupported('parent')
      return 'attribute'
    case 'intrinsic':
      if (expr.parent) throw unsupported('parent')
      return INTRINSIC_TYPES[expr.name]
    case 'unary':
      return unaryType(expr.op, typeOf(expr.expr))
    case 'binary':
      return binaryType(expr)
  }
}

function unaryType(op: '-' | '!', type: Type): Type {
  const fits = op === '-' ? NUMERIC.includes(type) : type === 'bool' || type === 'attribute'
  if (!fits) throw invalid(`illegal operation for the given type: ${op}${type}`)
  return op === '!' ? 'bool' : type
}

function binaryType(expr: FieldExpr & { kind: 'binary' }): Type {
  const { op, left, right } = expr
  const [a, b] = [typeOf(left), typeOf(right)]
  if (!fitsOperator(op, a, b)) throw invalid(`illegal operation for the given types: ${a} ${op} ${b}`)
  if (op === '=' && (a === 'nil' || b === 'nil')) checkNil(left, right)
  if (op === '=~' || op === '!~') checkPattern(right)
  if (ARITHMETIC.includes(op))
    return a === 'attribute' || b === 'attribute'
      ? 'attribute'
      : a === 'duration' || b === 'duration'
        ? 'duration'
        : a === 'int' && b === 'int'
          ? 'int'
          : 'float'
  return 'bool'
}

function fitsOperator(op: FieldOp, a: Type, b: Type): boolean {
  if (ARITHMETIC.includes(op)) return NUMERIC.includes(a) && NUMERIC.includes(b)
  if (op === '&&' || op === '||') return [a, b].every((type) => type === 'bool' || type === 'attribute')
  if (op === '=~' || op === '!~') return [a, b].every((type) => type === 'string' || type === 'attribute')
  const comparable = a === b || a === 'attribute' || b === 'attribute' || (NUMERIC.includes(a) && NUMERIC.includes(b))
  if (ORDER.includes(op)) return comparable && [a, b].every((type) => NUMERIC.includes(type) || type === 'string')
  return comparable || a === 'nil' || b === 'nil'
}

/** Intrinsics and the service's name are never nil. */
function checkNil(left: FieldExpr, right: FieldExpr): void {
  for (const expr of [left, right]) {
    const isService = expr.kind === 'attribute' && expr.scope === 'resource' && expr.name === 'service.name'
    if (expr.kind === 'intrinsic' || isService)
      throw invalid(`${expr.kind === 'intrinsic' ? expr.text : 'resource.service.name'} cannot be nil`)
  }
}

function checkPattern(expr: FieldExpr): void {
  if (expr.kind !== 'static' || typeof expr.value !== 'string')
    throw invalid('the right side of a regular expression match must be a string')
  try {
    compileRegexp(expr.value, { anchored: true })
  } catch (error) {
    throw invalid(`invalid regular expression: ${messageOf(error)}`)
  }
}

function referencesSpan(expr: FieldExpr): boolean {
  if (expr.kind === 'unary') return referencesSpan(expr.expr)
  if (expr.kind === 'binary') return referencesSpan(expr.left) || referencesSpan(expr.right)
  return expr.kind !== 'static'
}

function invalid(cause: string): SightlineError {
  return new SightlineError('bad_data', `invalid TraceQL query: ${cause}`)
}

function unsupported(what: string): SightlineError {
  return new SightlineError('bad_data', `unsupported in TraceQL: ${what} is not built yet`)
}
