/** The engine: limits and options around parse, evaluate, finish. */
import { METRIC_NAME, compareLabels, hasLabel, type Labels } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { Annotations } from './annotations.ts'
import { unwrapParens, type Expr } from './ast.ts'
import { gridOf, mergeDuplicates, withoutName, type Column, type Grid, type NamePolicy } from './columns.ts'
import { Evaluator } from './evaluator.ts'
import { parseExpr } from './parser.ts'
import { Selection, type RangeVector } from './selection.ts'
import type { MetricsQueryable, StepSeries } from './storage.ts'
import { typeOf } from './typecheck.ts'
import type { RangeSeries } from './functions/range-function.ts'

export interface EngineOptions {
  /** How old a sample an instant selector still takes; default 5 minutes. */
  readonly lookbackMs?: number
  /** Samples a query may fetch and make; default 50 million. */
  readonly samplesMax?: number
  /** Default 2 minutes. */
  readonly timeoutMs?: number
  /** Step of subqueries that have none; default 1 minute. */
  readonly subqueryStepMs?: number
  /** Steps of a range query; default 11,000. */
  readonly stepsMax?: number
  /** Metric names are dropped at the end of a query instead of in each operation (Prometheus' feature of that name). */
  readonly delayedNameRemoval?: boolean
  /** `__type__` and `__unit__` go where the metric name goes. */
  readonly metadataLabels?: boolean
}

export interface QueryCall {
  readonly signal?: AbortSignal
  /** Per query, at most the engine's own. */
  readonly samplesMax?: number
  readonly timeoutMs?: number
  readonly lookbackMs?: number
}

export interface QueryStats {
  /** Samples fetched from storage and made by subqueries. */
  readonly samples: number
  readonly durationMs: number
}

interface ResultBase {
  /** In Prometheus' words, each once. */
  readonly warnings: readonly string[]
  readonly infos: readonly string[]
  readonly stats: QueryStats
  /** The instant of step k is `startMs + k * stepMs`. */
  readonly grid: Grid
}

/**
 * `vector`: series of one step, in the query's order. `matrix`: series over the grid, sorted by labels. `samples`: the raw
 * samples of an instant query for a range vector, at their own times. `scalar`: one value a step.
 */
export type QueryResult =
  | (ResultBase & { readonly type: 'vector' | 'matrix'; readonly series: readonly StepSeries[] })
  | (ResultBase & { readonly type: 'samples'; readonly series: readonly RangeSeries[] })
  | (ResultBase & { readonly type: 'scalar'; readonly values: Float64Array })
  | (ResultBase & { readonly type: 'string'; readonly value: string })

export interface Engine {
  /**
   * The query at one instant.
   * @throws bad_data (parse), execution, too_large, timeout, canceled
   */
  instant(queryable: MetricsQueryable, query: string, timeMs: number, call?: QueryCall): Promise<QueryResult>
  /** The query at each step from `startMs` to `endMs`; scalars become a matrix of one series without labels. Errors as `instant`. */
  range(queryable: MetricsQueryable, query: string, startMs: number, endMs: number, stepMs: number, call?: QueryCall): Promise<QueryResult>
}

export function createEngine(options: EngineOptions = {}): Engine {
  const settings = {
    lookbackMs: options.lookbackMs ?? 300_000,
    samplesMax: options.samplesMax ?? 50_000_000,
    timeoutMs: options.timeoutMs ?? 120_000,
    subqueryStepMs: options.subqueryStepMs ?? 60_000,
    stepsMax: options.stepsMax ?? 11_000,
    policy: { delayed: options.delayedNameRemoval ?? false, metadataLabels: options.metadataLabels ?? false },
  }
  return {
    instant: (queryable, query, timeMs, call = {}) =>
      run(settings, queryable, query, { startMs: timeMs, endMs: timeMs, stepMs: 0 }, false, call),
    async range(queryable, query, startMs, endMs, stepMs, call = {}) {
      if (!(stepMs > 0))
        throw new SightlineError('bad_data', 'zero or negative query resolution step widths are not accepted. Try a positive integer')
      if (endMs < startMs) throw new SightlineError('bad_data', 'end timestamp must not be before start time')
      if ((endMs - startMs) / stepMs > settings.stepsMax) {
        const limit = `exceeded maximum resolution of ${settings.stepsMax.toLocaleString('en-US')} points per timeseries`
        throw new SightlineError('bad_data', `${limit}. Try decreasing the query resolution (?step=XX)`)
      }
      return run(settings, queryable, query, { startMs, endMs, stepMs }, true, call)
    },
  }
}

interface Settings {
  readonly lookbackMs: number
  readonly samplesMax: number
  readonly timeoutMs: number
  readonly subqueryStepMs: number
  readonly policy: NamePolicy
}

