/**
 * Warnings and infos of an evaluation, in Prometheus' words. Each is kept once; a query holds at most ANNOTATIONS_MAX.
 */
import { linePosition } from './parse-error.ts'
import { quote } from './strings.ts'

export const ANNOTATIONS_MAX = 1_000

export type AnnotationLevel = 'warning' | 'info'

/** A remark without its place in the query: where data are evaluated by themselves, the place isn't known. */
export interface Remark {
  readonly level: AnnotationLevel
  readonly text: string
}

export type Note = (remark: Remark) => void

export class Annotations {
  readonly #query: string
  readonly #warnings = new Set<string>()
  readonly #infos = new Set<string>()

  constructor(query: string) {
    this.#query = query
  }

  add(remark: Remark, offset: number): void {
    this.addText(remark.level, `PromQL ${remark.level}: ${remark.text} (${linePosition(this.#query, offset)})`)
  }

  addText(level: AnnotationLevel, text: string): void {
    const set = level === 'warning' ? this.#warnings : this.#infos
    if (set.size < ANNOTATIONS_MAX) set.add(text)
  }

  /** A writer for one place in the query. */
  at(offset: number): Note {
    return (remark) => this.add(remark, offset)
  }

  warnings(): string[] {
    return [...this.#warnings]
  }

  infos(): string[] {
    return [...this.#infos]
  }
}

function warning(text: string): Remark {
  return { level: 'warning', text }
}

function info(text: string): Remark {
  return { level: 'info', text }
}

function named(text: string, metric: string): string {
  return metric === '' ? text : `${text} for metric name ${quote(metric)}`
}

export const remarks = {
  mixedFloatsHistograms: (metric: string) => warning(named('encountered a mix of histograms and floats', metric)),
  mixedFloatsHistogramsAggregation: () => warning('encountered a mix of histograms and floats for aggregation'),
  mixedExponentialCustom: (metric: string) =>
    warning(named('vector contains a mix of histograms with exponential and custom buckets schemas', metric)),
  mixedClassicNative: (metric: string) => warning(named('vector contains a mix of classic and native histograms', metric)),
  notCounter: (metric: string) => warning(`this native histogram metric is not a counter: ${quote(metric)}`),
  notGauge: (metric: string) => warning(`this native histogram metric is not a gauge: ${quote(metric)}`),
  badBucketLabel: (value: string, metric: string) =>
    warning(named(`bucket label "le" is missing or has a malformed value of ${quote(value)}`, metric)),
  invalidQuantile: (shown: string) => warning(`quantile value should be between 0 and 1, got ${shown}`),
  invalidRatio: (shown: string, capped: string) => warning(`ratio value should be between -1 and 1, got ${shown}, capping to ${capped}`),
  sortInRange: () => warning('sort is ineffective for range queries since results are always ordered by labels'),
  startOverlap: (metric: string) =>
    warning(`sample has start time that overlaps with previous sample timestamp for metric ${quote(metric)}`),
  counterResetCollision: (operation: 'aggregation' | 'addition' | 'subtraction') =>
    warning(`conflicting counter resets during histogram ${operation}`),
  possibleNonCounter: (metric: string) =>
    info(`metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quote(metric)}`),
  histogramIgnoredMixedRange: (metric: string) =>
    info(named('ignored histograms in a range containing both floats and histograms', metric)),
  histogramIgnoredAggregation: (operation: string) => info(`ignored histogram in ${operation} aggregation`),
  incompatibleTypes: (left: string, operator: string, right: string) =>
    info(`incompatible sample types encountered for binary operator ${quote(operator)}: ${left} ${operator} ${right}`),
  incompatibleBuckets: (operator: string) => warning(`incompatible bucket layout encountered for binary operator ${operator}`),
  mismatchedBuckets: (operation: 'aggregation' | 'addition' | 'subtraction') =>
    info(`mismatched custom buckets were reconciled during ${operation}`),
  monotonicity: (metric: string) =>
    info(
      named(
        'input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)',
        metric,
      ),
    ),
  nanQuantile: (metric: string, skewed: boolean) =>
    info(named(`input to histogram_quantile has NaN observations, result is ${skewed ? 'skewed higher' : 'NaN'}`, metric)),
  nanFraction: (metric: string) =>
    info(named('input to histogram_fraction has NaN observations, which are excluded from all fractions', metric)),
}
