/** OTLP over HTTP: `/v1/<signal>`, and with what Loki and Prometheus have before it. */
import type { RawAnswer, RawRequest, RawRoute } from '../../lib/http/index.ts'
import { otlpJsonToProtobuf } from '../../lib/wire/otlp/json/index.ts'
import type { ReceivedSignal } from './counters.ts'
import { responseJson, responseProtobuf, type OtlpExport } from './otlp-export.ts'
import { otlpStatusOf, statusJson, statusProtobuf } from './otlp-status.ts'

const SIGNALS: readonly ReceivedSignal[] = ['traces', 'logs', 'metrics']
const PROTOBUF = 'application/x-protobuf'
const JSON_TYPE = 'application/json'

export function otlpHttpRoutes(prefixes: readonly string[], run: OtlpExport): RawRoute[] {
  return prefixes.flatMap((prefix) =>
    SIGNALS.map((signal) => ({
      method: 'POST' as const,
      path: `${prefix}/v1/${signal}`,
      permission: 'write' as const,
      handle: (request: RawRequest) => receive(run, signal, request),
      // Only what fails before the request is read comes here: its encoding is not known yet.
      answerError: (error: unknown) => answerStatus(error, JSON_TYPE),
    })),
  )
}

async function receive(run: OtlpExport, signal: ReceivedSignal, request: RawRequest): Promise<RawAnswer> {
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  if (contentType !== PROTOBUF && contentType !== JSON_TYPE) {
    return {
      status: 415,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: `cannot read content-type "${contentType}": ${PROTOBUF} and ${JSON_TYPE} are known`,
    }
  }
  try {
    const body = contentType === JSON_TYPE ? otlpJsonToProtobuf(signal, request.body) : request.body
    const outcome = await run('otlp_http', signal, request.tenant, body)
    return {
      status: 200,
      headers: { 'content-type': contentType },
      body: contentType === JSON_TYPE ? responseJson(signal, outcome) : responseProtobuf(outcome),
    }
  } catch (error) {
    return answerStatus(error, contentType)
  }
}

function answerStatus(error: unknown, contentType: string): RawAnswer {
  const status = otlpStatusOf(error)
  const retry = status.retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(status.retryAfterMs / 1000))) }
  return {
    status: status.http,
    headers: { 'content-type': contentType, ...retry },
    body: contentType === JSON_TYPE ? statusJson(status) : statusProtobuf(status),
  }
}
