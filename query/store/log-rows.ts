import type { Labels, Matcher } from '../../lib/model/index.ts'

/** An instant to the nanosecond: Unix milliseconds (a whole number) and the nanoseconds below, 0 … 999,999. */
export interface NanoTime {
  readonly ms: number
  readonly subNs: number
}

/**
 * Log lines as columns, how a log store hands them to whoever evaluates a query.
 *
 * Row i: stream `streams[streamOf[i]]`, time `timeMs[i]` and `subNs[i]`, line bytes [lineStart[i], lineEnd[i]) of `lineBytes` (UTF-8), structured metadata
 * `metadata[metadataOf[i]]`. All arrays are the store's: read only, and good until the generator is asked for more.
 */
export interface LogRows {
  readonly count: number
  readonly streams: readonly Labels[]
  readonly streamOf: Uint32Array
  readonly timeMs: Float64Array
  readonly subNs: Uint32Array
  readonly lineBytes: Uint8Array
  readonly lineStart: Uint32Array
  readonly lineEnd: Uint32Array
  readonly metadata: readonly Labels[]
  readonly metadataOf: Uint32Array
}

export interface LogScan {
  /** On stream labels. */
  readonly matchers: readonly Matcher[]
  /** Inclusive. */
  readonly start: NanoTime
  /** Exclusive. */
  readonly end: NanoTime
  /** Rows come in order of time over all streams, newest first for `backward`; `any` is faster and has no order. */
  readonly order: 'forward' | 'backward' | 'any'
  /**
   * Texts that every wanted line contains, byte for byte. The store uses them to skip blocks, and hands out only lines that hold all of them.
   */
  readonly needles: readonly string[]
}

/** `undefined` = a place where the task may be suspended. Who stops pulling calls `return()`. */
export type LogScanTask = Generator<LogRows | undefined, void, void>
