/** Which expressions storage may evaluate beside its data: a selector, a range function of one, an aggregation of either. */
import { METRIC_NAME } from '../../lib/model/index.ts'
import { unwrapParens, type Expr, type VectorSelector } from './ast.ts'
import type { Grid, NamePolicy } from './columns.ts'
import { gridEnd } from './columns.ts'
import { resolveDuration, type QueryRange } from './duration.ts'
import { RANGE_FUNCTIONS, rangeFunctionDropsName } from './functions/index.ts'
import type { RangeRequest } from './storage.ts'

export interface PushdownPlan {
  readonly request: RangeRequest
  /** Where remarks of the function belong. */
  readonly noteAt: number
  readonly dropsName: boolean
  readonly isNamed: boolean
}

interface PlanContext {
  readonly policy: NamePolicy
  readonly query: string
  readonly range: QueryRange
  readonly lookbackMs: number
}

/** Operations whose partial results can be folded again, any number of times. */
const AGGREGATES = new Set(['sum', 'count', 'min', 'max'])

export function rangeRequest(expr: Expr, grid: Grid, context: PlanContext): PushdownPlan | undefined {
  if (expr.kind === 'aggregate') {
    if (!AGGREGATES.has(expr.op) || context.policy.delayed || context.policy.metadataLabels) return undefined
    const inner = rangeRequest(unwrapParens(expr.expr), grid, context)
    if (inner === undefined || inner.request.aggregate !== undefined) return undefined
    if (inner.dropsName && !inner.isNamed) return undefined
    const aggregate = { op: expr.op, without: expr.without, grouping: expr.grouping }
    return { ...inner, request: { ...inner.request, aggregate }, dropsName: false }
  }
  const inner = unwrapParens(expr)
  if (inner.kind === 'vectorSelector') return planFor(inner, '', 0, inner.start, grid, context)
  if (inner.kind !== 'call' || inner.args.length !== 1 || !RANGE_FUNCTIONS.has(inner.name)) return undefined
  const argument = unwrapParens(inner.args[0]!)
  if (argument.kind !== 'matrixSelector') return undefined
  const rangeMs = resolveDuration(context.query, argument.range, context.range, true)
  return planFor(argument.selector, inner.name, rangeMs, inner.args[0]!.start, grid, context)
}

function planFor(
  selector: VectorSelector,
  func: string,
  rangeMs: number,
  noteAt: number,
  grid: Grid,
  context: PlanContext,
): PushdownPlan | undefined {
  if (selector.at !== undefined || selector.anchored || selector.smoothed || grid.count === 0) return undefined
  const offsetMs = selector.offset === undefined ? 0 : resolveDuration(context.query, selector.offset, context.range, false)
  const { startMs, stepMs } = grid
  const request = {
    matchers: selector.matchers,
    func,
    rangeMs,
    offsetMs,
    startMs,
    endMs: gridEnd(grid),
    stepMs,
    lookbackMs: context.lookbackMs,
  }
  const isNamed = selector.matchers.some((matcher) => matcher.name === METRIC_NAME && matcher.op === '=')
  return { request, noteAt, dropsName: rangeFunctionDropsName(func), isNamed }
}
