import type { FloatHistogram, Labels } from '../../model/index.ts'

/**
 * The ordered label sets of a target. `id` is a 128-bit hash of the content (32 hex digits); `group` names the group of the store
 * its series lie in: series of one (job, instance), or of one whole label set where either is missing.
 */
export interface Layout {
  readonly id: string
  readonly group: string
  readonly series: readonly Labels[]
  /** Its bytes on the wire, where whoever made it has them. */
  readonly body?: Uint8Array
}

/**
 * One sample of every series of a layout at one instant.
 *
 * `values[i]` belongs to `layout.series[i]`. `cells` (CELL_* of lib/model) is absent where every cell is a float. `histograms[i]` is set exactly where
 * the cell is CELL_HISTOGRAM. `startTimes[i]`: the sample's start timestamp in Unix milliseconds, 0 where unknown.
 */
export interface Row {
  readonly layout: Layout
  readonly timestampMs: number
  readonly values: Float64Array
  readonly cells?: Uint8Array
  readonly histograms?: readonly (FloatHistogram | undefined)[]
  readonly startTimes?: Float64Array
  readonly exemplars?: readonly RowExemplar[]
}

export interface RowExemplar {
  /** Index of the series in the row's layout. */
  readonly column: number
  readonly labels: Labels
  readonly value: number
  readonly timestampMs: number
}

/** What a metric family is, as `# TYPE`, `# HELP` and `# UNIT` say it. */
export interface FamilyMetadata {
  readonly family: string
  /** counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown */
  readonly type: string
  readonly help: string
  readonly unit: string
}

export interface RowBatch {
  readonly rows: readonly Row[]
  readonly metadata: readonly FamilyMetadata[]
}
