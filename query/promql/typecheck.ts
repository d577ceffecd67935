/** Types of a parsed tree, checked in the order and with the messages of Prometheus' `checkAST`. */
import { METRIC_NAME } from '../../lib/model/index.ts'
import { COMPARISON_OPERATORS, SET_OPERATORS, type BinaryExpr, type Call, type Expr, type ValueType, type VectorSelector } from './ast.ts'
import { parseError } from './parse-error.ts'
import { FUNCTION_SIGNATURES } from './signatures.ts'
import { quote } from './strings.ts'

const DOCUMENTED: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  vector: 'instant vector',
  matrix: 'range vector',
  string: 'string',
  none: 'none',
}

export function typeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar'
    case 'string':
      return 'string'
    case 'vectorSelector':
    case 'aggregate':
      return 'vector'
    case 'matrixSelector':
    case 'subquery':
      return 'matrix'
    case 'call':
      return FUNCTION_SIGNATURES.get(expr.name)!.returns
    case 'binary':
      return typeOf(expr.lhs) === 'scalar' && typeOf(expr.rhs) === 'scalar' ? 'scalar' : 'vector'
    case 'unary':
    case 'paren':
      return typeOf(expr.expr)
  }
}

/**
 * The tree with its binary expressions settled: no matching where an operand is a scalar, many-to-many for set operators.
 * @throws bad_data at the first error
 */
export function checkTypes(query: string, expr: Expr): Expr {
  return new Checker(query).check(expr).expr
}

interface Checked {
  readonly expr: Expr
  readonly type: ValueType
}

class Checker {
  readonly #query: string

  constructor(query: string) {
    this.#query = query
  }

  #fail(offset: number, message: string): never {
    throw parseError(this.#query, offset, message)
  }

