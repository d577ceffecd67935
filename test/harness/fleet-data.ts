/** The same metrics, logs and traces for any system under test, and queries whose answers must then be the same. Times end at `endMs`. */
import { encodeWriteV1 } from '../../lib/wire/remote-write/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'

export const STEP_MS = 15_000
export const STEPS = 80

/** Sent in order; each must be taken before the next. */
export interface Push {
  readonly path: string
  readonly contentType: string
  readonly body: Uint8Array
}

/** @param part [from, to) of `STEPS`: what comes before a partition moves, and after it */
export function* pushesOf(endMs: number, [from, to]: readonly [number, number] = [0, STEPS]): Generator<Push> {
  for (let step = from; step < to; step++) {
    const timeMs = endMs - (STEPS - 1 - step) * STEP_MS
    yield { path: '/api/v1/write', contentType: 'application/x-protobuf', body: snappyEncode(encodeWriteV1(seriesAt(step, timeMs))) }
    yield { path: '/loki/api/v1/push', contentType: 'application/json', body: Buffer.from(JSON.stringify(linesAt(step, timeMs))) }
    yield { path: '/otlp/v1/traces', contentType: 'application/json', body: Buffer.from(JSON.stringify(traceAt(step, timeMs))) }
  }
}

function seriesAt(step: number, timeMs: number): { labels: string[]; times: number[]; values: number[] }[] {
  return Array.from({ length: 12 }, (_, i) => [
    {
      labels: ['__name__', 'http_requests_total', 'code', i % 3 === 0 ? '500' : '200', ...job(i)],
      times: [timeMs],
      values: [step * (i + 1) * 3],
    },
    { labels: ['__name__', 'temperature', ...job(i)], times: [timeMs], values: [Math.round(Math.sin(step / 7 + i) * 1000) / 100] },
    ...[0.1, 1, 'Inf'].map((le, k) => ({
      labels: ['__name__', 'latency_seconds_bucket', ...job(i), 'le', le === 'Inf' ? '+Inf' : String(le)],
      times: [timeMs],
      values: [step * (k + 1) * (i + 1)],
    })),
  ]).flat()
}

const job = (i: number): string[] => ['instance', `host-${i}:80`, 'job', i % 2 === 0 ? 'api' : 'worker']

function linesAt(step: number, timeMs: number): object {
  return {
    streams: Array.from({ length: 6 }, (_, i) => ({
      stream: { app: i % 2 === 0 ? 'api' : 'worker', pod: `p-${i}`, level: i === 5 ? 'error' : 'info' },
      values: Array.from({ length: 4 }, (__, n) => [
        String(BigInt(timeMs) * 1_000_000n + BigInt(n)),
        n % 2 === 0
          ? JSON.stringify({ msg: `request ${step}/${n}`, status: n === 0 && i === 5 ? 500 : 200, ms: step * 3 + n })
          : `level=info msg="step ${step}" took=${step + n}ms user=u${step % 5}`,
      ]),
    })),
  }
}

const hex = (value: number, length: number): string => value.toString(16).padStart(length, '0')
const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } })

function traceAt(step: number, timeMs: number): object {
  const startNs = BigInt(timeMs) * 1_000_000n
  const span = (n: number, service: string, parent: number, kind: number): object => ({
    resource: { attributes: [text('service.name', service), text('region', step % 2 === 0 ? 'eu' : 'us')] },
    scopeSpans: [
      {
        spans: [
          {
            traceId: hex((step + 1) * 7919, 32),
            spanId: hex(step * 10 + n + 1, 16),
            ...(parent < 0 ? {} : { parentSpanId: hex(step * 10 + parent + 1, 16) }),
            name: `op ${n}`,
            kind,
            startTimeUnixNano: String(startNs + BigInt(n * 1_000_000)),
            endTimeUnixNano: String(startNs + BigInt((n + 5 + (step % 4)) * 1_000_000)),
            attributes: [
              text('http.method', n === 0 ? 'GET' : 'POST'),
              { key: 'http.status_code', value: { intValue: step % 10 === 0 ? '500' : '200' } },
            ],
            status: step % 10 === 0 && n === 1 ? { code: 2 } : {},
          },
        ],
      },
    ],
  })
  return { resourceSpans: [span(0, 'front', -1, 2), span(1, 'api', 0, 3), span(2, 'db', 1, 2)] }
}

