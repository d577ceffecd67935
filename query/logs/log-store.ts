import type { Labels, Matcher } from '../../lib/model/index.ts'
import type { LogScan, LogScanTask, PartitionStore, Task } from '../store/index.ts'

export interface LogStats {
  readonly streams: number
  readonly chunks: number
  /** Of lines, uncompressed. */
  readonly bytes: number
  readonly entries: number
}

/** Bytes and entries of one stream in a time range. */
export interface StreamVolume {
  readonly labels: Labels
  readonly bytes: number
  readonly entries: number
}

/** The logs of one partition. Ranges are Unix milliseconds, both ends inclusive, and as exact as blocks are: a stream counts where a block of it overlaps. */
export interface LogStore extends PartitionStore {
  scan(tenant: string, scan: LogScan): LogScanTask
  labelNames(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<string[]>
  labelValues(tenant: string, name: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<string[]>
  series(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<Labels[]>
  volume(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<StreamVolume[]>
  stats(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<LogStats>
}
