/** What came into a journal through this process since it started, by signal: the first line of the ledger. */
import type { AppendRecord, Signal } from '../journal/index.ts'
import { kindOf } from '../runtime/errors.ts'
import { observedCounter } from '../telemetry/index.ts'

export interface SignalCounts {
  readonly records: number
  readonly items: number
  readonly bytes: number
  /** Items that were not appended, by reason: their sender was told so. */
  readonly refused: Readonly<Record<string, number>>
}

type Mutable = { records: number; items: number; bytes: number; refused: Record<string, number> }

const SIGNALS: readonly Signal[] = ['metrics', 'logs', 'traces']

export class AppendCounts {
  readonly #bySignal = new Map<Signal, Mutable>()

  of(signal: Signal): SignalCounts {
    return this.#of(signal)
  }

  /** Appends and counts: as appended, or as refused with the error's kind. Errors: those of `append`. */
  async around(signal: Signal, records: readonly AppendRecord[], append: () => Promise<unknown>): Promise<void> {
    try {
      await append()
      this.appended(signal, records)
    } catch (error) {
      this.refused(
        signal,
        records.reduce((sum, { items }) => sum + items, 0),
        error,
      )
      throw error
    }
  }

  appended(signal: Signal, records: readonly AppendRecord[]): void {
    const counts = this.#of(signal)
    counts.records += records.length
    for (const { items, payload } of records) {
      counts.items += items
      counts.bytes += payload.length
    }
  }

  refused(signal: Signal, items: number, error: unknown): void {
    const { refused } = this.#of(signal)
    const reason = kindOf(error)
    refused[reason] = (refused[reason] ?? 0) + items
  }

  #of(signal: Signal): Mutable {
    const counts = this.#bySignal.get(signal) ?? { records: 0, items: 0, bytes: 0, refused: {} }
    this.#bySignal.set(signal, counts)
    return counts
  }
}

/** Once a process. */
export function registerAppendMetrics(counts: AppendCounts): void {
  observedCounter(
    'sightline_ingest_items_total',
    'Samples, lines and spans made durable in the journal by this process.',
    ['signal'],
    async () => SIGNALS.map((signal) => ({ labels: { signal }, value: counts.of(signal).items })),
  )
  observedCounter(
    'sightline_ingest_refused_items_total',
    'Items that were not appended: their sender was told so.',
    ['signal', 'reason'],
    async () =>
      SIGNALS.flatMap((signal) =>
        Object.entries(counts.of(signal).refused).map(([reason, value]) => ({ labels: { signal, reason }, value })),
      ),
  )
}
