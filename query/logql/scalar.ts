/** Arithmetic and comparisons of two numbers, and of two literals while parsing. */
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { BinaryExpr, BinaryOp, SampleExpr } from './ast.ts'

export const isSetOp = (op: BinaryOp): boolean => op === 'and' || op === 'or' || op === 'unless'
export const isComparison = (op: BinaryOp): boolean => ['==', '!=', '>', '>=', '<', '<='].includes(op)

/** Of a comparison 1 or 0. A zero divisor gives NaN whatever the dividend, as in Loki's `MergeBinOp`. */
export function applyOp(op: BinaryOp, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return b === 0 ? Number.NaN : a / b
    case '%':
      return b === 0 ? Number.NaN : a % b
    case '^':
      // Go's Pow(1, y) is 1 for every y; JavaScript's is NaN for NaN and infinities.
      return a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b
    case '==':
      return a === b ? 1 : 0
    case '!=':
      return a !== b ? 1 : 0
    case '>':
      return a > b ? 1 : 0
    case '>=':
      return a >= b ? 1 : 0
    case '<':
      return a < b ? 1 : 0
    case '<=':
      return a <= b ? 1 : 0
    default:
      throw new SightlineError('internal', `BUG: ${op} is no operator of numbers`)
  }
}

export function reduceLiterals(expr: BinaryExpr): SampleExpr {
  const { op, left, right } = expr
  for (const [side, leg] of [
    ['left', left],
    ['right', right],
  ] as const) {
    if (isSetOp(op) && leg.kind === 'literal') {
      throw new SightlineError(
        'bad_data',
        `parse error : unexpected literal for ${side} leg of logical/set binary operation (${op}): ${leg.value.toFixed(6)}`,
      )
    }
  }
  return left.kind === 'literal' && right.kind === 'literal' ? { kind: 'literal', value: applyOp(op, left.value, right.value) } : expr
}
