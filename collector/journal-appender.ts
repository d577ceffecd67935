/** The way into a collector's own journal: what it reads and receives waits there until it is shipped. */
import type { AppendRecord, Journal, JournalRecord, Signal } from '../lib/journal/index.ts'
import {
  AppendCounts,
  MarkedGate,
  type Appender,
  type MarkedAppender,
  type MarkedOutcome,
  type ProducedBatch,
} from '../lib/producer/index.ts'

export class JournalAppender implements Appender, MarkedAppender {
  readonly #journal: Journal
  readonly #gate: MarkedGate
  readonly counts = new AppendCounts()

  constructor(journal: Journal) {
    this.#journal = journal
    this.#gate = new MarkedGate((signal, partition, records) => this.#append(signal, partition, records), { trustsUnknown: true })
  }

  partitionCount(signal: Signal): number {
    return this.#journal.partitions[signal]
  }

  async append(signal: Signal, tenant: string, batches: readonly ProducedBatch[]): Promise<void> {
    const results = await Promise.allSettled(batches.map((batch) => this.#append(signal, batch.partition, [{ ...batch, tenant }])))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  appendMarked(signal: Signal, partition: number, records: readonly JournalRecord[], acceptGaps: boolean): Promise<MarkedOutcome> {
    return this.#gate.take(signal, partition, records, acceptGaps)
  }

  #append(signal: Signal, partition: number, records: readonly AppendRecord[]): Promise<void> {
    return this.counts.around(signal, records, () => this.#journal.appendAll(signal, partition, records))
  }
}
