/**
 * The nouns both programs share: labels, matchers, samples, histograms, durations. No I/O and no imports from other
 * folders; everything here is plain data or a pure function. Label sets are flat arrays (`labels.ts`), series are columns
 * (`columns.ts`), times are Unix milliseconds in a double unless a name says otherwise.
 */
export {
  EMPTY_LABELS,
  METRIC_NAME,
  compareLabels,
  formatLabels,
  hasLabel,
  labelValue,
  labelsEqual,
  labelsKeep,
  labelsKey,
  labelsOf,
  labelsToObject,
  labelsWith,
  labelsWithout,
  type Labels,
} from './labels.ts'
export { matchesAll, type MatchOp, type Matcher, type MatcherSpec } from './matcher.ts'
export { CUSTOM_BUCKETS_SCHEMA, type CounterResetHint, type FloatHistogram, type Span } from './histogram.ts'
export { CELL_ABSENT, CELL_FLOAT, CELL_HISTOGRAM, CELL_STALE, type SeriesSamples } from './columns.ts'
export { hashText } from './hash.ts'
export { RECORD_BYTES_MAX } from './record.ts'
export { formatDuration, parseDuration, parseGoDuration } from './duration.ts'
