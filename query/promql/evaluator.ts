/**
 * Evaluates a checked tree over a grid of steps, whole columns at a time. One evaluator serves one query.
 */
import { METRIC_NAME, labelValue, type FloatHistogram } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { aggregate, groupColumns } from './aggregate.ts'
import { countValues, limitK, limitRatio, topOrBottom } from './aggregate-pick.ts'
import type { Annotations } from './annotations.ts'
import {
  SET_OPERATORS,
  unwrapParens,
  type AggregateExpr,
  type BinaryExpr,
  type Call,
  type AtModifier,
  type DurationValue,
  type Expr,
  type SubqueryExpr,
  type VectorSelector,
} from './ast.ts'
import { scalarScalar, vectorScalar } from './binary.ts'
import {
  ColumnBuilder,
  assertUnique,
  droppedLabels,
  mergeDuplicates,
  type Column,
  type Grid,
  type NamePolicy,
  type Value,
} from './columns.ts'
import { resolveDuration, type QueryRange } from './duration.ts'
import { absentColumn } from './functions/absent.ts'
import { extendedFunction } from './functions/extended.ts'
import { HISTOGRAM_FUNCTIONS } from './functions/histogram-functions.ts'
import { enrich, infoMatchers } from './functions/info.ts'
import { LABEL_FUNCTIONS } from './functions/labels.ts'
import { MATH_FUNCTIONS } from './functions/math.ts'
import { WindowRows, type RangeSeries } from './functions/range-function.ts'
import { RANGE_FUNCTIONS, rangeArgument } from './functions/registry.ts'
import { TIME_FUNCTIONS } from './functions/time.ts'
import type { CallContext, ValueFunction } from './functions/value-function.ts'
import { setOperator, vectorVector } from './matching.ts'
import { remarks } from './annotations.ts'
import { formatGeneral } from './go-float.ts'
import { rangeRequest } from './pushdown-plan.ts'
import { Selection, type RangeVector } from './selection.ts'
import type { RangeResult } from './storage.ts'
import { scaleHistogram } from './histogram/index.ts'

export interface EvaluatorOptions {
  readonly query: string
  readonly range: QueryRange
  readonly isRange: boolean
  readonly selection: Selection
  readonly annotations: Annotations
  readonly policy: NamePolicy
  readonly subqueryStepMs: number
  /** Throws where the query was cancelled or has run too long. */
  readonly checkpoint: () => void
}

const VALUE_FUNCTIONS: ReadonlyMap<string, ValueFunction> = new Map(
  [MATH_FUNCTIONS, TIME_FUNCTIONS, LABEL_FUNCTIONS, HISTOGRAM_FUNCTIONS].flatMap((family) => Object.entries(family)),
)

export class Evaluator {
  readonly #options: EvaluatorOptions

  constructor(options: EvaluatorOptions) {
    this.#options = options
  }

