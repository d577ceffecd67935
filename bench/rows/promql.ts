/** Ten PromQL queries over an hour of the fleet's metrics. */
import { countQuery } from '../load/series.ts'
import { queryRow } from './queries.ts'
import { scaled } from './row.ts'

export const promql = queryRow({
  name: 'promql',
  section: 'metrics',
  language: 'promql',
  intake: 'remote-write',
  signal: 'metrics',
  load: (context) => ({
    kind: 'remote-write',
    seed: context.seed,
    instances: scaled(context, 100, 20, 2),
    timesPerSlice: context.isQuick ? 80 : 240,
    stepMs: 15_000,
    endMs: Date.now(),
    samplesPerRequest: 2000,
    lanes: 4,
  }),
  countQuery: countQuery('remote-write', '2h'),
  queries: [
    { name: 'one series, instant', query: 'bench_cpu_seconds_total{cpu="cpu-1",service="app-1"}', isInstant: true },
    { name: 'sum by (rate)', query: 'sum by (route, code) (rate(bench_http_requests_total[5m]))' },
    { name: 'rate of all, instant', query: 'rate(bench_http_requests_total[5m])', isInstant: true },
    {
      name: 'histogram_quantile',
      query: 'histogram_quantile(0.99, sum by (le, route) (rate(bench_http_request_duration_seconds_bucket[5m])))',
    },
    { name: 'topk', query: 'topk(5, sum by (pod) (rate(bench_cpu_seconds_total[5m])))' },
    { name: 'avg_over_time', query: 'avg by (namespace) (avg_over_time(bench_load_ratio[10m]))' },
    { name: 'regex', query: 'sum by (node) (bench_memory_bytes{pod=~"app-1.*", area!~"area-[45]"})' },
    {
      name: 'error share',
      query: 'sum by (service) (rate(bench_http_requests_total{code="500"}[5m])) / sum by (service) (rate(bench_http_requests_total[5m]))',
    },
    { name: 'count by', query: 'count by (namespace) ({__name__=~"bench_.+"})', isInstant: true },
    { name: 'subquery', query: 'max_over_time(sum(rate(bench_http_requests_total[2m]))[10m:1m])' },
  ],
  pathOf({ query, isInstant }, { startMs, endMs, stepMs }) {
    const text = encodeURIComponent(query)
    if (isInstant === true) return `/api/v1/query?query=${text}&time=${endMs / 1000}`
    return `/api/v1/query_range?query=${text}&start=${startMs / 1000}&end=${endMs / 1000}&step=${stepMs / 1000}`
  },
  sizeOf: (answer) => (answer as { data: { result: unknown[] } }).data.result.length,
})
