import type { PartitionKey } from './partition.ts'

/** How far a partition was made durable in files, and by whom. */
export interface Mark {
  /** Records before it are in files of `node`. */
  readonly offset: number
  /** The member that committed it. */
  readonly node: string
  /** What a new owner needs to go on from `offset`; the committer's own bytes, at most `MARK_STATE_BYTES_MAX`. */
  readonly state: Uint8Array
}

export const MARK_STATE_BYTES_MAX = 512 * 1024

/**
 * What the group tells a member. A number stands for the partition of that number of metrics, logs and traces together; who has 0 has `control/0` too.
 */
export interface GroupHandlers {
  /** These are this member's from now on, beside those it has. Not awaited. */
  assigned(partitions: readonly number[]): void
  /**
   * These are to be given up. The group waits until it resolves, at most its rebalance timeout: nothing of them is applied any more, and
   * the last commits have been answered.
   */
  revoked(partitions: readonly number[]): Promise<void>
  /** The group went on without this member: these may be another's already, and commits of them are refused. */
  lost(partitions: readonly number[]): void
}

/**
 * Which member of a group applies which partitions. The group gives assignment only: offsets are read from marks, and a mark is accepted only from
 * the present owner.
 */
export interface PartitionGroup {
  /** Resolves once the first assignment came. Errors: unavailable (no broker), conflict (another member has this node's name). */
  join(handlers: GroupHandlers): Promise<void>
  /** The last accepted marks; a partition without one is absent. Errors: unavailable. */
  committed(keys: readonly PartitionKey[]): Promise<ReadonlyMap<PartitionKey, Mark>>
  /**
   * True once the mark is durable; false where it was refused because the partition is not this member's (any longer): what lies past the last
   * accepted mark is then not ours. Errors: unavailable (not known; ask again).
   */
  commit(key: PartitionKey, mark: Omit<Mark, 'node'>): Promise<boolean>
  /** Gives everything up (`revoked` runs) and leaves. A static member that only restarts doesn't call it. */
  leave(): Promise<void>
  /** Ends without leaving: a static member keeps its partitions until its session times out. */
  close(): Promise<void>
}
