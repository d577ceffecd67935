/**
 * The ledger as metrics: what was appended to the journal, what of it the stores took, and why the rest was not. For each signal
 * appended = stored + repeated + the dropped reasons, once everything is applied.
 */
import type { Signal } from '../lib/journal/index.ts'
import { observedCounter } from '../lib/telemetry/index.ts'
import type { PartitionStatus, Shards } from './shard/index.ts'

const SIGNALS: readonly Signal[] = ['metrics', 'logs', 'traces']
/** Both metrics below are read in one scrape: the shards are asked once for it. */
const FRESH_MS = 500

export function registerLedgerMetrics(shards: Shards): void {
  let asked = { atMs: -Infinity, status: Promise.resolve<PartitionStatus[]>([]) }
  const status = (): Promise<PartitionStatus[]> => {
    if (performance.now() - asked.atMs > FRESH_MS) asked = { atMs: performance.now(), status: shards.status() }
    return asked.status
  }
  observedCounter(
    'sightline_store_items_total',
    'Items of journal records by what became of them, since the data folder was made.',
    ['signal', 'result'],
    async () => {
      const sums = new Map<string, { labels: { signal: string; result: string }; value: number }>()
      const add = (signal: string, result: string, value: number): void => {
        const sum = sums.get(`${signal} ${result}`)
        sums.set(`${signal} ${result}`, { labels: { signal, result }, value: value + (sum?.value ?? 0) })
      }
      for (const { key, ledger } of await status()) {
        const signal = key.split('/')[0]!
        add(signal, 'stored', ledger.stored)
        add(signal, 'repeated', ledger.repeatedItems)
        for (const [reason, value] of Object.entries(ledger.dropped)) add(signal, reason, value)
      }
      return [...sums.values()]
    },
  )
  observedCounter(
    'sightline_producer_gaps_total',
    'Records of a producer that never came: holes in its sequence.',
    ['signal'],
    async () => {
      const partitions = await status()
      return SIGNALS.map((signal) => ({
        labels: { signal },
        value: partitions.filter(({ key }) => key.startsWith(`${signal}/`)).reduce((sum, { ledger }) => sum + ledger.gaps, 0),
      }))
    },
  )
}
