/**
 * What Sightline says of itself: metrics (`metrics.ts`, prom-client), log lines (`log.ts`, pino), traces and the metrics of their instrumentation (`otel.ts`, the
 * OpenTelemetry SDK). Owner of these packages.
 */
export { collectProcessMetrics, counter, gauge, histogram, observedCounter, registry } from './metrics.ts'
export { createLog, type Log } from './log.ts'
export { startTelemetry, type RequestSpan, type RequestTelemetry, type Telemetry } from './otel.ts'
