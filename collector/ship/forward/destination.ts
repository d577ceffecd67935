import type { JournalRecord, Signal } from '../../../lib/journal/index.ts'
import type { MarkedGap } from '../../../lib/producer/index.ts'

export type ShippedSignal = Exclude<Signal, 'control'>

/** What became of records that were sent: the first `taken` are durable over there or refused for good. */
export interface Delivery {
  readonly taken: number
  /** Items among them that the destination will never take, by reason. */
  readonly refused: Readonly<Record<string, number>>
  /** Records before the one after `taken` are missing over there. */
  readonly gap: MarkedGap | undefined
}

/** Somebody who takes records. */
export interface RecordDestination {
  /** How many partitions a signal has over there; undefined where it doesn't matter. Errors: as `deliver`. */
  partitions(signal: AbortSignal): Promise<number | undefined>

  /**
   * Sends records of one partition, in order.
   * Errors: of a retriable kind, `unauthenticated` and `forbidden`: to be tried again whole; anything else is a bug.
   *
   * @param partition over there
   * @param acceptGaps the records before are gone: go on without them
   */
  deliver(
    signal: ShippedSignal,
    partition: number,
    records: readonly JournalRecord[],
    acceptGaps: boolean,
    abort: AbortSignal,
  ): Promise<Delivery>

  close(): void
}
