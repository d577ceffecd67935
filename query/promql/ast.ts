/**
 * The syntax tree of a PromQL expression. Positions (`start`, `end`) are UTF-16 offsets into the query; `linePosition`
 * of `parse-error.ts` makes them the `line:column` in bytes that Prometheus prints.
 */
import type { Matcher } from '../../lib/model/index.ts'

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string' | 'none'

interface Node {
  readonly start: number
  readonly end: number
}

export interface NumberLiteral extends Node {
  readonly kind: 'number'
  readonly value: number
  /** Written as a duration (`5m`), and printed as one. */
  readonly duration: boolean
}

export interface StringLiteral extends Node {
  readonly kind: 'string'
  readonly value: string
}

export type DurationOperator = '+' | '-' | '*' | '/' | '%' | '^'

/** What a range, step or offset may be made of; numbers are seconds. */
export type DurationNode =
  | { readonly kind: 'number'; readonly value: number; readonly duration: boolean; readonly start: number; readonly end: number }
  | { readonly kind: 'call'; readonly name: 'step' | 'range' | 'min_of' | 'max_of'; readonly args: readonly DurationNode[] }
  | { readonly kind: 'negate'; readonly arg: DurationNode }
  | { readonly kind: 'paren'; readonly arg: DurationNode }
  | { readonly kind: 'binary'; readonly op: DurationOperator; readonly lhs: DurationNode; readonly rhs: DurationNode }

/** A literal duration, or an expression that is resolved once the query's range is known. */
export interface DurationValue {
  /** Milliseconds; 0 where `expr` is set. */
  readonly ms: number
  readonly expr?: DurationNode
  /** Where it begins in the query. */
  readonly start: number
}

/** The moment of an `@` modifier. */
export type AtModifier = { readonly kind: 'time'; readonly ms: number } | { readonly kind: 'start' | 'end' }

export interface VectorSelector extends Node {
  readonly kind: 'vectorSelector'
  /** The name before the braces, '' without one. */
  readonly name: string
  readonly matchers: readonly Matcher[]
  readonly offset?: DurationValue
  readonly at?: AtModifier
  readonly anchored: boolean
  readonly smoothed: boolean
}

export interface MatrixSelector extends Node {
  readonly kind: 'matrixSelector'
  readonly selector: VectorSelector
  readonly range: DurationValue
}

export interface SubqueryExpr extends Node {
  readonly kind: 'subquery'
  readonly expr: Expr
  readonly range: DurationValue
  readonly step?: DurationValue
  readonly offset?: DurationValue
  readonly at?: AtModifier
}

export interface Call extends Node {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expr[]
}

export interface AggregateExpr extends Node {
  readonly kind: 'aggregate'
  readonly op: string
  readonly expr: Expr
  readonly param?: Expr
  readonly without: boolean
  readonly grouping: readonly string[]
}

export type MatchCard = 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many'

export interface VectorMatching {
  readonly card: MatchCard
  readonly on: boolean
  readonly labels: readonly string[]
  readonly include: readonly string[]
  readonly fillLeft?: number
  readonly fillRight?: number
}

export interface BinaryExpr extends Node {
  readonly kind: 'binary'
  readonly op: string
  readonly lhs: Expr
  readonly rhs: Expr
  readonly returnBool: boolean
  /** Absent where an operand is a scalar. */
  readonly matching?: VectorMatching
}

export interface UnaryExpr extends Node {
  readonly kind: 'unary'
  readonly op: '+' | '-'
  readonly expr: Expr
}

export interface ParenExpr extends Node {
  readonly kind: 'paren'
  readonly expr: Expr
}

export type Expr =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | SubqueryExpr
  | Call
  | AggregateExpr
  | BinaryExpr
  | UnaryExpr
  | ParenExpr

export const SET_OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'unless'])
export const COMPARISON_OPERATORS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])

/** The expressions directly inside one. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'number':
    case 'string':
    case 'vectorSelector':
      return []
    case 'matrixSelector':
      return [expr.selector]
    case 'subquery':
    case 'unary':
    case 'paren':
      return [expr.expr]
    case 'call':
      return expr.args
    case 'aggregate':
      return expr.param === undefined ? [expr.expr] : [expr.param, expr.expr]
    case 'binary':
      return [expr.lhs, expr.rhs]
  }
}

/** The expression without the parentheses around it. */
export function unwrapParens(expr: Expr): Expr {
  let at = expr
  while (at.kind === 'paren') at = at.expr
  return at
}
