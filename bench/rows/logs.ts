/** Log lines: pushed as Loki's clients do, over OTLP, and tailed from files. */
import type { LinesSpec } from '../load/lines.ts'
import { ingestRow } from './ingest.ts'
import { scaled, type RowContext } from './row.ts'

const load =
  (kind: LinesSpec['kind']) =>
  (context: RowContext): LinesSpec => ({
    kind,
    seed: context.seed,
    streams: 24,
    linesPerSlice: scaled(context, 200_000, 12_000, 100),
    linesPerRequest: kind === 'otlp-logs' ? 500 : 1000,
    spanMs: 3_600_000,
    endMs: Date.now(),
    lanes: 4,
  })

export const lokiPush = ingestRow({
  name: 'loki-push',
  section: 'logs',
  intake: 'loki-push',
  signal: 'logs',
  item: 'line',
  load: load('loki-push'),
  countQuery: 'sum(count_over_time({job="bench"}[2h]))',
})

export const otlpLogs = ingestRow({
  name: 'otlp-logs',
  section: 'logs',
  intake: 'otlp-logs',
  signal: 'logs',
  item: 'line',
  load: load('otlp-logs'),
  countQuery: 'sum(count_over_time({service_namespace="bench"}[2h]))',
})

export const tail = ingestRow({
  name: 'tail',
  section: 'collector',
  intake: 'tail',
  signal: 'logs',
  item: 'line',
  load: load('tail'),
  countQuery: 'sum(count_over_time({namespace="bench"}[2h]))',
})
