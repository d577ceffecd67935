/**
 * Receivers: what others push to us. Remote write, Loki push and OTLP over HTTP are raw routes; OTLP over gRPC is a server of its own.
 *
 * An answer that says yes comes after every partition of the request is durable. What can't be kept is left out, counted by reason and named
 * in the answer, and the good data beside it stays. A full journal is 429 or RESOURCE_EXHAUSTED with a hint when to come back.
 */
import type { RawRoute } from '../../lib/http/index.ts'
import type { Destination } from './destination.ts'
import { remoteWriteRoutes } from './remote-write.ts'

export type { Destination } from './destination.ts'

export interface Receivers {
  /** Routes of the main server. */
  readonly raw: readonly RawRoute[]
}

export function createReceivers(to: Destination): Receivers {
  return { raw: [...remoteWriteRoutes(to)] }
}