  async evaluate(expr: Expr, grid: Grid): Promise<Value> {
    this.#options.checkpoint()
    switch (expr.kind) {
      case 'number':
        return { type: 'scalar', values: new Float64Array(grid.count).fill(expr.value) }
      case 'string':
        return { type: 'string', value: expr.value }
      case 'paren':
        return this.evaluate(expr.expr, grid)
      case 'unary':
        return this.#unary(expr.op, await this.evaluate(expr.expr, grid))
      case 'vectorSelector':
        return { type: 'vector', columns: (await this.#pushed(expr, grid)) ?? (await this.#options.selection.instant(expr, grid, 'value')) }
      case 'matrixSelector':
      case 'subquery':
        throw new SightlineError('internal', `BUG: a ${expr.kind} is evaluated outside of a function`)
      case 'binary':
        return this.#binary(expr, grid)
      case 'aggregate':
        return { type: 'vector', columns: (await this.#pushed(expr, grid)) ?? (await this.#aggregate(expr, grid)) }
      case 'call':
        return this.#call(expr, grid)
    }
  }

  async #columns(expr: Expr, grid: Grid): Promise<readonly Column[]> {
    const value = await this.evaluate(expr, grid)
    return value.type === 'vector' ? value.columns : []
  }

  async #scalar(expr: Expr, grid: Grid): Promise<Float64Array> {
    const value = await this.evaluate(expr, grid)
    return value.type === 'scalar' ? value.values : new Float64Array(grid.count).fill(NaN)
  }

  #note(offset: number): ReturnType<Annotations['at']> {
    return this.#options.annotations.at(offset)
  }

  /** Names dropped at once may make series equal; these may only share labels where they share no step. */
  #unique(columns: readonly Column[], strict = false): readonly Column[] {
    if (this.#options.policy.delayed) return columns
    if (strict) assertUnique(columns)
    return strict ? columns : mergeDuplicates(columns)
  }

  #unary(op: '+' | '-', value: Value): Value {
    if (op === '+' || value.type === 'string') return value
    if (value.type === 'scalar') return { type: 'scalar', values: value.values.map((number) => -number) }
    const { policy } = this.#options
    const columns = value.columns.map((column) => {
      const negated = {
        labels: droppedLabels(column.labels, policy),
        values: column.values.map((number) => -number),
        present: column.present,
        dropName: true,
      }
      if (column.histograms === undefined) return negated
      return { ...negated, histograms: column.histograms.map((one) => (one === undefined ? undefined : negateHistogram(one))) }
    })
    return { type: 'vector', columns: this.#unique(columns) }
  }

  async #binary(expr: BinaryExpr, grid: Grid): Promise<Value> {
    const left = await this.evaluate(expr.lhs, grid)
    const right = await this.evaluate(expr.rhs, grid)
    this.#options.checkpoint()
    const note = this.#note(expr.start)
    const { policy } = this.#options
    if (left.type === 'scalar' && right.type === 'scalar')
      return { type: 'scalar', values: scalarScalar(expr.op, left.values, right.values) }
    if (left.type === 'vector' && right.type === 'vector') {
      if (SET_OPERATORS.has(expr.op)) {
        return { type: 'vector', columns: setOperator(expr.op, left.columns, right.columns, expr.matching!, grid.count) }
      }
      return { type: 'vector', columns: vectorVector(expr, left.columns, right.columns, grid.count, policy, note) }
    }
    const vector = left.type === 'vector' ? left.columns : right.type === 'vector' ? right.columns : []
    const scalar = left.type === 'scalar' ? left.values : right.type === 'scalar' ? right.values : new Float64Array(grid.count)
    return {
      type: 'vector',
      columns: this.#unique(vectorScalar(expr.op, vector, scalar, left.type === 'scalar', expr.returnBool, policy, note)),
    }
  }

