/**
 * What the language needs from outside. `LogSource` is one partition's store, read by the tasks that run beside the data; `LogsQueryable` is a tenant's
 * logs at the front, where the answers of all partitions have become one.
 */
import type { Labels } from '../../lib/model/index.ts'
import type { LogScan, LogScanTask, NanoTime } from '../store/index.ts'
import type { Grouping } from './ast.ts'

export interface LogSource {
  scan(scan: LogScan): LogScanTask
}

export type Direction = 'forward' | 'backward'

export interface LinesRequest {
  /** A log query. */
  readonly query: string
  /** Inclusive. */
  readonly start: NanoTime
  /** Exclusive. */
  readonly end: NanoTime
  readonly direction: Direction
  /** At most this many entries, the first in the direction. */
  readonly limit: number
  /** Bytes of lines kept; more is too_large. */
  readonly bytesMax: number
}

/** Lines read and their bytes, before any filter of the pipeline (the store's skipping aside). */
export interface ReadStats {
  readonly lines: number
  readonly bytes: number
}

/**
 * Entries in the order of the direction. Entry i: time, line bytes [lineStart[i], lineStart[i + 1]), and its labels by where they came from, as
 * indices into `sets`.
 */
export interface LogLines {
  readonly count: number
  readonly timeMs: Float64Array
  readonly subNs: Uint32Array
  readonly sets: readonly Labels[]
  readonly stream: Uint32Array
  readonly metadata: Uint32Array
  readonly parsed: Uint32Array
  readonly lineBytes: Uint8Array
  readonly lineStart: Uint32Array
  readonly stats: ReadStats
}

/** Steps are `startMs + k * stepMs`, k < count. */
export interface Grid {
  readonly startMs: number
  readonly stepMs: number
  readonly count: number
}

export interface SamplesRequest {
  /** A range aggregation. */
  readonly query: string
  readonly grid: Grid
  /** Sum over these labels beside the data: legal for counts and sums only. */
  readonly grouping: Grouping | undefined
  /** Cells and raw samples kept; more is too_large. */
  readonly cellsMax: number
}

/** How partial results of a range aggregation are kept; see `window-state.ts`. */
export type StateKind = 'count' | 'sum' | 'min' | 'max' | 'variance' | 'first' | 'last' | 'raw'

export interface SampleColumns {
  readonly kind: StateKind
  readonly labels: readonly Labels[]
  /** Per series `width(kind)` rows of `grid.count` cells; empty for `raw`. */
  readonly state: Float64Array
  /** `raw`: series i's samples are [rawStart[i], rawStart[i + 1]), in no order. */
  readonly rawStart: Uint32Array
  readonly rawTimes: Float64Array
  readonly rawValues: Float64Array
  readonly stats: ReadStats
}

export interface LogsQueryable {
  lines(request: LinesRequest, signal: AbortSignal): Promise<LogLines>
  samples(request: SamplesRequest, signal: AbortSignal): Promise<SampleColumns>
}
