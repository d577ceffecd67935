/**
 * Our own traces and the metrics of the OpenTelemetry instrumentation: a span and a duration for each request of a query API. Spans are exported by the SDK over
 * OTLP to our own receiver, so that Sightline's traces lie beside everybody's; metrics are read with the others at /metrics.
 */
import { metrics, SpanKind, SpanStatusCode, trace, type Histogram, type Tracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace'

export interface TelemetryOptions {
  readonly version: string
  readonly instance: string
  /** Where spans go; without it there are none. */
  readonly traces: { readonly url: string; readonly token: string } | undefined
}

export interface Telemetry {
  /** Prometheus text of the instrumentation's metrics. */
  metricsText(): Promise<string>
  readonly requests: RequestTelemetry
  /** Sends what is left. */
  stop(): Promise<void>
}

const SCOPE = 'sightline'
/** Finished spans wait this long for others to travel with. */
const EXPORT_DELAY_MS = 2000

export function startTelemetry({ version, instance, traces }: TelemetryOptions): Telemetry {
  const reader = new PrometheusExporter({ preventServerStart: true })
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true)
  const exporter =
    traces === undefined
      ? undefined
      : new OTLPTraceExporter({ url: traces.url, headers: { authorization: `Bearer ${traces.token}` }, timeoutMillis: 5000 })
  const sdk = new NodeSDK({
    autoDetectResources: false,
    resource: resourceFromAttributes({ 'service.name': 'sightline', 'service.version': version, 'service.instance.id': instance }),
    metricReaders: [reader],
    spanProcessors: exporter === undefined ? [] : [new BatchSpanProcessor({ exporter, scheduledDelayMillis: EXPORT_DELAY_MS })],
    instrumentations: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return {
    async metricsText() {
      const { resourceMetrics } = await reader.collect()
      return serializer.serialize(resourceMetrics)
    },
    requests: new RequestTelemetry(),
    stop: () => sdk.shutdown(),
  }
}

/** A request under way; `end` once, with the status that was answered. */
export interface RequestSpan {
  end(status: number): void
}

/** Spans and durations of requests, under the names of the HTTP semantic conventions. */
class RequestTelemetry {
  readonly #duration: Histogram = metrics.getMeter(SCOPE).createHistogram('http.server.request.duration', {
    description: 'Duration of HTTP requests to the query and operator APIs.',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120] },
  })
  readonly #tracer: Tracer = trace.getTracer(SCOPE)

  /** @param route the route's pattern, never the path: names must be few */
  begin(method: string, route: string, tenant: string): RequestSpan {
    const startMs = performance.now()
    const attributes = { 'http.request.method': method, 'http.route': route }
    const span = this.#tracer.startSpan(`${method} ${route}`, {
      kind: SpanKind.SERVER,
      attributes: { ...attributes, 'sightline.tenant': tenant },
    })
    return {
      end: (status) => {
        this.#duration.record((performance.now() - startMs) / 1000, { ...attributes, 'http.response.status_code': status })
        span.setAttribute('http.response.status_code', status)
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      },
    }
  }
}

export type { RequestTelemetry }