  async #aggregate(expr: AggregateExpr, grid: Grid): Promise<readonly Column[]> {
    const columns = await this.#columns(expr.expr, grid)
    if (expr.op === 'count_values') {
      const label = await this.evaluate(expr.param!, grid)
      return countValues(columns, expr, label.type === 'string' ? label.value : '', grid.count)
    }
    const param = expr.param === undefined ? undefined : await this.#scalar(expr.param, grid)
    this.#options.checkpoint()
    const groups = groupColumns(columns, expr, this.#options.policy)
    switch (expr.op) {
      case 'topk':
      case 'bottomk':
        return topOrBottom(groups, param!, expr.op === 'topk', this.#note(expr.expr.start))
      case 'limitk':
        return limitK(groups, param!)
      case 'limit_ratio':
        return limitRatio(groups, param!, this.#note(expr.param!.start))
      case 'quantile':
        this.#checkQuantiles(param!, expr.param!.start)
    }
    return aggregate(expr.op, groups, param, grid.count, this.#note(expr.expr.start))
  }

  #checkQuantiles(quantiles: Float64Array, offset: number): void {
    for (const q of quantiles) if (!(q >= 0 && q <= 1)) this.#options.annotations.add(remarks.invalidQuantile(formatGeneral(q)), offset)
  }

  async #call(call: Call, grid: Grid): Promise<Value> {
    const { policy, range } = this.#options
    const constant = (seconds: number): Value => ({ type: 'scalar', values: new Float64Array(grid.count).fill(seconds) })
    switch (call.name) {
      case 'start':
        return constant(range.startMs / 1000)
      case 'end':
        return constant(range.endMs / 1000)
      case 'step':
        return constant(range.stepMs / 1000)
      case 'range':
        return constant((range.endMs - range.startMs) / 1000)
      case 'absent': {
        const column = absentColumn(call.args[0]!, await this.#columns(call.args[0]!, grid), grid)
        return { type: 'vector', columns: column === undefined ? [] : [column] }
      }
      case 'absent_over_time':
        return this.#absentOverTime(call, grid)
      case 'info':
        return this.#info(call, grid)
      case 'timestamp':
      case 'start_timestamp': {
        const selector = unwrapParens(call.args[0]!)
        if (selector.kind !== 'vectorSelector') break
        const columns = await this.#options.selection.instant(selector, grid, call.name === 'timestamp' ? 'time' : 'start')
        const named = columns.map((column) => ({ ...column, labels: droppedLabels(column.labels, policy), dropName: true }))
        return { type: 'vector', columns: this.#unique(named) }
      }
    }
    if (RANGE_FUNCTIONS.has(call.name)) {
      return { type: 'vector', columns: (await this.#pushed(call, grid)) ?? (await this.#overRange(call, grid)) }
    }
    return this.#valueFunction(call, grid)
  }

  async #valueFunction(call: Call, grid: Grid): Promise<Value> {
    const run = VALUE_FUNCTIONS.get(call.name)
    if (run === undefined) throw new SightlineError('execution', `cannot evaluate ${call.name}(): the function isn't built yet`)
    const args: Value[] = []
    for (const arg of call.args) args.push(await this.evaluate(arg, grid))
    this.#options.checkpoint()
    const { policy, isRange, annotations } = this.#options
    const context: CallContext = { call, args, grid, policy, isRange, note: (remark, offset) => annotations.add(remark, offset) }
    const result = run(context)
    return result.type === 'vector' ? { type: 'vector', columns: this.#unique(result.columns) } : result
  }

  async #absentOverTime(call: Call, grid: Grid): Promise<Value> {
    const vector = await this.rangeVector(call.args[0]!, grid)
    const rows = new WindowRows(vector.ends, vector.rangeMs)
    const presence = vector.series.map((series) => {
      const { from, to, histogramFrom, histogramTo } = rows.of(series)
      return { present: Uint8Array.from(from, (_, k) => (to[k]! > from[k]! || histogramTo[k]! > histogramFrom[k]! ? 1 : 0)) }
    })
    const column = absentColumn(call.args[0]!, presence, grid)
    return { type: 'vector', columns: column === undefined ? [] : [column] }
  }

  async #overRange(call: Call, grid: Grid): Promise<readonly Column[]> {
    const at = rangeArgument(call.name)
    const argument = call.args[at]!
    const params: Float64Array[] = []
    for (const [i, arg] of call.args.entries()) if (i !== at) params.push(await this.#scalar(arg, grid))
    if (call.name === 'quantile_over_time') this.#checkQuantiles(params[0]!, call.args[0]!.start)
    const inner = unwrapParens(argument)
    const selector = inner.kind === 'matrixSelector' ? inner.selector : undefined
    const kernel = extendedFunction(call.name, selector) ?? RANGE_FUNCTIONS.get(call.name)!
    const vector = await this.rangeVector(argument, grid)
    const note = this.#note(argument.start)
    const out: Column[] = []
    const rows = new WindowRows(vector.ends, vector.rangeMs)
    const evalTimes = Float64Array.from({ length: grid.count }, (_, k) => grid.startMs + k * grid.stepMs)
    for (const [i, series] of vector.series.entries()) {
      if (i % 1024 === 0) this.#options.checkpoint()
      const builder = new ColumnBuilder(grid.count)
      const metric = labelValue(series.labels, METRIC_NAME)
      const windows = {
        series,
        metric,
        count: grid.count,
        ...rows.of(series),
        ends: vector.ends,
        evalTimes,
        rangeMs: vector.rangeMs,
      }
      kernel.run(windows, builder, { params, note })
      if (!builder.used) continue
      const keepsName = kernel.keepsName === true
      const labels = keepsName ? series.labels : droppedLabels(series.labels, this.#options.policy)
      out.push(builder.build(labels, !keepsName || vector.dropNames?.[i] === true))
    }
    return isNamed(selector) ? out : this.#unique(out, true)
  }

  async rangeVector(expr: Expr, grid: Grid): Promise<RangeVector> {
    const inner = unwrapParens(expr)
    if (inner.kind === 'matrixSelector') return this.#options.selection.range(inner, grid)
    if (inner.kind === 'subquery') return this.#subquery(inner, grid)
    throw new SightlineError('internal', 'BUG: a range vector is expected')
  }

  /** The inner expression on its own steps, which are multiples of the step counted from the epoch. */
  async #subquery(expr: SubqueryExpr, grid: Grid): Promise<RangeVector> {
    const { query, range, selection, subqueryStepMs } = this.#options
    const rangeMs = resolveDuration(query, expr.range, range, true)
    const stepMs = expr.step === undefined ? subqueryStepMs : resolveDuration(query, expr.step, range, true)
    const ends = selection.stepTimes(expr, grid)
    const first = ends[0]! - rangeMs
    let startMs = Math.floor(first / stepMs) * stepMs
    if (startMs <= first) startMs += stepMs
    const end = ends.at(-1)!
    const count = end < startMs ? 0 : Math.floor((end - startMs) / stepMs) + 1
    const columns = count === 0 ? [] : await this.#columns(expr.expr, { startMs, stepMs, count })
    selection.charge(columns.length * count)
    const series = columns.map((column) => rangeSeriesOf(column, startMs, stepMs))
    return { series, ends, rangeMs, dropNames: columns.map((column) => column.dropName) }
  }

  async #info(call: Call, grid: Grid): Promise<Value> {
    const { selection, query, range } = this.#options
    const columns = await this.#columns(call.args[0]!, grid)
    const selector = call.args[1]
    const matchers = selector?.kind === 'vectorSelector' ? selector.matchers : []
    const timing = timingOf(call.args[0]!, (value) => resolveDuration(query, value, range, false))
    const plan = infoMatchers(matchers, columns)
    const infos = plan.select === undefined ? [] : await selection.infoSeries(plan.select, timing, grid)
    return { type: 'vector', columns: enrich(columns, infos, plan, grid) }
  }

  /** The answer of storage that evaluates beside its data, where it takes this expression. */
  async #pushed(expr: Expr, grid: Grid): Promise<readonly Column[] | undefined> {
    const { selection, policy, query, range } = this.#options
    const plan = rangeRequest(expr, grid, { policy, query, range, lookbackMs: selection.lookbackMs })
    if (plan === undefined) return undefined
    const result = await selection.pushdown(plan.request)
    if (result === undefined) return undefined
    return this.#pushedColumns(result, plan.noteAt, plan.dropsName, plan.isNamed)
  }

  #pushedColumns(result: RangeResult, noteAt: number, dropsName: boolean, named: boolean): readonly Column[] {
    for (const remark of result.remarks ?? []) this.#options.annotations.add(remark, noteAt)
    const { policy } = this.#options
    const columns = result.series.map(({ labels, values, present, histograms }) => {
      const column = { labels: dropsName ? droppedLabels(labels, policy) : labels, values, present, dropName: dropsName }
      return histograms === undefined ? column : { ...column, histograms }
    })
    return named || !dropsName ? columns : this.#unique(columns, true)
  }
}

/** True where every series has the same name, so that dropping it makes none equal. */
function isNamed(selector: VectorSelector | undefined): boolean {
  return selector?.matchers.some((matcher) => matcher.name === METRIC_NAME && matcher.op === '=') === true
}

/** How far back, and under which `@`, the first selector of an expression looks. */
function timingOf(expr: Expr, resolve: (value: DurationValue) => number): { readonly offset: DurationValue; readonly at?: AtModifier } {
  let at = unwrapParens(expr)
  let offsetMs = 0
  let fixed: AtModifier | undefined
  for (;;) {
    const target = at.kind === 'matrixSelector' ? at.selector : at
    if (target.kind === 'vectorSelector' || target.kind === 'subquery') {
      if (target.offset !== undefined) offsetMs += resolve(target.offset)
      fixed = target.at ?? fixed
    }
    const inner = target.kind === 'subquery' ? target.expr : target.kind === 'call' ? target.args[0] : undefined
    if (inner === undefined) break
    at = unwrapParens(inner)
  }
  const offset = { ms: offsetMs, start: expr.start }
  return fixed === undefined ? { offset } : { offset, at: fixed }
}

function negateHistogram(histogram: FloatHistogram): FloatHistogram {
  return scaleHistogram(histogram, (value) => -value, true)
}

/** The samples of a subquery's inner column. A histogram's hint is forgotten: its neighbours were never seen. */
function rangeSeriesOf(column: Column, startMs: number, stepMs: number): RangeSeries {
  const { labels, values, present, histograms } = column
  const times: number[] = []
  const floats: number[] = []
  const histogramTimes: number[] = []
  const points: FloatHistogram[] = []
  for (let k = 0; k < present.length; k++) {
    if (present[k] === 0) continue
    const histogram = histograms?.[k]
    if (histogram === undefined) {
      times.push(startMs + k * stepMs)
      floats.push(values[k]!)
    } else {
      histogramTimes.push(startMs + k * stepMs)
      points.push(forgetReset(histogram))
    }
  }
  return {
    labels,
    times: Float64Array.from(times),
    values: Float64Array.from(floats),
    histogramTimes: Float64Array.from(histogramTimes),
    histograms: points,
  }
}

function forgetReset(histogram: FloatHistogram): FloatHistogram {
  return histogram.counterResetHint === 'gauge' ? histogram : { ...histogram, counterResetHint: 'unknown' }
}
