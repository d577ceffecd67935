import type { FloatHistogram } from './histogram.ts'
import type { Labels } from './labels.ts'

/** What a cell of a column holds. Staleness is a cell kind of its own, never a NaN's payload. */
export const CELL_ABSENT = 0
export const CELL_FLOAT = 1
export const CELL_STALE = 2
export const CELL_HISTOGRAM = 3

/**
 * The raw samples of one series over a time range.
 *
 * `times` (Unix milliseconds, strictly ascending) is often shared by all series of a target: never write to it.
 * Row i is `times[i]`, `values[i]` and, where `cells` is present, `cells[i]`; without `cells` every row is a float sample.
 * Absent rows are to be skipped; a stale row ends the series until its next sample. `histograms[i]` is set exactly where
 * the cell is CELL_HISTOGRAM. `startTimes[i]` is the sample's start timestamp in milliseconds, 0 where unknown.
 */
export interface SeriesSamples {
  readonly labels: Labels
  readonly times: Float64Array
  readonly values: Float64Array
  readonly cells?: Uint8Array
  readonly histograms?: readonly (FloatHistogram | undefined)[]
  readonly startTimes?: Float64Array
}
