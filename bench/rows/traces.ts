/** Spans over OTLP/HTTP. */
import { ingestRow } from './ingest.ts'
import { scaled } from './row.ts'

export const otlpTraces = ingestRow({
  name: 'otlp-traces',
  section: 'traces',
  intake: 'otlp-traces',
  signal: 'traces',
  item: 'span',
  load: (context) => ({
    kind: 'otlp-traces',
    seed: context.seed,
    services: 20,
    spansPerSlice: scaled(context, 60_000, 10_000, 100),
    spansPerRequest: 500,
    spanMs: 3_600_000,
    endMs: Date.now(),
    lanes: 4,
  }),
})
