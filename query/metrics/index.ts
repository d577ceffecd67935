/**
 * The metrics store of one partition: series in groups that share timestamps, a head in memory, immutable files on disk.
 *
 * Rows are appended to groups (`group.ts`), sealed into columns (`values.ts`, `column.ts`, `chunk.ts`), written by checkpoints as chunk files beside a file of the unsealed
 * rows (`checkpoint.ts`), and merged into blocks (`block.ts`, `compact.ts`). For one (series, timestamp) the first sample in journal order wins, before and after
 * every restart and compaction. Staleness is a kind of cell, never a NaN.
 *
 * One thread owns a store. Appends are synchronous; reads are tasks that give way every few milliseconds, and must be run to their end or be
 * ended with `return()`. Costs: a few nanoseconds a sample to append and to decode, about one byte a sample on disk, a few hundred bytes of memory a series.
 * The files are drawn in docs/formats/metrics.md.
 */
import type { Labels, Matcher, SeriesSamples } from '../../lib/model/index.ts'
import type { FamilyMetadata } from '../../lib/wire/rows/index.ts'
import type { PartitionStore, StoreOpenOptions, Task } from '../store/index.ts'
import type { Cardinality, NamedCount } from './cardinality.ts'
import type { SeriesExemplars, StoredExemplar } from './exemplars.ts'

export { mergeParts } from './merge.ts'
export { openMetricsStore } from './store.ts'
export type { Cardinality, FamilyMetadata, NamedCount, SeriesExemplars, StoredExemplar }

export interface MetricsOpenOptions extends StoreOpenOptions {
  /** Bytes of file pages kept in memory; default 64 MiB. */
  readonly cacheBytesMax?: number
  /** Exemplars kept for each tenant; default 10,000. */
  readonly exemplarsMax?: number
}

export interface SelectLimits {
  readonly samplesMax: number
}

/** Times are Unix milliseconds, ranges include both ends; a `limit` of 0 means none. Tenants that were never seen have nothing. */
export interface MetricsStore extends PartitionStore {
  /** Raw samples of the matching series that have one in the range, in no order. Errors: `too_large` beyond `samplesMax`. */
  select(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number, limits: SelectLimits): Task<SeriesSamples[]>
  labelNames(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number, limit: number): Task<string[]>
  labelValues(tenant: string, name: string, matchers: readonly Matcher[], startMs: number, endMs: number, limit: number): Task<string[]>
  series(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number, limit: number): Task<Labels[]>
  /** Exemplars of the series that any of the selectors holds for. */
  exemplars(tenant: string, selectors: readonly (readonly Matcher[])[], startMs: number, endMs: number): Task<SeriesExemplars[]>
  /** Family -> what was said of it, each variant once. */
  metadata(tenant: string, metric: string | undefined, limit: number): Task<Map<string, FamilyMetadata[]>>
  /** What `status/tsdb` shows of the head; `limit` entries a list. */
  cardinality(tenant: string, limit: number): Task<Cardinality>
}
