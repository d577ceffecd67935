/**
 * The log store of one partition: streams, blocks of lines in columns, immutable segments.
 *
 * A journal record carries streams as normalised OTLP (`lib/wire/otlp/logs`); its lines are copied into the tenant's open block (`block.ts`). A checkpoint closes
 * that block and writes what is new as one segment; compaction merges neighbours. Every line is searchable without having been indexed by anything but its
 * block's filters (`query/events`). A retried push is recognised by stream, time, line and metadata (`repeats.ts`); tailed lines have positions and never are.
 *
 * One thread owns a store. Files: docs/formats/events.md.
 */
import { EmbeddedLogStore, type LogStoreOptions } from './store.ts'
import type { LogStore } from './log-store.ts'

export type { LogStats, LogStore, StreamVolume } from './log-store.ts'

/** Errors: corruption, naming the file. */
export async function openLogStore(options: LogStoreOptions): Promise<LogStore> {
  const store = new EmbeddedLogStore(options)
  store.load()
  return store
}
