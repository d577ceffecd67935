/** A trace's protobuf as Jaeger's JSON. */
import type { Attribute } from '../../../lib/wire/otlp/common/index.ts'
import {
  eventsOf,
  linksOf,
  newSpanFields,
  readSpan,
  scopeOf,
  spanAttributes,
  walkSpans,
  wrapperAttributes,
  type SpanFields,
} from '../../../lib/wire/otlp/traces/index.ts'

interface KeyValue {
  readonly key: string
  readonly type: 'string' | 'int64' | 'float64' | 'bool'
  readonly value: string | number | boolean
}

interface Process {
  readonly serviceName: string
  readonly tags: readonly KeyValue[]
}

const KINDS = ['', 'internal', 'server', 'client', 'producer', 'consumer']

/** @param bytes `repeated ResourceSpans` in field 1 */
export function jaegerTrace(bytes: Uint8Array): object {
  const processes = new Map<string, { id: string; process: Process }>()
  const spans: object[] = []
  const fields = newSpanFields()
  let process = { id: 'p0', process: { serviceName: '', tags: [] as readonly KeyValue[] } }
  let scopeTags: readonly KeyValue[] = []
  let traceID = ''
  walkSpans(bytes, {
    scope(resource, scope) {
      const key = Buffer.from(resource).toString('latin1')
      const known = processes.get(key)
      process = known ?? { id: `p${processes.size + 1}`, process: processOf(wrapperAttributes(resource)) }
      if (known === undefined) processes.set(key, process)
      scopeTags = scopeTagsOf(scope)
    },
    span(source, from, to) {
      readSpan(source, from, to, fields)
      traceID = hexAt(source, fields.traceIdAt, 16)
      spans.push(spanJson(source.subarray(from, to), source, fields, traceID, process.id, scopeTags))
    },
  })
  return {
    traceID,
    spans,
    processes: Object.fromEntries([...processes.values()].map(({ id, process: one }) => [id, one])),
    warnings: null,
  }
}

function spanJson(
  span: Uint8Array,
  source: Uint8Array,
  fields: SpanFields,
  traceID: string,
  processID: string,
  scopeTags: readonly KeyValue[],
): object {
  const parent = fields.parentIdAt === -1 ? [] : [{ refType: 'CHILD_OF', traceID, spanID: hexAt(source, fields.parentIdAt, 8) }]
  const links = linksOf(span).map((link) => ({ refType: 'FOLLOWS_FROM', traceID: link.traceId, spanID: link.spanId }))
  return {
    traceID,
    spanID: hexAt(source, fields.spanIdAt, 8),
    processID,
    operationName: textAt(source, fields.nameFrom, fields.nameTo),
    startTime: micros(fields.startMs, fields.startSubNs),
    duration: Math.floor(fields.durationNs / 1000),
    references: [...parent, ...links],
    flags: 1,
    tags: [...spanAttributes(span).map(tagOf), ...statusTags(source, fields), ...scopeTags],
    logs: eventsOf(span).map((event) => ({
      timestamp: micros(event.timeMs, event.subNs),
      fields: [{ key: 'event', type: 'string', value: event.name }, ...event.attributes.map(tagOf)],
    })),
    warnings: null,
  }
}

/** What Jaeger has no field for becomes a tag, under the names its own OTLP translation gives. */
function statusTags(source: Uint8Array, fields: SpanFields): KeyValue[] {
  const tags: KeyValue[] = []
  const kind = KINDS[fields.kind] ?? ''
  if (kind !== '') tags.push({ key: 'span.kind', type: 'string', value: kind })
  if (fields.statusCode === 1) tags.push({ key: 'otel.status_code', type: 'string', value: 'OK' })
  if (fields.statusCode === 2)
    tags.push({ key: 'otel.status_code', type: 'string', value: 'ERROR' }, { key: 'error', type: 'bool', value: true })
  const message = textAt(source, fields.statusMessageFrom, fields.statusMessageTo)
  if (message !== '') tags.push({ key: 'otel.status_description', type: 'string', value: message })
  return tags
}

function scopeTagsOf(scope: Uint8Array): KeyValue[] {
  const { name, version } = scopeOf(scope)
  const tags: KeyValue[] = []
  if (name !== '') tags.push({ key: 'otel.scope.name', type: 'string', value: name })
  if (version !== '') tags.push({ key: 'otel.scope.version', type: 'string', value: version })
  return tags
}

function processOf(attributes: readonly Attribute[]): Process {
  const service = attributes.find((attribute) => attribute.key === 'service.name')
  return { serviceName: String(service?.value ?? ''), tags: attributes.filter((attribute) => attribute !== service).map(tagOf) }
}

function tagOf({ key, type, value }: Attribute): KeyValue {
  if (type === 'bool') return { key, type: 'bool', value }
  // Integers past 2^53 come as digits: as a text they stay exact.
  if (type === 'int') return typeof value === 'number' ? { key, type: 'int64', value } : { key, type: 'string', value }
  if (type === 'double') return { key, type: 'float64', value }
  return { key, type: 'string', value: String(value) }
}

function micros(ms: number, subNs: number): number {
  return ms * 1000 + Math.floor(subNs / 1000)
}

function hexAt(bytes: Uint8Array, at: number, length: number): string {
  return at === -1 ? '' : Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('hex')
}

function textAt(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString()
}
