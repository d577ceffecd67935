/** Runs queries: parses, checks limits, asks for the leaves, combines them. */
import { compareLabels } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { NanoTime } from '../store/index.ts'
import type { Expr, SampleExpr } from './ast.ts'
import { addStats, evaluate, type Evaluation } from './evaluator/evaluator.ts'
import type { StepSeries } from './evaluator/series.ts'
import { parseExpr } from './parser.ts'
import { compilePipeline } from './pipeline.ts'
import type { Direction, Grid, LogLines, LogsQueryable } from './source.ts'
import { compileUnwrap } from './unwrap.ts'

export interface QueryLimits {
  /** Series of a result; Loki's default is 500. */
  readonly seriesMax: number
  /** Steps of a range query; Loki's is 11,000. */
  readonly stepsMax: number
  /** Values kept while a metric query runs, in each worker and at the front. */
  readonly cellsMax: number
  /** Bytes of lines in an answer. */
  readonly bytesMax: number
  readonly timeoutMs: number
}

export interface QueryStats {
  /** Lines and bytes read, before filters. */
  readonly lines: number
  readonly bytes: number
  readonly durationMs: number
}

export type QueryResult =
  | { readonly type: 'streams'; readonly lines: LogLines; readonly stats: QueryStats }
  | { readonly type: 'vector' | 'matrix'; readonly series: readonly StepSeries[]; readonly grid: Grid; readonly stats: QueryStats }
  | { readonly type: 'scalar'; readonly value: number; readonly grid: Grid; readonly stats: QueryStats }

export interface RangeQuery {
  readonly query: string
  /** Log queries: inclusive and exclusive. Metric queries use their milliseconds as first and last step. */
  readonly start: NanoTime
  readonly end: NanoTime
  readonly stepMs: number
  readonly direction: Direction
  readonly limit: number
}

export interface LogEngine {
  /** Errors: bad_data, too_large, timeout, canceled, and what the queryable throws. */
  range(queryable: LogsQueryable, query: RangeQuery, limits: QueryLimits, signal?: AbortSignal): Promise<QueryResult>
  /** A metric query at one instant. Log queries are refused, as Loki does. */
  instant(queryable: LogsQueryable, query: string, timeMs: number, limits: QueryLimits, signal?: AbortSignal): Promise<QueryResult>
}

export function createLogEngine(): LogEngine {
  return {
    range: (queryable, request, limits, signal) =>
      timed(limits, signal, async (abort) => {
        const expr = checked(request.query)
        if (expr.kind === 'log') return runLines(queryable, request, limits, abort)
        const { start, end, stepMs } = request
        const count = stepMs <= 0 ? 1 : Math.floor((end.ms - start.ms) / stepMs) + 1
        if (count > limits.stepsMax) {
          throw new SightlineError(
            'bad_data',
            `exceeded maximum resolution of ${limits.stepsMax.toLocaleString('en-US')} points per time series. Try increasing the value of the step parameter`,
          )
        }
        return runSamples(expr, queryable, { startMs: start.ms, stepMs, count }, false, limits, abort)
      }),
    instant: (queryable, query, timeMs, limits, signal) =>
      timed(limits, signal, async (abort) => {
        const expr = checked(query)
        if (expr.kind === 'log') {
          throw new SightlineError(
            'bad_data',
            'log queries are not supported as an instant query type, please change your query to a range query type',
          )
        }
        return runSamples(expr, queryable, { startMs: timeMs, stepMs: 0, count: 1 }, true, limits, abort)
      }),
  }
}

/** Parses, and compiles every pipeline once, so that what can't run is refused before any data is read. */
export function checked(query: string): Expr {
  const expr = parseExpr(query)
  for (const leaf of leavesOf(expr)) {
    if (leaf.kind === 'log') compilePipeline(leaf)
    else {
      compilePipeline(leaf.log)
      compileUnwrap(leaf.unwrap)
    }
  }
  return expr
}

type Leaf = Extract<Expr, { kind: 'log' | 'range' }>

/** Log queries and range aggregations of an expression. */
export function leavesOf(expr: Expr): Leaf[] {
  switch (expr.kind) {
    case 'log':
    case 'range':
      return [expr]
    case 'aggregate':
    case 'label_replace':
      return leavesOf(expr.expr)
    case 'binary':
      return [...leavesOf(expr.left), ...leavesOf(expr.right)]
    default:
      return []
  }
}

async function timed(
  { timeoutMs }: QueryLimits,
  signal: AbortSignal | undefined,
  work: (abort: AbortSignal) => Promise<Unfinished>,
): Promise<QueryResult> {
  const startedMs = performance.now()
  const timeout = AbortSignal.timeout(Math.min(timeoutMs, 2 ** 31 - 1))
  const abort = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  try {
    const { read, result } = await work(abort)
    return { ...result, stats: { ...read, durationMs: performance.now() - startedMs } }
  } catch (error) {
    if (timeout.aborted)
      throw new SightlineError('timeout', `cannot finish the query: it timed out after ${timeoutMs} ms`, { cause: error })
    throw error
  }
}

type WithoutStats<T> = T extends unknown ? Omit<T, 'stats'> : never
interface Unfinished {
  readonly read: { lines: number; bytes: number }
  readonly result: WithoutStats<QueryResult>
}

async function runLines(queryable: LogsQueryable, request: RangeQuery, limits: QueryLimits, signal: AbortSignal): Promise<Unfinished> {
  const { query, start, end, direction, limit } = request
  const read = { lines: 0, bytes: 0 }
  const lines = await queryable.lines({ query, start, end, direction, limit, bytesMax: limits.bytesMax }, signal)
  addStats(read, lines.stats)
  return { read, result: { type: 'streams', lines } }
}

async function runSamples(
  expr: SampleExpr,
  queryable: LogsQueryable,
  grid: Grid,
  isInstant: boolean,
  limits: QueryLimits,
  signal: AbortSignal,
): Promise<Unfinished> {
  const read = { lines: 0, bytes: 0 }
  const evaluation: Evaluation = { queryable, grid, isInstant, cellsMax: limits.cellsMax, signal, stats: read }
  const result = await evaluate(expr, evaluation)
  if (typeof result === 'number') return { read, result: { type: 'scalar', value: result, grid } }
  if (result.length > limits.seriesMax)
    throw new SightlineError('bad_data', `maximum of series (${limits.seriesMax}) reached for a single query`)
  const series = isOrdered(expr) && isInstant ? result : result.toSorted((a, b) => compareLabels(a.labels, b.labels))
  return { read, result: { type: isInstant ? 'vector' : 'matrix', series, grid } }
}

/** Whether the order of the result says something. */
function isOrdered(expr: SampleExpr): boolean {
  switch (expr.kind) {
    case 'aggregate':
      return ['sort', 'sort_desc', 'topk', 'bottomk', 'approx_topk'].includes(expr.op)
    case 'binary':
      return isOrdered(expr.left) || isOrdered(expr.right)
    case 'label_replace':
      return isOrdered(expr.expr)
    default:
      return false
  }
}