/** Paths with everything but the order of series fixed. */
export function queriesOf(endMs: number): string[] {
  const [end, start] = [endMs / 1000, (endMs - STEPS * STEP_MS) / 1000]
  const at = (query: string): string => `/api/v1/query?query=${encodeURIComponent(query)}&time=${end}`
  const over = (query: string): string => `/api/v1/query_range?query=${encodeURIComponent(query)}&start=${start + 300}&end=${end}&step=30`
  const ns = (seconds: number): string => `${Math.round(seconds * 1000)}000000`
  const loki = (query: string, more = ''): string =>
    `/loki/api/v1/query_range?query=${encodeURIComponent(query)}&start=${ns(start)}&end=${ns(end + 1)}&limit=1000${more}`
  const tempo = (query: string): string =>
    `/tempo/api/search?limit=200&spss=10&start=${Math.floor(start) - 60}&end=${Math.ceil(end) + 60}&q=${encodeURIComponent(query)}`
  return [
    ...[
      'http_requests_total',
      'sum by (job) (rate(http_requests_total[5m]))',
      'topk(3, http_requests_total)',
      'histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m])))',
      'avg(temperature)',
      'stddev by (job) (temperature)',
      'count_values("v", http_requests_total)',
      'http_requests_total offset 5m',
      'http_requests_total{code=~"5.."} > 100',
      'absent(nothing)',
      'quantile(0.5, temperature)',
      'increase(http_requests_total{job="api"}[10m])',
    ].map(at),
    ...[
      'sum(rate(http_requests_total[2m]))',
      'rate(http_requests_total{instance="host-3:80"}[5m])',
      'max_over_time(temperature[3m])',
      'min by (job) (temperature)',
      'count(http_requests_total)',
      'sum by (code) (increase(http_requests_total[5m]))',
      'deriv(temperature[5m])',
      'changes(temperature{job="worker"}[10m])',
      'avg_over_time(temperature[5m:1m])',
      'sum(http_requests_total{code="500"}) / sum(http_requests_total)',
    ].map(over),
    `/api/v1/labels?start=${start}&end=${end}`,
    `/api/v1/label/instance/values?start=${start}&end=${end}`,
    `/api/v1/series?match[]=temperature&start=${start}&end=${end}`,
    loki('{app="api"}'),
    loki('{app=~".+"} |= "request 42/"'),
    loki('{app="worker"} != "request" | logfmt | user="u3"'),
    loki('{app="worker"} | json | status=500'),
    loki('{app="api"}', '&direction=forward'),
    loki('{level="error"} |~ "step [0-9]+"', '&direction=forward'),
    loki('sum by (app) (count_over_time({app=~".+"}[1m]))', '&step=60'),
    loki('sum(rate({app="api"} |= "step" [2m]))', '&step=60'),
    loki('max by (pod) (max_over_time({app="api"} | json | unwrap ms [5m]))', '&step=60'),
    loki('quantile_over_time(0.5, {app="worker"} | json | unwrap ms [5m]) by (pod)', '&step=60'),
    loki('topk(2, sum by (pod) (bytes_over_time({app=~".+"}[5m])))', '&step=300'),
    loki('absent_over_time({app="nothing"}[5m])', '&step=300'),
    `/loki/api/v1/labels?start=${ns(start)}&end=${ns(end)}`,
    `/loki/api/v1/label/pod/values?start=${ns(start)}&end=${ns(end)}`,
    `/loki/api/v1/series?match[]=${encodeURIComponent('{app="api"}')}&start=${ns(start)}&end=${ns(end)}`,
    tempo('{}'),
    tempo('{ status = error }'),
    tempo('{ resource.service.name = "db" }'),
    tempo('{ span.http.status_code = 500 }'),
    tempo('{ .region = "eu" } >> { resource.service.name = "api" }'),
    tempo('{ name = "op 2" && duration > 6ms }'),
    tempo('{ resource.service.name = "front" } | count() > 0'),
    '/tempo/api/v2/search/tag/resource.service.name/values',
    `/jaeger/api/traces/${hex(7919 * 11, 32)}`,
    `/jaeger/api/traces/${hex(7919 * 42, 32)}`,
    '/jaeger/api/services',
  ]
}

/** An answer without what differs between any two runs: statistics, order of series, paging of the search. */
export function comparable(text: string): unknown {
  const answer = JSON.parse(text) as { data?: Record<string, unknown>; traces?: { traceID: string }[]; metrics?: unknown }
  delete answer.metrics
  if (answer.data !== undefined && !Array.isArray(answer.data)) delete answer.data['stats']
  return sorted(answer)
}

/** Lists of objects have no order of their own here, but for entries of a log stream and points of a series. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map((one) => sorted(one))
    return items.every((one) => typeof one === 'object' && one !== null && !Array.isArray(one))
      ? items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      : items
  }
  // Partial sums are added in another order where there are more holders.
  if (typeof value === 'string' && /^-?\d+\.\d+$/.test(value)) return String(Number(Number(value).toPrecision(12)))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  )
}
