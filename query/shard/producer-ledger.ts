/** What became of each producer's records in a partition, since the partition was made: the ledger's last hop. */
import type { Gap, JournalRecord, Verdict } from '../../lib/journal/index.ts'
import type { AppendOutcome } from '../store/index.ts'

export interface ProducerCounts {
  readonly producer: string
  readonly epoch: string
  readonly lastSequence: number
  readonly records: number
  readonly items: number
  readonly stored: number
  readonly repeatedRecords: number
  readonly repeatedItems: number
  readonly droppedItems: number
  /** Holes in its sequence, the newest `GAPS_MAX`. */
  readonly gaps: readonly Omit<Gap, 'producer'>[]
  readonly gapCount: number
}

type Mutable = { -readonly [K in keyof Omit<ProducerCounts, 'gaps'>]: ProducerCounts[K] } & { gaps: Omit<Gap, 'producer'>[] }

/** The one unseen for longest is forgotten first. */
const PRODUCERS_MAX = 10_000
const GAPS_MAX = 100

export class ProducerLedger {
  readonly #byProducer = new Map<string, Mutable>()

  constructor(saved: readonly ProducerCounts[] = []) {
    for (const counts of saved) this.#byProducer.set(counts.producer, { ...counts, gaps: [...counts.gaps] })
  }

  note(record: JournalRecord, verdict: Verdict, gap: Gap | undefined, outcome: AppendOutcome | undefined): void {
    const { producer, epoch, sequence } = record.mark
    const counts = this.#of(producer, epoch)
    counts.records++
    counts.items += record.items
    if (verdict === 'repeat') {
      counts.repeatedRecords++
      counts.repeatedItems += record.items
      return
    }
    counts.epoch = epoch
    counts.lastSequence = sequence
    const stored = outcome?.stored ?? 0
    counts.stored += stored
    counts.droppedItems += record.items - stored
    if (gap === undefined) return
    counts.gapCount++
    counts.gaps.push({ epoch, afterSequence: gap.afterSequence, beforeSequence: gap.beforeSequence })
    if (counts.gaps.length > GAPS_MAX) counts.gaps.shift()
  }

  counts(): ProducerCounts[] {
    return [...this.#byProducer.values()].map((counts) => ({ ...counts, gaps: [...counts.gaps] }))
  }

  #of(producer: string, epoch: string): Mutable {
    const counts: Mutable = this.#byProducer.get(producer) ?? {
      producer,
      epoch,
      lastSequence: -1,
      records: 0,
      items: 0,
      stored: 0,
      repeatedRecords: 0,
      repeatedItems: 0,
      droppedItems: 0,
      gaps: [],
      gapCount: 0,
    }
    this.#byProducer.delete(producer)
    this.#byProducer.set(producer, counts)
    if (this.#byProducer.size > PRODUCERS_MAX) this.#byProducer.delete(this.#byProducer.keys().next().value!)
    return counts
  }
}
