/** Remote write, 1.0 and 2.0, on the paths of Prometheus, Mimir and Cortex. */
import type { RawAnswer, RawRequest, RawRoute } from '../../lib/http/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { decodeWriteV1, decodeWriteV2, type DecodedWrite } from '../../lib/wire/remote-write/index.ts'
import { snappyDecode } from '../../lib/wire/snappy/index.ts'
import { countReceived } from './counters.ts'
import { TenantBooks, type Destination } from './destination.ts'

const PATHS = ['/api/v1/write', '/prometheus/api/v1/write', '/api/v1/push', '/prometheus/api/v1/push']
const PROTO_V1 = 'prometheus.WriteRequest'
const PROTO_V2 = 'io.prometheus.write.v2.Request'

export function remoteWriteRoutes(to: Destination): RawRoute[] {
  const books = new TenantBooks()
  const handle = (request: RawRequest): Promise<RawAnswer> => receive(to, books, request)
  return PATHS.map((path) => ({ method: 'POST', path, permission: 'write', handle }))
}

async function receive(to: Destination, books: TenantBooks, request: RawRequest): Promise<RawAnswer> {
  const proto = protoOf(request.headers['content-type'])
  const encoding = request.headers['content-encoding']
  if (proto === undefined)
    return unsupported(`content-type "${request.headers['content-type'] ?? ''}": ${PROTO_V1} and ${PROTO_V2} are known`)
  if (encoding !== undefined && encoding !== 'snappy') return unsupported(`content-encoding "${encoding}": remote write is snappy`)
  const body = snappyDecode(request.body, to.bodyBytesMax)
  const decode = proto === PROTO_V2 ? decodeWriteV2 : decodeWriteV1
  const decoded = decode(body, books.of(request.tenant), to.externalLabels())
  await to.rows.append(request.tenant, decoded.batch)
  const { samples, histograms } = decoded.written
  countReceived('remote_write', 'metrics', samples + histograms, decoded.dropped)
  const headers = proto === PROTO_V2 ? writtenHeaders(decoded) : {}
  if (decoded.complaints.length === 0) return { status: 204, headers }
  return { status: 400, headers: { ...headers, 'content-type': 'text/plain; charset=utf-8' }, body: complain(decoded) }
}

/**
 * The message type; undefined for one we don't know. Without the `proto` parameter it is 1.0, and so it is without a content type.
 * Source: remote write 2.0, "Content-Type".
 */
function protoOf(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return PROTO_V1
  const [type, ...parameters] = contentType.split(';').map((part) => part.trim())
  if (type!.toLowerCase() !== 'application/x-protobuf') return undefined
  const proto = parameters.find((parameter) => parameter.startsWith('proto='))?.slice(6) ?? PROTO_V1
  return proto === PROTO_V1 || proto === PROTO_V2 ? proto : undefined
}

/** What was stored although the answer may be 400: senders of 2.0 count by it. */
function writtenHeaders({ written }: DecodedWrite): Record<string, string> {
  return {
    'x-prometheus-remote-write-samples-written': String(written.samples),
    'x-prometheus-remote-write-histograms-written': String(written.histograms),
    'x-prometheus-remote-write-exemplars-written': String(written.exemplars),
  }
}

/** 400 is not sent again: what was good is stored by then. */
function complain({ dropped, complaints, written }: DecodedWrite): string {
  const reasons = Object.entries(dropped).map(([reason, count]) => `${reason} ${count}`)
  const stored = `${written.samples} samples and ${written.histograms} histograms were stored`
  return `cannot take all of the request (${stored}; left out: ${reasons.join(', ')}): ${complaints.join('; ')}`
}

function unsupported(cause: string): RawAnswer {
  const error = new SightlineError('bad_data', `cannot read ${cause}`)
  return { status: 415, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: error.message }
}
