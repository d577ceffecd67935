/** What the front and a worker thread say to each other. */
import type { JournalRecord, Mark, PartitionKey } from '../../lib/journal/index.ts'
import type { ErrorKind } from '../../lib/runtime/errors.ts'
import type { DataSignal } from './fragment.ts'
import type { Cutoffs, OpenedPartition, ShardOptions } from './local-shard.ts'

export type ToWorker =
  | { readonly t: 'append'; readonly record: JournalRecord }
  | { readonly t: 'query'; readonly id: number; readonly kind: string; readonly tenant: string; readonly request: unknown }
  | { readonly t: 'cancel'; readonly id: number }
  | { readonly t: 'retain'; readonly id: number; readonly cutoffs: Cutoffs }
  | { readonly t: 'status'; readonly id: number }
  | { readonly t: 'checkpoint'; readonly id: number }
  | { readonly t: 'own'; readonly id: number; readonly numbers: readonly number[]; readonly marks: ReadonlyMap<PartitionKey, Mark> }
  | { readonly t: 'decide'; readonly id: number; readonly marks: ReadonlyMap<PartitionKey, Mark> }
  | { readonly t: 'handOver'; readonly id: number; readonly numbers: readonly number[] }
  | { readonly t: 'lose'; readonly id: number; readonly numbers: readonly number[] }
  | { readonly t: 'producers'; readonly id: number }
  | { readonly t: 'holdings'; readonly id: number }
  /** The group's answer to a `commit`. */
  | { readonly t: 'committed'; readonly commit: number; readonly accepted: boolean | undefined }
  | { readonly t: 'close'; readonly id: number }

export type FromWorker =
  | { readonly t: 'ready'; readonly opened: readonly OpenedPartition[] }
  | { readonly t: 'failed'; readonly kind: ErrorKind; readonly message: string }
  | { readonly t: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly t: 'error'; readonly id: number; readonly kind: ErrorKind; readonly message: string }
  /** Payload bytes applied since the last such message. */
  | { readonly t: 'applied'; readonly signal: DataSignal; readonly bytes: number }
  | { readonly t: 'checkpointed'; readonly key: PartitionKey; readonly offset: number }
  | { readonly t: 'commit'; readonly commit: number; readonly key: PartitionKey; readonly mark: Omit<Mark, 'node'> }
  | { readonly t: 'trouble'; readonly message: string; readonly where: string }

export type WorkerData = ShardOptions
