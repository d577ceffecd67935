/** Log lines of services, half JSON and half logfmt, about 200 bytes: as Loki pushes, as OTLP logs, and as files the kubelet writes. */
import { ProtoWriter } from '../../lib/wire/protobuf/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'
import { Random } from './random.ts'
import { inLanes, type Request, type Slice } from './slice.ts'

export interface LinesSpec {
  readonly kind: 'loki-push' | 'otlp-logs' | 'tail'
  readonly seed: number
  readonly streams: number
  readonly linesPerSlice: number
  readonly linesPerRequest: number
  /** Lines of all slices are spread over this time, which ends at `endMs`. */
  readonly spanMs: number
  readonly endMs: number
  readonly lanes: number
}

const LEVELS = ['info', 'info', 'info', 'info', 'info', 'info', 'info', 'debug', 'debug', 'warn', 'error']
const MESSAGES = [
  'request served',
  'order placed',
  'cache miss, asking the store',
  'payment accepted',
  'retrying after a timeout',
  'slow query',
]
const ROUTES = ['/api/items', '/api/cart', '/api/checkout', '/api/search', '/api/users']

export interface Line {
  readonly app: string
  readonly level: string
  readonly timeMs: number
  /** Nanoseconds below the millisecond: no two lines have the same time. */
  readonly subNs: number
  readonly text: string
}

function appOfStream(stream: number): string {
  return `app-${stream}`
}

/** One after another in time. */
export function* lines(spec: LinesSpec, count: number, random: Random): Generator<Line & { readonly stream: number }> {
  const startMs = spec.endMs - spec.spanMs
  for (let i = 0; i < count; i++) {
    const stream = random.below(spec.streams)
    const level = random.pick(LEVELS)
    const route = `${random.pick(ROUTES)}/${random.below(5000)}`
    const status = level === 'error' ? 500 : random.below(20) === 0 ? 404 : 200
    const ms = (random.below(90_000) + 300) / 100
    const message = random.pick(MESSAGES)
    const user = `u-${random.below(20_000)}`
    const traceId = random.hex(32)
    const text =
      stream % 2 === 0
        ? `{"level":"${level}","msg":"${message}","method":"GET","path":"${route}","status":${status},"duration_ms":${ms},"user":"${user}","trace_id":"${traceId}","pod":"${appOfStream(stream)}-5f7d8c9b4-x${stream}"}`
        : `level=${level} msg="${message}" method=GET path=${route} status=${status} duration_ms=${ms} user=${user} trace_id=${traceId} caller=handler.ts:${random.below(400)} bytes=${random.below(60_000)}`
    yield { stream, app: appOfStream(stream), level, timeMs: startMs + Math.floor((i * spec.spanMs) / count), subNs: i % 1_000_000, text }
  }
}

export function linesSlices(spec: LinesSpec, sliceCount: number): Slice[] {
  const source = lines(spec, spec.linesPerSlice * sliceCount, new Random(spec.seed))
  return Array.from({ length: sliceCount }, (_, slice): Slice => {
    if (spec.kind === 'tail') return { items: spec.linesPerSlice, lanes: [], files: filesOf(spec, slice, take(source, spec.linesPerSlice)) }
    const requests: Request[] = []
    for (let sent = 0; sent < spec.linesPerSlice; sent += spec.linesPerRequest) {
      const batch = take(source, Math.min(spec.linesPerRequest, spec.linesPerSlice - sent))
      requests.push(spec.kind === 'loki-push' ? lokiPush(batch) : otlpLogs(batch))
    }
    return { items: spec.linesPerSlice, lanes: inLanes(requests, spec.lanes) }
  })
}

type StreamLine = Line & { readonly stream: number }

function take(source: Iterator<StreamLine>, count: number): StreamLine[] {
  return Array.from({ length: count }, () => source.next().value as StreamLine)
}

function byStream(batch: readonly StreamLine[]): Map<number, StreamLine[]> {
  return Map.groupBy(batch, ({ stream }) => stream)
}

/** logproto.PushRequest { 1 streams { 1 labels, 2 entries { 1 timestamp { 1 seconds, 2 nanos }, 2 line } } }, in snappy, as promtail sends. */
function lokiPush(batch: readonly StreamLine[]): Request {
  const writer = new ProtoWriter(1 << 18)
  for (const [stream, own] of byStream(batch)) {
    const message = writer.begin(1)
    writer.text(1, `{app="${appOfStream(stream)}", cluster="bench", job="bench", namespace="team-${stream % 7}"}`)
    for (const { timeMs, subNs, text } of own) {
      const entry = writer.begin(2)
      const timestamp = writer.begin(1)
      writer.uint(1, Math.floor(timeMs / 1000))
      writer.uint(2, (timeMs % 1000) * 1_000_000 + subNs)
      writer.end(timestamp)
      writer.text(2, text)
      writer.end(entry)
    }
    writer.end(message)
  }
  return { headers: { 'content-type': 'application/x-protobuf' }, body: snappyEncode(writer.view()) }
}

const SEVERITIES: Readonly<Record<string, number>> = { debug: 5, info: 9, warn: 13, error: 17 }

/** ExportLogsServiceRequest: a resource a stream, three attributes a record. */
function otlpLogs(batch: readonly StreamLine[]): Request {
  const writer = new ProtoWriter(1 << 18)
  const attribute = (field: number, key: string, value: string): void => {
    const pair = writer.begin(field)
    writer.text(1, key)
    const any = writer.begin(2)
    writer.text(1, value)
    writer.end(any)
    writer.end(pair)
  }
  for (const [stream, own] of byStream(batch)) {
    const resourceLogs = writer.begin(1)
    const resource = writer.begin(1)
    attribute(1, 'service.name', appOfStream(stream))
    attribute(1, 'service.namespace', 'bench')
    attribute(1, 'k8s.namespace.name', `team-${stream % 7}`)
    attribute(1, 'k8s.pod.name', `${appOfStream(stream)}-5f7d8c9b4-x${stream}`)
    writer.end(resource)
    const scope = writer.begin(2)
    for (const { timeMs, subNs, text, level } of own) {
      const record = writer.begin(2)
      writer.nano(1, timeMs, subNs)
      writer.uint(2, SEVERITIES[level]!)
      writer.text(3, level.toUpperCase())
      const body = writer.begin(5)
      writer.text(1, text)
      writer.end(body)
      attribute(6, 'code.function', 'handle')
      attribute(6, 'thread.id', String(stream))
      attribute(6, 'http.method', 'GET')
      writer.nano(11, timeMs + 1, subNs)
      writer.end(record)
    }
    writer.end(scope)
    writer.end(resourceLogs)
  }
  return { headers: { 'content-type': 'application/x-protobuf' }, body: writer.take() }
}

/** CRI lines under the names the kubelet gives: one more file a pod and slice. */
function filesOf(spec: LinesSpec, slice: number, batch: readonly StreamLine[]): NonNullable<Slice['files']> {
  return [...byStream(batch)].map(([stream, own]) => ({
    path: `bench_${appOfStream(stream)}-${spec.seed}_uid-${stream}/main/${slice}.log`,
    bytes: Buffer.from(own.map((line) => `${criTime(line)} stdout F ${line.text}\n`).join('')),
  }))
}

function criTime({ timeMs, subNs }: Line): string {
  return `${new Date(timeMs).toISOString().slice(0, -1)}${String(subNs).padStart(6, '0')}Z`
}
