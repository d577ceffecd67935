/** Ten LogQL queries over an hour of lines. */
import { queryRow } from './queries.ts'
import { scaled } from './row.ts'

const LINES = 1000

export const logql = queryRow({
  name: 'logql',
  section: 'logs',
  language: 'logql',
  intake: 'loki-push',
  signal: 'logs',
  load: (context) => ({
    kind: 'loki-push',
    seed: context.seed,
    streams: 24,
    linesPerSlice: scaled(context, 400_000, 20_000, 5000),
    linesPerRequest: 1000,
    spanMs: 3_600_000,
    endMs: Date.now(),
    lanes: 4,
  }),
  countQuery: 'sum(count_over_time({job="bench"}[2h]))',
  queries: [
    { name: 'newest lines of a stream', query: '{app="app-2"}' },
    { name: 'a word', query: '{job="bench"} |= "slow query"' },
    { name: 'two filters', query: '{job="bench"} |= "checkout" != "status=200"' },
    { name: 'regex', query: '{job="bench"} |~ `status[=:"]+5[0-9][0-9]`' },
    { name: 'json field', query: '{app=~"app-.*[02468]"} | json | status >= 500' },
    { name: 'logfmt field', query: '{app=~"app-.*[13579]"} | logfmt | duration_ms > 850' },
    { name: 'rate by level', query: 'sum by (detected_level) (rate({job="bench"}[1m]))' },
    { name: 'count of a word', query: 'sum by (app) (count_over_time({job="bench"} |= "timeout" [1m]))' },
    { name: 'quantile of a field', query: 'quantile_over_time(0.95, {app="app-3"} | logfmt | unwrap duration_ms [5m]) by (app)' },
    { name: 'topk of apps', query: 'topk(3, sum by (app) (bytes_over_time({namespace=~"team-[0-3]"}[5m])))' },
  ],
  pathOf({ query }, { startMs, endMs, stepMs }) {
    const range = `start=${startMs}000000&end=${endMs}000000&step=${stepMs / 1000}`
    return `/loki/api/v1/query_range?query=${encodeURIComponent(query)}&${range}&limit=${LINES}`
  },
  sizeOf: (answer) => (answer as { data: { result: unknown[] } }).data.result.length,
})
