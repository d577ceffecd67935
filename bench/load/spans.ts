/** Spans of services as OTLP requests: traces of one to twelve spans over a few services, eight to twelve attributes a span. */
import { ProtoWriter } from '../../lib/wire/protobuf/index.ts'
import { Random } from './random.ts'
import { inLanes, type Request, type Slice } from './slice.ts'

export interface SpansSpec {
  readonly kind: 'otlp-traces'
  readonly seed: number
  readonly services: number
  readonly spansPerSlice: number
  readonly spansPerRequest: number
  /** Spans of all slices are spread over this time, which ends at `endMs`. */
  readonly spanMs: number
  readonly endMs: number
  readonly lanes: number
}

interface SpanShape {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string
  readonly service: number
  readonly depth: number
  readonly startMs: number
  readonly subNs: number
  readonly durationMs: number
}

const ROUTES = ['/api/items', '/api/cart', '/api/checkout', '/api/search', '/api/users']
const TABLES = ['orders', 'items', 'users', 'sessions']

export function spansSlices(spec: SpansSpec, sliceCount: number): Slice[] {
  const random = new Random(spec.seed)
  const total = spec.spansPerSlice * sliceCount
  const startMs = spec.endMs - spec.spanMs
  let made = 0
  let trace: SpanShape[] = []
  const next = (): SpanShape => {
    if (trace.length === 0) trace = traceAt(startMs + Math.floor((made * spec.spanMs) / total), spec.services, random)
    made++
    return trace.shift()!
  }
  return Array.from({ length: sliceCount }, (): Slice => {
    const requests: Request[] = []
    for (let sent = 0; sent < spec.spansPerSlice; sent += spec.spansPerRequest) {
      const count = Math.min(spec.spansPerRequest, spec.spansPerSlice - sent)
      requests.push(otlpTraces(Array.from({ length: count }, next), random))
    }
    return { items: spec.spansPerSlice, lanes: inLanes(requests, spec.lanes) }
  })
}

function traceAt(startMs: number, services: number, random: Random): SpanShape[] {
  const traceId = random.hex(32)
  const spans: SpanShape[] = []
  const count = 1 + random.below(12)
  for (let i = 0; i < count; i++) {
    const parent = i === 0 ? undefined : spans[random.below(i)]
    spans.push({
      traceId,
      spanId: random.hex(16),
      parentId: parent?.spanId ?? '',
      service: parent === undefined || random.below(2) === 0 ? random.below(services) : parent.service,
      depth: parent === undefined ? 0 : parent.depth + 1,
      startMs: (parent?.startMs ?? startMs) + random.below(3),
      subNs: random.below(1_000_000),
      durationMs: Math.max(0.01, Math.round(((parent?.durationMs ?? 20 + random.below(2000)) * 100 * (1 + random.below(9))) / 10) / 100),
    })
  }
  return spans
}

/** ExportTraceServiceRequest: a resource a service. */
function otlpTraces(spans: readonly SpanShape[], random: Random): Request {
  const writer = new ProtoWriter(1 << 18)
  const attribute = (field: number, key: string, value: string | number): void => {
    const pair = writer.begin(field)
    writer.text(1, key)
    const any = writer.begin(2)
    if (typeof value === 'string') writer.text(1, value)
    else writer.uint(3, value)
    writer.end(any)
    writer.end(pair)
  }
  for (const [service, own] of Map.groupBy(spans, (span) => span.service)) {
    const resourceSpans = writer.begin(1)
    const resource = writer.begin(1)
    attribute(1, 'service.name', `service-${service}`)
    attribute(1, 'service.version', '1.4.2')
    attribute(1, 'k8s.namespace.name', `team-${service % 7}`)
    attribute(1, 'k8s.pod.name', `service-${service}-5f7d8c9b4-x${service}`)
    writer.end(resource)
    const scopeSpans = writer.begin(2)
    const scope = writer.begin(1)
    writer.text(1, '@opentelemetry/instrumentation-http')
    writer.text(2, '0.57.1')
    writer.end(scope)
    for (const span of own) writeSpan(writer, span, attribute, random)
    writer.end(scopeSpans)
    writer.end(resourceSpans)
  }
  return { headers: { 'content-type': 'application/x-protobuf' }, body: writer.take() }
}

function writeSpan(
  writer: ProtoWriter,
  span: SpanShape,
  attribute: (field: number, key: string, value: string | number) => void,
  random: Random,
): void {
  const isDatabase = span.depth > 0 && random.below(3) === 0
  const isError = random.below(50) === 0
  const route = random.pick(ROUTES)
  const message = writer.begin(2)
  writer.bytes(1, Buffer.from(span.traceId, 'hex'))
  writer.bytes(2, Buffer.from(span.spanId, 'hex'))
  if (span.parentId !== '') writer.bytes(4, Buffer.from(span.parentId, 'hex'))
  writer.text(5, isDatabase ? `SELECT ${random.pick(TABLES)}` : `GET ${route}`)
  writer.uint(6, isDatabase ? 3 : 2)
  writer.nano(7, span.startMs, span.subNs)
  const endNs = span.subNs + Math.round((span.durationMs % 1) * 1e6)
  writer.nano(8, span.startMs + Math.floor(span.durationMs) + Math.floor(endNs / 1e6), endNs % 1e6)
  if (isDatabase) {
    attribute(9, 'db.system', 'postgresql')
    attribute(9, 'db.operation', 'SELECT')
    attribute(9, 'db.sql.table', random.pick(TABLES))
    attribute(9, 'db.rows', random.below(500))
  } else {
    attribute(9, 'http.request.method', 'GET')
    attribute(9, 'http.route', route)
    attribute(9, 'url.path', `${route}/${random.below(5000)}`)
    attribute(9, 'http.response.status_code', isError ? 500 : 200)
  }
  attribute(9, 'user.id', `u-${random.below(20_000)}`)
  attribute(9, 'server.address', `10.0.${random.below(4)}.${random.below(200)}`)
  attribute(9, 'server.port', 8080)
  attribute(9, 'thread.name', `worker-${random.below(8)}`)
  for (let i = random.below(5); i > 0; i--) attribute(9, `app.tag.${i}`, `v-${random.below(50)}`)
  if (isError) {
    const status = writer.begin(15)
    writer.text(2, 'the answer was 500')
    writer.uint(3, 2)
    writer.end(status)
  }
  writer.end(message)
}
