/**
 * Records that another journal wrote first, with its marks: what a receiver of shipped records does before they are appended. It knows the last
 * sequence of each producer, leaves out what is there already, and refuses what would leave a hole.
 */
import { partitionKey, SequenceTracker, type JournalRecord, type PartitionKey, type ProducerState, type Signal } from '../journal/index.ts'

/** A record was missing before one of the request. */
export interface MarkedGap {
  readonly producer: string
  readonly epoch: string
  /** The last sequence that is here, −1 for none: the next one is wanted. */
  readonly lastSequence: number
}

export interface MarkedOutcome {
  readonly appended: number
  readonly repeated: number
  /** Nothing from the record after the gap on was appended. */
  readonly gap: MarkedGap | undefined
}

/** Where shipped records go in. */
export interface MarkedAppender {
  partitionCount(signal: Signal): number

  /**
   * Appends, in order, what isn't here yet, up to the first gap, or over gaps where `acceptGaps` (they are counted where the records are applied).
   * Errors: as `Appender.append`; a repetition of the same call goes on where this one ended.
   */
  appendMarked(signal: Signal, partition: number, records: readonly JournalRecord[], acceptGaps: boolean): Promise<MarkedOutcome>
}

/** All of the records, or none after the first that failed. */
export type AppendAll = (signal: Signal, partition: number, records: readonly JournalRecord[]) => Promise<void>

export interface MarkedGateOptions {
  /** A producer that isn't known goes on wherever it is: for who doesn't keep over restarts what it knew. */
  readonly trustsUnknown: boolean
}

export class MarkedGate {
  readonly #appendAll: AppendAll
  readonly #trustsUnknown: boolean
  readonly #trackers = new Map<PartitionKey, SequenceTracker>()
  readonly #lanes = new Map<PartitionKey, Promise<unknown>>()

  constructor(appendAll: AppendAll, { trustsUnknown }: MarkedGateOptions) {
    this.#appendAll = appendAll
    this.#trustsUnknown = trustsUnknown
  }

  /** What was known of a partition's producers before this process. */
  seed(key: PartitionKey, states: readonly ProducerState[]): void {
    this.#trackers.set(key, new SequenceTracker(states))
  }

  /** A record that is in the journal. */
  observe({ signal, partition, mark }: Pick<JournalRecord, 'signal' | 'partition' | 'mark'>): void {
    this.#trackerOf(partitionKey(signal, partition)).observe(mark)
  }

  /** One request of a partition after the other. */
  take(signal: Signal, partition: number, records: readonly JournalRecord[], acceptGaps: boolean): Promise<MarkedOutcome> {
    const key = partitionKey(signal, partition)
    const before = this.#lanes.get(key) ?? Promise.resolve()
    const taken = before.then(() => this.#take(key, signal, partition, records, acceptGaps))
    this.#lanes.set(
      key,
      taken.catch(() => {}),
    )
    return taken
  }

  async #take(
    key: PartitionKey,
    signal: Signal,
    partition: number,
    records: readonly JournalRecord[],
    acceptGaps: boolean,
  ): Promise<MarkedOutcome> {
    const tracker = this.#trackerOf(key)
    // What the request itself brings counts for its later records, and is known only once it is durable.
    const within = new SequenceTracker(records.flatMap(({ mark }) => tracker.stateOf(mark.producer) ?? []))
    const fresh: JournalRecord[] = []
    let gap: MarkedGap | undefined
    let repeated = 0
    for (const record of records) {
      const { mark } = record
      if (within.isRepeat(mark)) {
        repeated++
        continue
      }
      const isTrusted = this.#trustsUnknown && within.stateOf(mark.producer) === undefined
      const hole = isTrusted ? undefined : within.gapBefore(mark)
      if (hole !== undefined && !acceptGaps) {
        gap = { producer: hole.producer, epoch: hole.epoch, lastSequence: hole.afterSequence }
        break
      }
      within.observe(mark)
      fresh.push(record)
    }
    await this.#appendAll(signal, partition, fresh)
    for (const { mark } of fresh) tracker.observe(mark)
    return { appended: fresh.length, repeated, gap }
  }

  #trackerOf(key: PartitionKey): SequenceTracker {
    const tracker = this.#trackers.get(key) ?? new SequenceTracker()
    this.#trackers.set(key, tracker)
    return tracker
  }
}
