/**
 * The trace store of one partition: spans as the bytes they came in, beside columns of what searches look at first.
 *
 * A journal record is an OTLP request whose traces all belong here (`lib/wire/otlp/traces` splits). Identity is (trace, span, start): a retried export is
 * dropped. Blocks know which traces they hold by hash, so a trace is gathered from few of them; filters (`query/events`) spare searches for an attribute's
 * value the rest. Reading a trace by id gives what was sent.
 *
 * One thread owns a store. Files: docs/formats/events.md.
 */
import { EmbeddedTraceStore, type TraceStoreOptions } from './store.ts'
import type { TraceStore } from './trace-store.ts'

export type { Operation, TraceStore } from './trace-store.ts'

/** Errors: corruption, naming the file. */
export async function openTraceStore(options: TraceStoreOptions): Promise<TraceStore> {
  const store = new EmbeddedTraceStore(options)
  store.load()
  return store
}
