import type { JournalRecord, PartitionKey } from '../../lib/journal/index.ts'
import type { AppendCounts, Appender, MarkedAppender } from '../../lib/producer/index.ts'

/** Records [from, to) of a partition were gone before they were applied. */
export interface LostRange {
  readonly key: PartitionKey
  readonly from: number
  readonly to: number
  readonly foundMs: number
}

/** Records of data behind the checkpoints; control records are read at every start and not counted. */
export interface ReplayProgress {
  readonly totalRecords: number
  readonly doneRecords: number
}

/** The way from producers over the journal to this node's shards: alone (`ingest.ts`) or in a group (`group-ingest.ts`). */
export interface QueryIngest extends Appender, MarkedAppender {
  readonly counts: AppendCounts
  readonly progress: ReplayProgress
  /** Takes up what the journal holds beyond the checkpoints. Nothing is appended before. */
  start(): Promise<void>
  /** All control records that are there, oldest first. */
  takeControls(): Promise<JournalRecord[]>
  /** Control records before `offset` are contained in a later one. */
  controlCompacted(offset: number): void
  /** True once everything is readable here that was in the journal when it was asked; false where that took longer than `timeoutMs`. */
  fresh(timeoutMs: number, signal?: AbortSignal): Promise<boolean>
  /** Partition numbers that this node applies. */
  owned(): readonly number[]
  lost(): readonly LostRange[]
  /** Applies nothing more; the last checkpoints come after it. */
  stopReading(): Promise<void>
  close(): Promise<void>
}
