/**
 * Receivers: what others push to us. Remote write, Loki push, OTLP over HTTP and records of other
 * Sightlines are raw routes; OTLP over gRPC is a server of its own.
 *
 * An answer that says yes comes after every partition of the request is durable. What can't be kept is left out, counted by reason and named
 * in the answer, and the good data beside it stays. A full journal is 429 or RESOURCE_EXHAUSTED with a hint when to come back.
 */
import type { RawRoute } from '../../lib/http/index.ts'
import type { Destination } from './destination.ts'
import { startListeners, type ListenerOptions, type Listeners } from './listeners.ts'
import { lokiPushRoutes } from './loki-push.ts'
import { createOtlpExport } from './otlp-export.ts'
import { otlpHttpRoutes } from './otlp-http.ts'
import { remoteWriteRoutes } from './remote-write.ts'

export type { Destination } from './destination.ts'
export { createInputHandler, type InputsDeps } from './inputs.ts'
export { journalPlugin, journalRoutes } from './journal.ts'
export type { ListenerOptions, Listeners } from './listeners.ts'

/** The specification's paths, Loki's and Prometheus'. */
const OTLP_PREFIXES = ['', '/otlp', '/api/v1/otlp']

export interface Receivers {
  /** Routes of the main server. */
  readonly raw: readonly RawRoute[]
  /** OTLP over gRPC and HTTP on ports of their own. Errors: unavailable where an address is taken. */
  startListeners(options: ListenerOptions): Promise<Listeners>
}

export function createReceivers(to: Destination): Receivers {
  const run = createOtlpExport(to)
  return {
    raw: [...remoteWriteRoutes(to), ...lokiPushRoutes(to), ...otlpHttpRoutes(OTLP_PREFIXES, run)],
    startListeners: (options) => startListeners(run, OTLP_PREFIXES, options),
  }
}