interface TimeRange {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
}

async function run(
  settings: Settings,
  queryable: MetricsQueryable,
  query: string,
  range: TimeRange,
  isRange: boolean,
  call: QueryCall,
): Promise<QueryResult> {
  const started = performance.now()
  const expr = parseExpr(query)
  const grid = gridOf(range.startMs, range.endMs, range.stepMs)
  const annotations = new Annotations(query)
  const timeoutMs = Math.min(call.timeoutMs ?? Infinity, settings.timeoutMs)
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = call.signal === undefined ? timeout : AbortSignal.any([call.signal, timeout])
  const checkpoint = (): void => {
    if (call.signal?.aborted === true) throw new SightlineError('canceled', 'query was canceled in expression evaluation')
    if (performance.now() - started > timeoutMs) throw new SightlineError('timeout', 'query timed out in expression evaluation')
  }
  const context = { signal, samplesMax: Math.min(call.samplesMax ?? Infinity, settings.samplesMax) }
  const lookbackMs = call.lookbackMs ?? settings.lookbackMs
  const selection = new Selection({ queryable, context, query, range, lookbackMs, annotations })
  const { policy, subqueryStepMs } = settings
  const evaluator = new Evaluator({ query, range, isRange, selection, annotations, policy, subqueryStepMs, checkpoint })
  const finish = (): ResultBase => ({
    warnings: annotations.warnings(),
    infos: annotations.infos(),
    stats: { samples: selection.samples, durationMs: performance.now() - started },
    grid,
  })
  try {
    return await answer(expr, grid, isRange, evaluator, selection, policy, finish)
  } catch (error) {
    checkpoint()
    throw error
  }
}

async function answer(
  expr: Expr,
  grid: Grid,
  isRange: boolean,
  evaluator: Evaluator,
  selection: Selection,
  policy: NamePolicy,
  finish: () => ResultBase,
): Promise<QueryResult> {
  const type = typeOf(expr)
  if (isRange && type !== 'vector' && type !== 'scalar') {
    throw new SightlineError(
      'bad_data',
      `invalid expression type "${type === 'matrix' ? 'range vector' : type}" for range query, must be Scalar or instant Vector`,
    )
  }
  const inner = unwrapParens(expr)
  if (inner.kind === 'matrixSelector' || inner.kind === 'subquery') {
    const vector = inner.kind === 'matrixSelector' ? await selection.raw(inner, grid) : await evaluator.rangeVector(inner, grid)
    return { type: 'samples', series: rawSeries(vector, policy), ...finish() }
  }
  const value = await evaluator.evaluate(expr, grid)
  if (value.type === 'string') return { type: 'string', value: value.value, ...finish() }
  if (value.type === 'scalar') {
    if (!isRange) return { type: 'scalar', values: value.values, ...finish() }
    const series = { labels: [], values: value.values, present: new Uint8Array(grid.count).fill(1) }
    return { type: 'matrix', series: [series], ...finish() }
  }
  const columns = removeNames(value.columns, policy)
  if (!isRange) return { type: 'vector', series: columns, ...finish() }
  return { type: 'matrix', series: [...columns].sort((a, b) => compareLabels(a.labels, b.labels)), ...finish() }
}

/** Delayed name removal happens here. @throws execution where series become equal at a step */
function removeNames(columns: readonly Column[], policy: NamePolicy): readonly Column[] {
  if (!policy.delayed) return columns
  return mergeDuplicates(columns.map((column) => (column.dropName ? { ...column, labels: withoutName(column.labels, policy) } : column)))
}

function rawSeries(vector: RangeVector, policy: NamePolicy): RangeSeries[] {
  const end = vector.ends[0]!
  const within = (time: number): boolean => time <= end && time > end - vector.rangeMs
  return vector.series
    .map((series, i) => {
      const labels: Labels =
        vector.dropNames?.[i] === true && hasLabel(series.labels, METRIC_NAME) ? withoutName(series.labels, policy) : series.labels
      const rows = [...series.times.keys()].filter((row) => within(series.times[row]!))
      const histogramRows = [...series.histogramTimes.keys()].filter((row) => within(series.histogramTimes[row]!))
      return {
        labels,
        times: Float64Array.from(rows, (row) => series.times[row]!),
        values: Float64Array.from(rows, (row) => series.values[row]!),
        histogramTimes: Float64Array.from(histogramRows, (row) => series.histogramTimes[row]!),
        histograms: histogramRows.map((row) => series.histograms[row]!),
      }
    })
    .filter((series) => series.times.length + series.histogramTimes.length > 0)
    .sort((a, b) => compareLabels(a.labels, b.labels))
}
