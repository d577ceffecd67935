/**
 * Arithmetic of native histograms with float counts: sums and differences (schemas, zero buckets and custom bounds are
 * reconciled as Prometheus does), scaling, reset detection, quantiles, fractions, variance, trimming. Everything is a pure
 * function; results are compact (no empty buckets), so equal histograms have equal parts.
 *
 * Costs: linear in the number of buckets. Schemas: −4 … 8 (exponential), −53 (custom bounds).
 */
export {
  addHistograms,
  compactHistogram,
  detectReset,
  emptyHistogram,
  histogramsEqual,
  scaleHistogram,
  subtractHistograms,
  usesCustomBuckets,
  withHint,
  type Combination,
} from './arithmetic.ts'
export { HistogramSum } from './sum.ts'
export { allBuckets, formatHistogram, histogramBuckets, type BoundaryRule, type Bucket } from './buckets.ts'
export { histogramFraction, histogramQuantile, histogramVariance } from './quantile.ts'
export { trimHistogram } from './trim.ts'
