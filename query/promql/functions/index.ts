/**
 * The functions over range vectors, for whoever holds the samples: the evaluator, and the shards, which run them beside
 * their data (`MetricsQueryable.range`).
 *
 * `evaluateRangeFunction` computes `func(selector[range])` or, with func '', the instant selector, for series as the store
 * hands them out; `partialAggregate` folds the result by labels and `mergePartials` folds those of several shards. Sums use
 * compensated addition inside a part; merged parts can differ from one whole in the last bit. Cost: samples + steps a
 * series, but for `*_over_time` functions that look at each sample of each window.
 *
 * Both answer undefined for what must be computed centrally: native histograms, functions with scalar arguments, unknown
 * names. Remarks come without a place in the query; the evaluator adds it.
 */
export { evaluateRangeFunction, rangeFunctionDropsName, type RangeEvaluation } from './pushdown.ts'
export { mergePartials, partialAggregate, type AggregateSpec } from './partial.ts'
export { RANGE_FUNCTIONS } from './registry.ts'
export type { RangeFunction, RangeSeries, Windows } from './range-function.ts'
