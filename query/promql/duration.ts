/** Duration expressions resolved: `[1h/2]`, `offset (step() * 2)`. */
import type { DurationNode, DurationValue } from './ast.ts'
import { parseError } from './parse-error.ts'

export interface QueryRange {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
}

/**
 * Milliseconds of a range, step or offset.
 * @param positive ranges and steps must be above 0
 * @throws bad_data: division by zero, out of range, not positive
 */
export function resolveDuration(query: string, value: DurationValue, range: QueryRange, positive: boolean): number {
  if (value.expr === undefined) return value.ms
  const seconds = evaluate(query, value.expr, range, value.start)
  if (positive && seconds <= 0) throw parseError(query, value.start, 'duration must be greater than 0')
  if (!Number.isFinite(seconds) || Math.abs(seconds) >= 2 ** 63 / 1e9) throw parseError(query, value.start, 'duration out of range')
  return Math.round(seconds * 1000)
}

function evaluate(query: string, node: DurationNode, range: QueryRange, start: number): number {
  switch (node.kind) {
    case 'number':
      return node.value
    case 'paren':
      return evaluate(query, node.arg, range, start)
    case 'negate':
      return -evaluate(query, node.arg, range, start)
    case 'call': {
      if (node.name === 'step') return range.stepMs / 1000
      if (node.name === 'range') return (range.endMs - range.startMs) / 1000
      const values = node.args.map((arg) => evaluate(query, arg, range, start))
      return node.name === 'min_of' ? Math.min(...values) : Math.max(...values)
    }
    case 'binary': {
      const lhs = evaluate(query, node.lhs, range, start)
      const rhs = evaluate(query, node.rhs, range, start)
      if (rhs === 0 && node.op === '/') throw parseError(query, start, 'division by zero')
      if (rhs === 0 && node.op === '%') throw parseError(query, start, 'modulo by zero')
      switch (node.op) {
        case '+':
          return lhs + rhs
        case '-':
          return lhs - rhs
        case '*':
          return lhs * rhs
        case '/':
          return lhs / rhs
        case '%':
          return lhs % rhs
        case '^':
          return lhs ** rhs
      }
    }
  }
}
