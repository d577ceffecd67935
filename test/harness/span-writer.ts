/** A real OpenTelemetry SDK that exports spans over OTLP and remembers which exports were acknowledged. */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace'

export interface SpanWriter {
  /** `<trace id> <span id>` of every span in an acknowledged export. */
  readonly acknowledged: ReadonlySet<string>
  stop(): Promise<void>
}

export function startSpanWriter(otlpHttpUrl: string, everyMs: number): SpanWriter {
  const acknowledged = new Set<string>()
  const inner = new OTLPTraceExporter({ url: `${otlpHttpUrl}/v1/traces`, timeoutMillis: 5000 })
  const exporter: SpanExporter = {
    export(spans: ReadableSpan[], done) {
      inner.export(spans, (result) => {
        if (result.code === 0) for (const span of spans) acknowledged.add(`${span.spanContext().traceId} ${span.spanContext().spanId}`)
        done(result)
      })
    },
    forceFlush: async () => {},
    shutdown: () => inner.shutdown(),
  }
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'span-writer' }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 200 })],
  })
  const tracer = provider.getTracer('test')
  let count = 0
  const timer = setInterval(() => {
    const span = tracer.startSpan(`work ${count % 5}`, { attributes: { 'work.number': count++ } })
    span.end()
  }, everyMs)
  return {
    acknowledged,
    async stop() {
      clearInterval(timer)
      await provider.shutdown()
    },
  }
}
