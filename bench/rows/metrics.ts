/** Metrics that are pushed: remote write and OTLP. */
import type { MetricsSpec } from '../load/metrics-load.ts'
import { countQuery } from '../load/series.ts'
import { ingestRow } from './ingest.ts'
import { scaled, type RowContext } from './row.ts'

const load =
  (kind: MetricsSpec['kind']) =>
  (context: RowContext): MetricsSpec => ({
    kind,
    seed: context.seed,
    instances: scaled(context, 100, 20),
    timesPerSlice: context.isQuick ? 20 : 60,
    stepMs: 15_000,
    endMs: Date.now(),
    samplesPerRequest: 2000,
    lanes: 4,
  })

export const remoteWrite = ingestRow({
  name: 'remote-write',
  section: 'metrics',
  intake: 'remote-write',
  signal: 'metrics',
  item: 'sample',
  load: load('remote-write'),
  countQuery: countQuery('remote-write', '6h'),
})

export const otlpMetrics = ingestRow({
  name: 'otlp-metrics',
  section: 'metrics',
  intake: 'otlp-metrics',
  signal: 'metrics',
  item: 'sample',
  load: load('otlp-metrics'),
  countQuery: countQuery('otlp-metrics', '6h'),
})
