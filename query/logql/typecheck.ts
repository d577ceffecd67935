/** What the grammar allows and the language doesn't: parameters, groupings and unwraps that an aggregation can't have. */
import type { RangeAggregation, RangeOp, VectorAggregation } from './ast.ts'
import { parseError } from './errors.ts'

const GROUPABLE: readonly RangeOp[] = [
  'avg_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'quantile_over_time',
  'max_over_time',
  'min_over_time',
  'first_over_time',
  'last_over_time',
]
const COUNTS_LINES: readonly RangeOp[] = ['count_over_time', 'bytes_over_time', 'bytes_rate']
const EITHER: readonly RangeOp[] = ['rate', 'absent_over_time']

export function checkRange(text: string, node: RangeAggregation): RangeAggregation {
  const { op } = node
  if (op === 'quantile_over_time' && node.parameter === undefined)
    throw parseError(text, 'parameter required for operation quantile_over_time')
  if (op !== 'quantile_over_time' && node.parameter !== undefined)
    throw parseError(text, `parameter ${node.parameter} not supported for operation ${op}`)
  if (node.grouping !== undefined && !GROUPABLE.includes(op)) throw parseError(text, `grouping not allowed for ${op} aggregation`)
  if (node.unwrap !== undefined && COUNTS_LINES.includes(op)) throw parseError(text, `invalid aggregation ${op} with unwrap`)
  if (node.unwrap === undefined && !COUNTS_LINES.includes(op) && !EITHER.includes(op))
    throw parseError(text, `invalid aggregation ${op} without unwrap`)
  return node
}

const PARAMETRISED: readonly string[] = ['topk', 'bottomk', 'approx_topk']

export function checkAggregation(text: string, node: VectorAggregation, parameterText: string | undefined): VectorAggregation {
  const { op } = node
  if (!PARAMETRISED.includes(op)) {
    if (parameterText !== undefined) throw parseError(text, `unsupported parameter for operation ${op}(${parameterText},`)
    if ((op === 'sort' || op === 'sort_desc') && node.grouping !== undefined)
      throw parseError(text, `grouping not allowed for ${op} aggregation`)
    return node
  }
  if (parameterText === undefined) throw parseError(text, `parameter required for operation ${op}`)
  if (!/^\d+$/.test(parameterText)) throw parseError(text, `invalid parameter ${op}(${parameterText},`)
  const parameter = Number(parameterText)
  if (parameter < 1) throw parseError(text, `invalid parameter (must be greater than 0) ${op}(${parameterText}`)
  if (op === 'approx_topk' && node.grouping !== undefined) throw parseError(text, 'grouping not allowed for approx_topk aggregation')
  return { ...node, parameter }
}
