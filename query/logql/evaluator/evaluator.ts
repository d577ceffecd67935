/** Walks a metric expression: leaves are asked of the queryable, everything else happens here on columns. */
import { compareLabels, EMPTY_LABELS, labelValue, labelsWith } from '../../../lib/model/index.ts'
import { compileRegexp } from '../../../lib/regexp/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { Grouping, LabelReplace, RangeAggregation, SampleExpr, VectorAggregation } from '../ast.ts'
import { isSetOp } from '../scalar.ts'
import type { Grid, LogsQueryable, ReadStats } from '../source.ts'
import { aggregate } from './aggregate.ts'
import { matchVectors, setOperation, withScalar } from './binary.ts'
import { finishSamples } from './range-result.ts'
import { emptySeries, hasAny, type StepSeries } from './series.ts'

export interface Evaluation {
  readonly queryable: LogsQueryable
  readonly grid: Grid
  readonly isInstant: boolean
  readonly cellsMax: number
  readonly signal: AbortSignal
  readonly stats: { lines: number; bytes: number }
}

/** A number where the expression is a literal. */
export async function evaluate(expr: SampleExpr, evaluation: Evaluation): Promise<number | StepSeries[]> {
  if (evaluation.signal.aborted) throw new SightlineError('canceled', 'cannot finish the query: it was cancelled')
  switch (expr.kind) {
    case 'literal':
      return expr.value
    case 'vector':
      return [constant(expr.value, evaluation.grid.count)]
    case 'range':
      return rangeSeries(expr, undefined, evaluation)
    case 'aggregate':
      return aggregation(expr, evaluation)
    case 'label_replace':
      return replaceLabel(expr, await vectorOf(expr.expr, evaluation))
    case 'binary': {
      const [left, right] = await Promise.all([evaluate(expr.left, evaluation), evaluate(expr.right, evaluation)])
      if (typeof left === 'number') return withScalar(expr, right as StepSeries[], left, false)
      if (typeof right === 'number') return withScalar(expr, left, right, true)
      if (isSetOp(expr.op)) return setOperation(expr.op, left, right, expr.matching)
      return matchVectors(expr, left, right, evaluation.grid.count)
    }
  }
}

function constant(value: number, count: number): StepSeries {
  const out = emptySeries(EMPTY_LABELS, count)
  out.values.fill(value)
  out.present.fill(1)
  return out
}

async function vectorOf(expr: SampleExpr, evaluation: Evaluation): Promise<StepSeries[]> {
  const result = await evaluate(expr, evaluation)
  return typeof result === 'number' ? [constant(result, evaluation.grid.count)] : result
}

async function rangeSeries(node: RangeAggregation, grouping: Grouping | undefined, evaluation: Evaluation): Promise<StepSeries[]> {
  const { queryable, grid, cellsMax, signal, stats } = evaluation
  const columns = await queryable.samples({ query: node.source, grid, grouping, cellsMax }, signal)
  addStats(stats, columns.stats)
  // In the order of their labels: which of two equal values `topk` takes mustn't hang on who was read first.
  return finishSamples(node, columns, grid)
    .filter(hasAny)
    .sort((a, b) => compareLabels(a.labels, b.labels))
}

export function addStats(into: { lines: number; bytes: number }, stats: ReadStats): void {
  into.lines += stats.lines
  into.bytes += stats.bytes
}

/** Range aggregations that add up: the sum of their series is theirs over the sum's labels. */
const ADDITIVE: readonly RangeAggregation['op'][] = ['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate', 'sum_over_time']

async function aggregation(expr: VectorAggregation, evaluation: Evaluation): Promise<StepSeries[]> {
  const inner = expr.expr
  if (expr.op === 'approx_topk' && !evaluation.isInstant)
    throw new SightlineError('bad_data', 'count min sketch queries (approx_topk) are only supported on instant queries')
  if (expr.op === 'sum' && inner.kind === 'range' && inner.grouping === undefined && ADDITIVE.includes(inner.op)) {
    return rangeSeries(inner, expr.grouping ?? { without: false, labels: [] }, evaluation)
  }
  return aggregate(expr, await vectorOf(inner, evaluation), evaluation.grid.count)
}

function replaceLabel({ target, replacement, label, pattern }: LabelReplace, series: readonly StepSeries[]): StepSeries[] {
  const regexp = compileRegexp(pattern, { anchored: true })
  return series.map((one) => {
    const value = regexp.expand(replacement, labelValue(one.labels, label))
    return value === null ? one : { ...one, labels: labelsWith(one.labels, target, value) }
  })
}