  check(expr: Expr): Checked {
    switch (expr.kind) {
      case 'number':
        return { expr, type: 'scalar' }
      case 'string':
        return { expr, type: 'string' }
      case 'vectorSelector':
        this.#selector(expr)
        return { expr, type: 'vector' }
      case 'matrixSelector':
        this.#selector(expr.selector)
        return { expr, type: 'matrix' }
      case 'paren': {
        const inner = this.check(expr.expr)
        return { expr: { ...expr, expr: inner.expr }, type: inner.type }
      }
      case 'unary': {
        const inner = this.check(expr.expr)
        if (inner.type !== 'scalar' && inner.type !== 'vector') {
          this.#fail(
            expr.start,
            `unary expression only allowed on expressions of type scalar or instant vector, got ${quote(DOCUMENTED[inner.type])}`,
          )
        }
        return { expr: { ...expr, expr: inner.expr }, type: inner.type }
      }
      case 'subquery': {
        const inner = this.check(expr.expr)
        if (inner.type !== 'vector') this.#fail(expr.start, `subquery is only allowed on instant vector, got ${inner.type} instead`)
        return { expr: { ...expr, expr: inner.expr }, type: 'matrix' }
      }
      case 'aggregate': {
        const inner = this.#expect(expr.expr, 'vector', 'aggregation expression')
        if (expr.param === undefined) return { expr: { ...expr, expr: inner }, type: 'vector' }
        const wanted = expr.op === 'count_values' ? 'string' : 'scalar'
        const param = this.#expect(expr.param, wanted, 'aggregation parameter')
        return { expr: { ...expr, expr: inner, param }, type: 'vector' }
      }
      case 'call':
        return this.#call(expr)
      case 'binary':
        return this.#binary(expr)
    }
  }

  #expect(expr: Expr, wanted: ValueType, context: string): Expr {
    const checked = this.check(expr)
    if (checked.type !== wanted)
      this.#fail(expr.start, `expected type ${DOCUMENTED[wanted]} in ${context}, got ${DOCUMENTED[checked.type]}`)
    return checked.expr
  }

  #selector(selector: VectorSelector): void {
    if (selector.name !== '') {
      const twice = selector.matchers.slice(0, -1).find((matcher) => matcher.name === METRIC_NAME)
      if (twice !== undefined) {
        this.#fail(selector.start, `metric name must not be set twice: ${quote(selector.name)} or ${quote(twice.value)}`)
      }
      return
    }
    if (selector.matchers.every((matcher) => matcher.matches(''))) {
      this.#fail(selector.start, 'vector selector must contain at least one non-empty matcher')
    }
  }

  #call(call: Call): Checked {
    const signature = FUNCTION_SIGNATURES.get(call.name)!
    const wanted = signature.args.length
    const got = call.args.length
    const tail = `argument(s) in call to ${quote(call.name)}, got ${got}`
    if (signature.variadic === 0) {
      if (got !== wanted) this.#fail(call.start, `expected ${wanted} ${tail}`)
    } else {
      const least = wanted - 1
      if (got < least) this.#fail(call.start, `expected at least ${least} ${tail}`)
      const most = least + signature.variadic
      if (signature.variadic > 0 && got > most) this.#fail(call.start, `expected at most ${most} ${tail}`)
    }
    const context = `call to function ${quote(call.name)}`
    const args = call.args.map((arg, i) => {
      if (call.name === 'info' && i === 1) return this.#infoSelector(call, arg, context)
      return this.#expect(arg, signature.args[Math.min(i, wanted - 1)]!, context)
    })
    return { expr: { ...call, args }, type: signature.returns }
  }

  #infoSelector(call: Call, arg: Expr, context: string): Expr {
    if (typeOf(arg) !== 'vector') this.#fail(call.start, `expected type instant vector in ${context}, got ${DOCUMENTED[typeOf(arg)]}`)
    if (arg.kind !== 'vectorSelector' || arg.name !== '')
      this.#fail(arg.start, 'expected label selectors only, got vector selector instead')
    return arg
  }

  #binary(expr: BinaryExpr): Checked {
    const lhs = this.check(expr.lhs)
    const rhs = this.check(expr.rhs)
    const operatorAt = this.#operatorStart(expr)
    const scalars = lhs.type === 'scalar' && rhs.type === 'scalar'
    const isComparison = COMPARISON_OPERATORS.has(expr.op)
    const isSet = SET_OPERATORS.has(expr.op)
    const matching = expr.matching!
    if (expr.returnBool && !isComparison) this.#fail(operatorAt, 'bool modifier can only be used on comparison operators')
    if (isComparison && !expr.returnBool && scalars) this.#fail(operatorAt, 'comparisons between scalars must use BOOL modifier')
    if (matching.on) {
      const twice = matching.labels.find((label) => matching.include.includes(label))
      if (twice !== undefined) this.#fail(operatorAt, `label ${quote(twice)} must not occur in ON and GROUP clause at once`)
    }
    for (const [side, type] of [[expr.lhs, lhs.type] as const, [expr.rhs, rhs.type] as const]) {
      if (type !== 'scalar' && type !== 'vector')
        this.#fail(side.start, 'binary expression must contain only scalar and instant vector types')
    }
    const type: ValueType = scalars ? 'scalar' : 'vector'
    const hasFill = matching.fillLeft !== undefined || matching.fillRight !== undefined
    if (lhs.type !== 'vector' || rhs.type !== 'vector') {
      if (matching.labels.length > 0 || hasFill) this.#fail(expr.start, 'vector matching only allowed between instant vectors')
      if (isSet) this.#fail(expr.start, `set operator ${quote(expr.op)} not allowed in binary scalar expression`)
      const { matching: _none, ...rest } = expr
      return { expr: { ...rest, lhs: lhs.expr, rhs: rhs.expr }, type }
    }
    if (!isSet) return { expr: { ...expr, lhs: lhs.expr, rhs: rhs.expr }, type }
    if (matching.card !== 'one-to-one') this.#fail(expr.start, `no grouping allowed for ${quote(expr.op)} operation`)
    if (hasFill) this.#fail(expr.start, 'filling in missing series not allowed for set operators')
    return { expr: { ...expr, lhs: lhs.expr, rhs: rhs.expr, matching: { ...matching, card: 'many-to-many' } }, type }
  }

  /** The first character after the left operand that is no blank. */
  #operatorStart(expr: BinaryExpr): number {
    let at = expr.lhs.end
    while (at < this.#query.length && /\s/.test(this.#query[at]!)) at++
    return at
  }
}
