/** The writers' counters as metrics: what the workers count, read at each scrape. */
import { gauge, observedCounter } from '../../lib/telemetry/index.ts'

/** Counts by name as `BulkCounters` has them, of all workers. */
export type ReadCounters = () => Promise<Readonly<Record<string, number>>>

export function registerElasticMetrics(read: ReadCounters): void {
  const byPrefix = async <L extends string>(prefix: string, label: L): Promise<{ labels: Record<L, string>; value: number }[]> =>
    Object.entries(await read())
      .filter(([name]) => name.startsWith(`${prefix}/`))
      .map(([name, value]) => ({ labels: { [label]: name.slice(prefix.length + 1) } as Record<L, string>, value }))
  observedCounter('sightline_elasticsearch_bulk_requests_total', 'Bulk requests by outcome; all but ok are tried again.', ['outcome'], () =>
    byPrefix('requests', 'outcome'),
  )
  observedCounter(
    'sightline_elasticsearch_items_total',
    'Log lines by what Elasticsearch made of them; refused ones are in the dead-letter stream.',
    ['result'],
    () => byPrefix('items', 'result'),
  )
  observedCounter('sightline_elasticsearch_retried_items_total', 'Log lines sent once more.', [], async () => [
    { labels: {}, value: (await read())['retried_items'] ?? 0 },
  ])
  gauge('sightline_elasticsearch_queue_bytes', 'Bytes of documents that wait to be indexed.', [], async function () {
    this.set((await read())['queue_bytes'] ?? 0)
  })
}
