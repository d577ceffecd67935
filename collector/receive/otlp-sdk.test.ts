import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtoTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createAuthenticator } from '../../lib/http/index.ts'
import { formatLabels } from '../../lib/model/index.ts'
import { createRowsAppender, type Appender, type ProducedBatch } from '../../lib/producer/index.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { walkSpans } from '../../lib/wire/otlp/traces/index.ts'
import { decodeRows } from '../../lib/wire/rows/index.ts'
import { createReceivers, type Listeners } from './index.ts'

let appended: { signal: string; batch: ProducedBatch }[]
let listeners: Listeners
const resource = resourceFromAttributes({ 'service.name': 'shop', 'service.namespace': 'demo', 'service.instance.id': 'i1', region: 'eu' })

beforeEach(async () => {
  appended = []
  const appender: Appender = {
    partitionCount: () => 2,
    append: async (signal, _tenant, batches) => void appended.push(...batches.map((batch) => ({ signal, batch }))),
  }
  const rows = createRowsAppender(appender, systemClock)
  const receivers = createReceivers({
    appender,
    rows,
    externalLabels: () => ['cluster', 'c1'],
    clock: systemClock,
    bodyBytesMax: 4 * 1024 * 1024,
  })
  listeners = await receivers.startListeners({
    web: { tls: undefined, basicUsers: {}, headers: {} },
    authenticator: createAuthenticator({ tokens: [], users: {} }, {}, 'self'),
    bodyBytesMax: 4 * 1024 * 1024,
    requestsMax: 100,
    onError: () => {},
    grpc: { host: '127.0.0.1', port: 0 },
    http: { host: '127.0.0.1', port: 0 },
  })
})

afterEach(() => listeners.close())

describe('the OpenTelemetry SDK exports to us', () => {
  test.each([
    ['gRPC', () => new GrpcTraceExporter({ url: listeners.grpcUrl })],
    ['gRPC gzip', () => new GrpcTraceExporter({ url: listeners.grpcUrl, compression: 'gzip' as never })],
    ['HTTP protobuf', () => new ProtoTraceExporter({ url: `${listeners.httpUrl}/v1/traces` })],
    ['HTTP JSON, gzip', () => new JsonTraceExporter({ url: `${listeners.httpUrl}/v1/traces`, compression: 'gzip' as never })],
  ])('300 spans over %s', async (_name, exporterOf) => {
    const provider = new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter: exporterOf() })] })
    const tracer = provider.getTracer('test')
    for (let i = 0; i < 300; i++) tracer.startSpan(`span ${i}`).end()
    await provider.shutdown()
    let spans = 0
    for (const { batch } of appended) {
      walkSpans(batch.payload, {
        scope: (wrapper) => expect(Buffer.from(wrapper).toString('latin1')).toContain('cluster'),
        span: () => void spans++,
      })
    }
    expect(spans).toBe(300)
    expect(appended.reduce((sum, { batch }) => sum + batch.items, 0)).toBe(300)
  })

  test('a counter and a histogram, with job, instance, units and target_info', async () => {
    const exporter = new OTLPMetricExporter({ url: `${listeners.httpUrl}/v1/metrics` })
    const provider = new MeterProvider({
      resource,
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 })],
    })
    const meter = provider.getMeter('test')
    meter.createCounter('http.requests', { unit: '{request}' }).add(3, { route: '/a' })
    meter.createHistogram('http.duration', { unit: 's', advice: { explicitBucketBoundaries: [0.5, 1] } }).record(0.7)
    await provider.shutdown()
    const series = new Map<string, number>()
    for (const { batch } of appended) {
      for (const row of decodeRows(batch.payload, () => undefined).rows) {
        row.layout.series.forEach((labels, i) => void series.set(formatLabels(labels), row.values[i]!))
      }
    }
    const common = 'cluster="c1", instance="i1", job="demo/shop"'
    expect(Object.fromEntries(series)).toMatchObject({
      [`http_requests_total{${common}, route="/a"}`]: 3,
      [`http_duration_seconds_count{${common}}`]: 1,
      [`http_duration_seconds_sum{${common}}`]: 0.7,
      [`http_duration_seconds_bucket{${common}, le="0.5"}`]: 0,
      [`http_duration_seconds_bucket{${common}, le="1"}`]: 1,
      [`http_duration_seconds_bucket{${common}, le="+Inf"}`]: 1,
      [`target_info{${common}, region="eu"}`]: 1,
    })
  })

  test('a log record', async () => {
    const exporter = new OTLPLogExporter({ url: `${listeners.httpUrl}/v1/logs` })
    const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] })
    provider.getLogger('test').emit({ body: 'paid 3 euros', severityNumber: 9 })
    await provider.forceFlush()
    await provider.shutdown()
    expect(appended.map(({ signal, batch }) => [signal, batch.items])).toEqual([['logs', 1]])
    expect(Buffer.from(appended[0]!.batch.payload).toString('latin1')).toContain('paid 3 euros')
  })
})
