/**
 * The ledger of this process: what came in, what waits, what went out, what was stored, and why the rest was not. Over all hops it must balance: a producer's
 * records that a query node counts end at the sequence its journal ends at, and every hole has its ends.
 */
import type { ForwardStatus } from './collector/ship/index.ts'
import type { Journal, PartitionKey, Signal } from './lib/journal/index.ts'
import type { AppendCounts, SignalCounts } from './lib/producer/index.ts'
import type { LostRange } from './query/ingest/index.ts'
import type { QueryProgram } from './query/program.ts'
import type { PartitionLedger, ProducerCounts } from './query/shard/index.ts'

export interface Ledger {
  readonly node: string
  readonly role: string
  /** Made durable, or refused, by this process since it started. */
  readonly received: Readonly<Record<string, SignalCounts>>
  /** Of the journal on this process's disk or in its topics: records [start, end). */
  readonly journal: {
    readonly epoch: string
    readonly partitions: readonly { readonly key: PartitionKey; readonly start: number; readonly end: number }[]
  }
  readonly destinations: readonly ForwardStatus[]
  /** What became of items in the stores here, since their folders were made. `unaccounted` is 0 in a ledger that balances. */
  readonly stored: readonly (PartitionLedger & { readonly signal: string; readonly unaccounted: number })[]
  readonly producers: readonly (ProducerCounts & { readonly key: PartitionKey })[]
  /** Ranges of topics that were gone before they were applied. */
  readonly lost: readonly LostRange[]
}

export interface LedgerSources {
  readonly node: string
  readonly role: string
  readonly counts: AppendCounts
  readonly journal: Journal
  readonly destinations: () => readonly ForwardStatus[]
  readonly query: QueryProgram | undefined
}

const SIGNALS: readonly Exclude<Signal, 'control'>[] = ['metrics', 'logs', 'traces']

export async function ledgerOf({ node, role, counts, journal, destinations, query }: LedgerSources): Promise<Ledger> {
  const partitions = SIGNALS.flatMap((signal) =>
    Array.from({ length: journal.partitions[signal] }, (_, p) => ({
      key: `${signal}/${p}` as PartitionKey,
      start: journal.startOffset(signal, p),
      end: journal.endOffset(signal, p),
    })),
  )
  const producers = (await query?.shards.producerCounts()) ?? []
  return {
    node,
    role,
    received: Object.fromEntries(SIGNALS.map((signal) => [signal, counts.of(signal)])),
    journal: { epoch: journal.epoch, partitions: partitions.filter(({ end }) => end > 0) },
    destinations: destinations(),
    stored: query === undefined ? [] : await storedOf(query),
    producers: producers.flatMap(({ key, producers: all }) => all.map((one) => ({ key, ...one }))),
    lost: query?.ingest.lost() ?? [],
  }
}

async function storedOf(query: QueryProgram): Promise<Ledger['stored']> {
  const status = await query.shards.status()
  return SIGNALS.map((signal) => {
    const sum = { records: 0, items: 0, stored: 0, repeatedRecords: 0, repeatedItems: 0, gaps: 0 }
    const dropped: Record<string, number> = {}
    for (const { ledger } of status.filter(({ key }) => key.startsWith(`${signal}/`))) {
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += ledger[name]
      for (const [reason, count] of Object.entries(ledger.dropped)) dropped[reason] = (dropped[reason] ?? 0) + count
    }
    const droppedItems = Object.values(dropped).reduce((total, count) => total + count, 0)
    return { signal, ...sum, dropped, unaccounted: sum.items - sum.stored - sum.repeatedItems - droppedItems }
  })
}
