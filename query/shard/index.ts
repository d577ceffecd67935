/**
 * Shards: how one process uses many cores, and later many machines.
 *
 * A shard owns partitions and the store of each; it takes appends and executes fragments (`fragment.ts`), the leaves of query plans. `LocalShard`
 * runs on the calling thread, `WorkerShard` on a thread of its own; `Shards` is all of them behind one front. A thread is a small scheduler: appends
 * first, then slices of running fragments in turn, then background work. The language of a query is not known here: each signal brings its store and
 * its fragment kinds as a `SignalHost` (`hosts.ts`).
 *
 * Records and messages travel in order, so a query that is sent after an append sees it.
 */
export { QueryNotes, type AnyFragmentKind, type DataSignal, type FragmentKind, type FragmentRunner, type TimeWindow } from './fragment.ts'
export { fragmentKind } from './hosts.ts'
export type { Holding } from './local-shard.ts'
export { LocalShard, type Cutoffs, type OpenedPartition, type PartitionStatus, type ShardOptions, type SignalHost } from './local-shard.ts'
export type { PartitionLedger } from './manifest.ts'
export type { CommitMark, OwnedFrom } from './partition.ts'
export { wasAccepted } from './ownership.ts'
export type { ProducerCounts } from './producer-ledger.ts'
export { runToEnd, Scheduler } from './scheduler.ts'
export { Shards, type ShardsOptions } from './shards.ts'
