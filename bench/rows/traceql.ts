/** Ten TraceQL searches over an hour of spans. */
import { queryRow } from './queries.ts'
import { scaled } from './row.ts'

export const traceql = queryRow({
  name: 'traceql',
  section: 'traces',
  language: 'traceql',
  intake: 'otlp-traces',
  signal: 'traces',
  load: (context) => ({
    kind: 'otlp-traces',
    seed: context.seed,
    services: 20,
    spansPerSlice: scaled(context, 200_000, 12_000, 5000),
    spansPerRequest: 500,
    spanMs: 3_600_000,
    endMs: Date.now(),
    lanes: 4,
  }),
  queries: [
    { name: 'newest of a service', query: '{ resource.service.name = "service-3" }' },
    { name: 'errors', query: '{ status = error }' },
    { name: 'slow ones', query: '{ duration > 1500ms }' },
    { name: 'attribute', query: '{ span.http.response.status_code = 500 }' },
    { name: 'two conditions', query: '{ span.db.system = "postgresql" && span.db.rows > 480 }' },
    { name: 'regex', query: '{ span.url.path =~ "/api/items/12.*" }' },
    { name: 'one user', query: '{ span.user.id =~ "u-12[0-9]+" }' },
    { name: 'descendants', query: '{ resource.service.name = "service-1" } >> { span.db.sql.table = "orders" }' },
    { name: 'both in a trace', query: '{ status = error } && { span.db.system = "postgresql" }' },
    { name: 'count of spans', query: '{ kind = client } | count() > 3' },
  ],
  pathOf: ({ query }, { startMs, endMs }) =>
    `/api/search?q=${encodeURIComponent(query)}&start=${Math.floor(startMs / 1000)}&end=${Math.ceil(endMs / 1000)}&limit=20`,
  sizeOf: (answer) => (answer as { traces?: unknown[] }).traces?.length ?? 0,
})
