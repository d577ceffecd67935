/**
 * LogQL: text in; lines, or columns of values, out. The language knows no store: beside the data of one partition `linesTask` and `samplesTask`
 * read a `LogSource`; at the front the engine asks a `LogsQueryable`, bound to one tenant, for their merged answers and does the rest.
 *
 *   const engine = createLogEngine()
 *   const result = await engine.range(queryable, { query: 'sum by (level) (rate({app="x"} | json [5m]))', … }, limits)
 *
 * What runs beside the data is the pipeline and the range aggregation, as partial results that add up over partitions (`window-state.ts`); a `sum` over
 * counts and sums goes there too, so that parsers extract only the labels it keeps. Line filters work on bytes, texts that every wanted line holds
 * are told to the store. Templates are in `template/`, stages in `stages/`, vectors in `evaluator/`.
 *
 * Contract: Loki 3's behaviour; the upstream scripts that don't pass are named in `logqltest/known-failures.ts`. Errors are SightlineError: bad_data for
 * what doesn't parse or run, too_large, timeout, canceled. Users' patterns go through `lib/regexp` only.
 */
export {
  checked,
  createLogEngine,
  leavesOf,
  type LogEngine,
  type QueryLimits,
  type QueryResult,
  type QueryStats,
  type RangeQuery,
} from './engine.ts'
export { parseExpr, parseLogExpr, parseMatchers, parseSampleExpr } from './parser.ts'
export { printExpr } from './printer.ts'
export { linesTask, mergeLines } from './lines.ts'
export { mergeSamples, samplesTask } from './samples.ts'
export { parseBytesText, parseDurationLiteral, parseDurationText, parseFloatText } from './units.ts'
export type { Expr, LogExpr, SampleExpr } from './ast.ts'
export type { StepSeries } from './evaluator/series.ts'
export type {
  Direction,
  Grid,
  LinesRequest,
  LogLines,
  LogSource,
  LogsQueryable,
  ReadStats,
  SampleColumns,
  SamplesRequest,
} from './source.ts'
