/**
 * PromQL: text in, columns out. The language knows no store: it asks a `MetricsQueryable` (`storage.ts`), which is bound to
 * one tenant, for series, or lets it compute beside its data what it can (`functions/`).
 *
 *   const engine = createEngine({ lookbackMs: 300_000 })
 *   const result = await engine.range(queryable, 'sum by (job) (rate(http_requests_total[5m]))', startMs, endMs, stepMs)
 *
 * Results are columns over a grid of steps, never an object a sample; an instant query is a range query of one step.
 * Contract: Prometheus 3's behaviour to the letter, texts of errors and annotations included; the upstream scripts that
 * don't pass are named in `promqltest/known-failures.ts`. Errors are SightlineError: bad_data for what doesn't parse,
 * execution, too_large, timeout, canceled. Costs: samples + steps a series; the tree is walked recursively and at most
 * EXPRESSION_DEPTH_MAX deep.
 */
export { createEngine, type Engine, type EngineOptions, type QueryCall, type QueryResult, type QueryStats } from './engine.ts'
export { EXPRESSION_DEPTH_MAX, QUERY_LENGTH_MAX, parseExpr, parseMetricSelector } from './parser.ts'
export { printExpr, printMatcher } from './printer.ts'
export { typeOf } from './typecheck.ts'
export { extractSelectors, type SelectorUse } from './selectors.ts'
export type { Expr, ValueType, VectorSelector } from './ast.ts'
export type { Grid } from './columns.ts'
export type { RangeSeries } from './functions/index.ts'
export { histogramBuckets } from './histogram/index.ts'
export { formatFixed, formatGeneral } from './go-float.ts'
export type { MetricsQueryable, QueryContext, RangeRequest, RangeResult, SelectRequest, SelectResult, StepSeries } from './storage.ts'
