/**
 * What a service says of itself, the way most Node services do it: prom-client for metrics, the OpenTelemetry SDK for traces, JSON lines on standard
 * output for logs. The three are linked: histograms carry exemplars with the trace id, every log line of a request has its trace_id and span_id.
 */
import { SpanKind, SpanStatusCode, context, propagation, trace, type Span } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace'
import { Registry, collectDefaultMetrics, openMetricsContentType, type OpenMetricsContentType } from 'prom-client'

export type Level = 'debug' | 'info' | 'warn' | 'error'
export type Fields = Readonly<Record<string, string | number | boolean>>

/** Where the process runs; with it a trace's resource and a container's log labels name the same thing. */
export interface Placement {
  readonly service: string
  readonly namespace: string
  readonly pod: string
}

/** Spans leave this soon after they ended. */
const EXPORT_DELAY_MS = 1000
/** A collector that is away must not hold up the end of the process. */
const SHUTDOWN_MS = 3000

/**
 * Starts tracing for this process; the exporter sends to OTEL_EXPORTER_OTLP_ENDPOINT (http://localhost:4318 where it isn't set).
 *
 * @returns a function that sends what is left and ends tracing
 */
export function startTracing({ service, namespace, pod }: Placement): () => Promise<void> {
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.namespace': namespace,
      'service.instance.id': pod,
      'service.version': '1.0.0',
      'k8s.namespace.name': namespace,
      'k8s.pod.name': pod,
      'k8s.container.name': service,
    }),
    autoDetectResources: false,
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis: EXPORT_DELAY_MS })],
    // An empty list switches a signal off; left out, the SDK would export metrics and logs too.
    metricReaders: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return async () => {
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, SHUTDOWN_MS).unref())
    await Promise.race([sdk.shutdown().catch(() => {}), timeout])
  }
}

/** Runs `work` in a span of its own; an error that leaves it is recorded on the span. */
export async function inSpan<T>(name: string, kind: SpanKind, attributes: Fields, work: (span: Span) => Promise<T>): Promise<T> {
  return trace.getTracer('shop').startActiveSpan(name, { kind, attributes }, async (span) => {
    try {
      return await work(span)
    } catch (error) {
      span.recordException(error as Error)
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message })
      throw error
    } finally {
      span.end()
    }
  })
}

/** The headers that carry the active span to the next service (W3C `traceparent`). */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {}
  propagation.inject(context.active(), headers)
  return headers
}

/** Runs `work` as part of the trace that the headers name. */
export function inCallersTrace<T>(headers: NodeJS.Dict<string | string[]>, work: () => T): T {
  return context.with(propagation.extract(context.active(), headers), work)
}

/** The ids of the active span as log fields and exemplar labels; empty outside of any. */
export function traceIds(): Record<string, string> {
  const span = trace.getActiveSpan()?.spanContext()
  return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId }
}

/** Only OpenMetrics text can carry exemplars. */
export function createRegistry(): Registry<OpenMetricsContentType> {
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(openMetricsContentType)
  collectDefaultMetrics({ register: registry as unknown as Registry })
  return registry
}

/** One JSON line on standard output, with the ids of the active span. */
export function logTo(service: string): (level: Level, message: string, fields?: Fields) => void {
  return (level, message, fields = {}) => {
    const line = { time: new Date().toISOString(), level, service, msg: message, ...traceIds(), ...fields }
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
}
