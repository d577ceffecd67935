/**
 * What a partition asks of the store that holds its data, whatever the signal: metrics, logs or traces.
 *
 * A partition (one signal, one number) owns one folder and one store. Its worker thread is the only one that touches
 * either. Records arrive in offset order and are applied synchronously, so a query never sees half a record. What a
 * checkpoint names is immutable: the partition writes one manifest (`query/shard`) with the files a store returned, renames
 * it into place, and only then lets the store delete what the manifest no longer names. On start the store gets the
 * files of the last manifest, deletes the rest, and the journal is replayed from the manifest's offset.
 *
 * Every call that reads or writes data takes the tenant first.
 */

/**
 * Work in slices: the generator yields wherever it may be suspended (at least every few milliseconds of work), and returns its
 * result. Appends may happen between two slices; immutable files named at the start stay readable until it returns.
 */
export type Task<T> = Generator<void, T, void>

/** One journal record as a store sees it. `payload` belongs to the caller: copy what is kept beyond the call. */
export interface StoreRecord {
  readonly payload: Uint8Array
  /** Offset in the partition's journal. */
  readonly offset: number
  /** When it was appended to the journal, Unix milliseconds; the same at every replay. */
  readonly appendedMs: number
  /** True where the source has positions (tailed files): its items are never looked up as repeats. */
  readonly positioned: boolean
}

/** What became of a record's items. `stored` + all of `dropped` + `pending` = the items in the record. */
export interface AppendOutcome {
  readonly stored: number
  /** Items a shared store has not answered for yet; the checkpoint that covers them tells what became of them. */
  readonly pending?: number
  /** Items not stored, by reason: `duplicate`, `conflict`, `future`, `limit_series`, `unknown_layout`, `malformed`, … */
  readonly dropped: Readonly<Record<string, number>>
}

/** An immutable file in the partition's folder. */
export interface StoreFile {
  /** Relative to the store's folder. */
  readonly name: string
  readonly bytes: number
  /** Offsets of the records whose items are in it: first, and one past the last. */
  readonly fromOffset: number
  readonly toOffset: number
  /** Time range of the data, Unix milliseconds, both inclusive. */
  readonly minMs: number
  readonly maxMs: number
}

export interface CheckpointFiles {
  /** All files that together hold every item appended before `checkpoint` was called, but for what retention dropped. */
  readonly files: readonly StoreFile[]
  /** Small JSON state the store wants back on start. */
  readonly state: unknown
  /** What became of the items that `append` left pending since the checkpoint before. */
  readonly outcome?: AppendOutcome
}

export interface PartitionStore {
  append(tenant: string, record: StoreRecord): AppendOutcome

  /** Takes in what later records refer to (layouts), and nothing else: the record's items are another holder's. */
  learn?(tenant: string, record: StoreRecord): void

  /** Where a store sends data elsewhere: undefined while it can take more, otherwise resolves when it can. Who appends waits for it, within bounds. */
  room?(): Promise<void> | undefined

  /** True where a checkpoint may take as long as somebody else is away: nothing else waits for it. */
  readonly settlesLater?: boolean

  /** Counts since the start, by name, for whoever shows metrics. */
  counters?(): Readonly<Record<string, number>>

  /**
   * Makes everything appended before the call durable in files. Takes its snapshot synchronously, then writes and fsyncs; appends go on
   * meanwhile. At most one at a time.
   */
  checkpoint(): Promise<CheckpointFiles>

  /** The manifest naming the last checkpoint's files is durable: whatever else lies in the folder may be deleted. */
  release(): Promise<void>

  /** Merges small files into larger ones. Its result is named by the next checkpoint; the inputs stay until `release`. True where something was merged. */
  compact(nowMs: number): Task<boolean>

  /** Forgets data older than the cut-off of its tenant; files go at the next `release`. Returns bytes freed. */
  dropBefore(cutoffMs: (tenant: string) => number): number

  /** Times of the data it holds, Unix milliseconds, ascending; the last may reach to Infinity. Absent: any. */
  timeRanges?(): readonly (readonly [startMs: number, endMs: number])[]

  /** Bytes held in memory, estimated: heads, indexes and caches. */
  memoryBytes(): number

  close(): Promise<void>
}

/** How a store is opened: with the last manifest's files and state, or with none for a new partition. */
export interface StoreOpenOptions {
  readonly dir: string
  readonly files: readonly StoreFile[]
  /** Names of files that may turn out to be ours: neither opened nor deleted. Nothing is written until that is known. */
  readonly kept?: readonly string[]
  readonly state: unknown
  readonly limits: StoreLimits
}

/** Limits every store knows; 0 means none. Per tenant and partition. */
export interface StoreLimits {
  /** Series of metrics with data in the head. */
  readonly seriesMax: number
  /** Streams of logs. */
  readonly streamsMax: number
  /** Samples, lines or spans later than the append time by more than this are refused as `future`. */
  readonly futureMaxMs: number
  /** How far back a repeated log record or span is looked for. */
  readonly repeatWindowMs: number
  /** Bytes a query may read into memory at once; storage throws `too_large` beyond it. */
  readonly queryBytesMax: number
}

export type { LogRows, LogScan, LogScanTask, NanoTime } from './log-rows.ts'
export type { SpanView, TraceConditions, TraceScan, TraceScanTask, TraceView } from './trace-rows.ts'
