import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { abortOnClose } from '../../../lib/http/index.ts'
import type { TenantLimits } from '../../../lib/config/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import type { LogEngine, QueryLimits } from '../../logql/index.ts'
import type { LogsReader } from '../../shard/logs/index.ts'
import type { QueryGate } from '../gate.ts'

export interface LokiApiDeps {
  readonly engine: LogEngine
  readonly readerOf: (tenant: string) => LogsReader
  readonly limitsOf: (tenant: string) => TenantLimits
  readonly gate: QueryGate
  readonly clock: Clock
  readonly build: { readonly version: string; readonly revision: string }
  /** How long logs are kept, milliseconds. */
  readonly retentionMs: () => number
  readonly onError: (error: unknown, where: string) => void
}

/** Bytes of lines in one answer, where `query_bytes_max` allows more: an answer is one text. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024

export function queryLimits(limits: TenantLimits): QueryLimits {
  return {
    seriesMax: limits.log_series_max,
    stepsMax: limits.log_steps_max,
    cellsMax: limits.log_cells_max,
    bytesMax: Math.min(ANSWER_BYTES_MAX, limits.query_bytes_max > 0 ? limits.query_bytes_max : ANSWER_BYTES_MAX),
    timeoutMs: limits.query_timeout,
  }
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

/** GET with a query string or POST with a form. */
export function both(app: FastifyInstance, path: string, handler: Handler): void {
  app.route({ method: ['GET', 'POST'], url: path, handler })
}

/** Runs as one of the tenant's queries; aborted when the client goes away. */
export function gated<T>(
  deps: LokiApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = abortOnClose(reply)
  return deps.gate.run(request.tenant, signal, () => work(signal))
}

export function sendJson(reply: FastifyReply, body: unknown): FastifyReply {
  return reply.type('application/json; charset=UTF-8').send(JSON.stringify(body))
}
