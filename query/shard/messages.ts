/** What the front and a worker thread say to each other. */
import type { JournalRecord, PartitionKey } from '../../lib/journal/index.ts'
import type { ErrorKind } from '../../lib/runtime/errors.ts'
import type { DataSignal } from './fragment.ts'
import type { Cutoffs, PartitionStatus, ShardOptions } from './local-shard.ts'

export type ToWorker =
  | { readonly t: 'append'; readonly record: JournalRecord }
  | { readonly t: 'query'; readonly id: number; readonly kind: string; readonly tenant: string; readonly request: unknown }
  | { readonly t: 'cancel'; readonly id: number }
  | { readonly t: 'retain'; readonly id: number; readonly cutoffs: Cutoffs }
  | { readonly t: 'status'; readonly id: number }
  | { readonly t: 'checkpoint'; readonly id: number }
  | { readonly t: 'close'; readonly id: number }

export type FromWorker =
  | { readonly t: 'ready'; readonly status: readonly PartitionStatus[] }
  | { readonly t: 'failed'; readonly kind: ErrorKind; readonly message: string }
  | { readonly t: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly t: 'error'; readonly id: number; readonly kind: ErrorKind; readonly message: string }
  /** Payload bytes applied since the last such message. */
  | { readonly t: 'applied'; readonly signal: DataSignal; readonly bytes: number }
  | { readonly t: 'checkpointed'; readonly key: PartitionKey; readonly offset: number }
  | { readonly t: 'trouble'; readonly message: string; readonly where: string }

export type WorkerData = ShardOptions
