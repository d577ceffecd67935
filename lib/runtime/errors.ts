/**
 * The one error class of the program, and its table: what kind of failure it is decides every status a client sees.
 * Callers match on `kind`, never on text. Messages say "cannot <verb> <object> <which>: <cause>".
 */
export type ErrorKind =
  | 'bad_data'
  | 'execution'
  | 'canceled'
  | 'timeout'
  | 'not_found'
  | 'unauthenticated'
  | 'forbidden'
  | 'unavailable'
  | 'too_many'
  | 'too_large'
  | 'conflict'
  | 'corruption'
  | 'internal'

interface KindRow {
  readonly http: number
  readonly grpc: number
  /** `errorType` in Prometheus' envelope. */
  readonly prometheus: string
  readonly retriable: boolean
}

/** gRPC codes: 1 CANCELLED, 3 INVALID_ARGUMENT, 4 DEADLINE_EXCEEDED, 5 NOT_FOUND, 7 PERMISSION_DENIED, 8 RESOURCE_EXHAUSTED, 10 ABORTED, 13 INTERNAL, 14 UNAVAILABLE, 15 DATA_LOSS, 16 UNAUTHENTICATED. */
export const ERROR_KINDS: Readonly<Record<ErrorKind, KindRow>> = {
  bad_data: { http: 400, grpc: 3, prometheus: 'bad_data', retriable: false },
  execution: { http: 422, grpc: 3, prometheus: 'execution', retriable: false },
  canceled: { http: 499, grpc: 1, prometheus: 'canceled', retriable: true },
  timeout: { http: 503, grpc: 4, prometheus: 'timeout', retriable: true },
  not_found: { http: 404, grpc: 5, prometheus: 'not_found', retriable: false },
  unauthenticated: { http: 401, grpc: 16, prometheus: 'unauthenticated', retriable: false },
  forbidden: { http: 403, grpc: 7, prometheus: 'forbidden', retriable: false },
  unavailable: { http: 503, grpc: 14, prometheus: 'unavailable', retriable: true },
  too_many: { http: 429, grpc: 8, prometheus: 'too_many_requests', retriable: true },
  too_large: { http: 422, grpc: 8, prometheus: 'execution', retriable: false },
  conflict: { http: 409, grpc: 10, prometheus: 'conflict', retriable: false },
  corruption: { http: 500, grpc: 15, prometheus: 'internal', retriable: false },
  internal: { http: 500, grpc: 13, prometheus: 'internal', retriable: false },
}

export class SightlineError extends Error {
  readonly kind: ErrorKind
  readonly retriable: boolean
  /** How long the other side should wait before it tries again, where that is known. */
  readonly retryAfterMs: number | undefined

  constructor(kind: ErrorKind, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SightlineError'
    this.kind = kind
    this.retriable = ERROR_KINDS[kind].retriable
    this.retryAfterMs = options.retryAfterMs
  }
}

/** The kind of anything thrown: our own errors say it, an abort is `canceled`, everything else is a bug or an I/O error. */
export function kindOf(error: unknown): ErrorKind {
  if (error instanceof SightlineError) return error.kind
  if (error instanceof Error && error.name === 'AbortError') return 'canceled'
  if (error instanceof Error && error.name === 'TimeoutError') return 'timeout'
  return 'internal'
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** For our own bugs only, never for input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SightlineError('internal', `BUG: ${message}`)
}
