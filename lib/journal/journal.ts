import type { PartitionKey, Signal } from './partition.ts'
import type { AppendRecord, JournalRecord } from './record.ts'

export interface Appended {
  readonly offset: number
  /** The journal's append time of the record, Unix milliseconds. */
  readonly appendedMs: number
}

export interface ReadFrom {
  readonly signal: Signal
  readonly partition: number
  readonly fromOffset: number
}

/**
 * A cursor keeps records from being deleted: everything at or after its offset in a partition stays. A partition it never
 * named is not held by it. Cursors are kept in memory only; whoever owns one sets it again after a start, before `deletePassed` runs.
 */
export interface Cursor {
  advance(key: PartitionKey, offset: number): void
  /** Takes the cursor away: it holds nothing any longer. */
  remove(): void
}

export interface JournalStats {
  readonly bytes: number
  readonly segments: number
  readonly appendedRecords: number
  readonly appendedItems: number
  readonly appendedBytes: number
  readonly rejectedFull: number
  readonly droppedRecords: number
  readonly syncs: number
  readonly tornBytes: number
}

/**
 * A partitioned, append-only log of batches: the file journal and the Kafka journal satisfy it, and one contract suite
 * (`contract.ts`) runs against both.
 */
export interface Journal {
  /** The life of this journal: made with the folder or topic, unchanged by restarts. */
  readonly epoch: string
  readonly partitions: Readonly<Record<Signal, number>>

  /**
   * Resolves once the record is durable. Records appended to one partition one after another get ascending offsets and are read in that order.
   * Errors: too_many (full; retry later), unavailable (disk full or I/O error; nothing was kept), too_large (payload over the limit),
   * canceled (closing).
   */
  append(signal: Signal, partition: number, record: AppendRecord): Promise<Appended>

  /**
   * As `append`, of several records one after another. Where it fails none after the first that was not kept is there, so that a sender who
   * repeats them all keeps its order.
   */
  appendAll(signal: Signal, partition: number, records: readonly AppendRecord[]): Promise<readonly Appended[]>

  /**
   * Durable records of the given partitions from the given offsets, each partition's in order, up to what is durable when the end is reached; with
   * `follow` it waits for more until the signal aborts. Errors: not_found where an offset was deleted (names the range that is lost).
   */
  read(from: readonly ReadFrom[], options?: { follow?: boolean; signal?: AbortSignal }): AsyncIterable<JournalRecord[]>

  /** The offset the next record of a partition will get, counting durable records only. */
  endOffset(signal: Signal, partition: number): number

  /** The lowest offset still there. */
  startOffset(signal: Signal, partition: number): number

  cursor(name: string): Cursor

  /** Deletes what every cursor has passed. Returns bytes freed. */
  deletePassed(): Promise<number>

  stats(): JournalStats

  /** Takes no more appends, waits for those under way, and closes. */
  close(): Promise<void>
}
