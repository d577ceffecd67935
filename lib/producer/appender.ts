import type { Encoding, Signal } from '../journal/index.ts'

/** A batch of one tenant for one partition, as a receiver, scraper or rule made it. */
export interface ProducedBatch {
  readonly partition: number
  readonly encoding: Encoding
  readonly payload: Uint8Array
  readonly items: number
  /** Where a replayable source stands once this batch is durable. */
  readonly position?: string
  /** For derived data: the producer and sequence of its own (design: repeats of a replay are dropped). */
  readonly mark?: { readonly producer: string; readonly epoch: string; readonly sequence: number; readonly previous: number }
}

/**
 * The way into the journal that every producer is given. In the role `all` it is the local journal and its shards; a collector's is its
 * own journal.
 */
export interface Appender {
  partitionCount(signal: Signal): number

  /**
   * Resolves once every batch is durable. Batches of one partition keep their order, also over several calls.
   * Errors: too_many (full: wait `retryAfterMs`), unavailable, too_large. Then some batches may be durable and others not; a client that
   * retries the whole request is recognised by what the stores know of identity.
   */
  append(signal: Signal, tenant: string, batches: readonly ProducedBatch[]): Promise<void>
}
