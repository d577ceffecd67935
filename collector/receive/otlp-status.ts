/** google.rpc.Status for OTLP errors: which codes a client sends again, and when. */
import { ingestStatus } from '../../lib/http/index.ts'
import { ERROR_KINDS, kindOf, messageOf, SightlineError, type ErrorKind } from '../../lib/runtime/errors.ts'
import { ProtoWriter } from '../../lib/wire/protobuf/index.ts'

export interface OtlpStatus {
  readonly http: number
  readonly grpc: number
  readonly message: string
  /** When to come back; undefined where the same request will never be taken. */
  readonly retryAfterMs: number | undefined
}

const RETRY_AFTER_MS = 1000
const FINAL: ReadonlySet<ErrorKind> = new Set(['bad_data', 'unauthenticated', 'forbidden', 'too_large', 'not_found'])
const UNAVAILABLE = 14

/**
 * The status of a failed export. What the request itself is to blame for is final; a full journal says when to come back; everything else is
 * UNAVAILABLE (503), so that nothing is lost for a reason that may pass: an SDK throws away what got INTERNAL or 500.
 */
export function otlpStatusOf(error: unknown): OtlpStatus {
  const kind = kindOf(error)
  const message = messageOf(error)
  if (FINAL.has(kind)) return { http: ingestStatus(kind), grpc: ERROR_KINDS[kind].grpc, message, retryAfterMs: undefined }
  const retryAfterMs = (error instanceof SightlineError ? error.retryAfterMs : undefined) ?? RETRY_AFTER_MS
  if (kind === 'too_many') return { http: 429, grpc: ERROR_KINDS.too_many.grpc, message, retryAfterMs }
  return { http: 503, grpc: UNAVAILABLE, message, retryAfterMs }
}

/** Status: 1 code, 2 message, 3 details (Any: 1 type, 2 value); RetryInfo: 1 delay (Duration: 1 seconds, 2 nanoseconds). */
export function statusProtobuf({ grpc, message, retryAfterMs }: OtlpStatus): Buffer {
  const writer = new ProtoWriter(128)
  writer.uint(1, grpc)
  writer.text(2, message)
  if (retryAfterMs !== undefined) {
    const any = writer.begin(3)
    writer.text(1, 'type.googleapis.com/google.rpc.RetryInfo')
    const info = writer.begin(2)
    const delay = writer.begin(1)
    writer.uint(1, Math.floor(retryAfterMs / 1000))
    writer.uint(2, (Math.floor(retryAfterMs) % 1000) * 1e6)
    writer.end(delay)
    writer.end(info)
    writer.end(any)
  }
  return Buffer.from(writer.take())
}

export function statusJson({ grpc, message }: OtlpStatus): string {
  return JSON.stringify({ code: grpc, message })
}
