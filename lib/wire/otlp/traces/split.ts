import type { Labels } from '../../../model/index.ts'
import { ProtoWriter } from '../../protobuf/index.ts'
import { PAYLOAD_BYTES_MAX } from '../common/index.ts'
import { newSpanFields, readSpan } from './span.ts'
import { walkSpans } from './walk.ts'

/** One journal record's content: `items` spans of `partition`, as an ExportTraceServiceRequest. */
export interface TraceBatch {
  readonly partition: number
  readonly payload: Uint8Array
  readonly items: number
}

export interface SplitTraces {
  readonly batches: TraceBatch[]
  /** Spans in the request. */
  readonly items: number
  /** Spans left out, by reason (`invalid_id`, `too_large`); all others are in `batches`. */
  readonly rejected: Readonly<Record<string, number>>
}

/** Upper bound of tags and lengths around a group of spans. */
const WRAP_BYTES = 32

/** Spans of one partition under one resource and scope. */
interface Group {
  readonly spans: ProtoWriter
  items: number
}

interface OpenPayload {
  readonly writer: ProtoWriter
  items: number
}

/**
 * Splits a request by trace id. Spans are copied as they are, resources and scopes repeated in every partition that needs them.
 *
 * @param partitionOf given the 16 bytes of a trace id, lent for the call
 * @param options.resourceAttributes external labels: added to resources that lack them
 * Errors: `bad_data` for the whole request where it isn't protobuf. Cost: each span's bytes are copied twice.
 */
export function splitTraces(
  request: Uint8Array,
  partitionOf: (traceId: Uint8Array) => number,
  options: { readonly resourceAttributes?: Labels; readonly payloadBytesMax?: number } = {},
): SplitTraces {
  const splitter = new Splitter(options.payloadBytesMax ?? PAYLOAD_BYTES_MAX)
  const fields = newSpanFields()
  const rejected: Record<string, number> = {}
  let items = 0
  walkSpans(
    request,
    {
      scope: (resource, scope) => splitter.scope(resource, scope),
      span: (bytes, from, to) => {
        items++
        readSpan(bytes, from, to, fields)
        const valid = fields.traceIdAt >= 0 && fields.spanIdAt >= 0
        const partition = valid ? partitionOf(bytes.subarray(fields.traceIdAt, fields.traceIdAt + 16)) : 0
        const reason = !valid ? 'invalid_id' : splitter.span(partition, bytes, from, to) ? '' : 'too_large'
        if (reason !== '') rejected[reason] = (rejected[reason] ?? 0) + 1
      },
    },
    options.resourceAttributes,
  )
  return { batches: splitter.finish(), items, rejected }
}

class Splitter {
  readonly #bytesMax: number
  readonly #groups = new Map<number, Group>()
  readonly #open = new Map<number, OpenPayload>()
  readonly #done: TraceBatch[] = []
  #resource = new Uint8Array(0)
  #scope = new Uint8Array(0)

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  scope(resource: Uint8Array, scope: Uint8Array): void {
    this.#flush()
    this.#resource = new Uint8Array(resource)
    this.#scope = new Uint8Array(scope)
  }

  span(partition: number, bytes: Uint8Array, from: number, to: number): boolean {
    const size = to - from + 6
    const wrap = this.#resource.length + this.#scope.length + WRAP_BYTES
    if (size + wrap > this.#bytesMax) return false
    let group = this.#groups.get(partition)
    if (group === undefined) {
      group = { spans: new ProtoWriter(1024), items: 0 }
      this.#groups.set(partition, group)
    }
    if (group.spans.length + size + wrap > this.#bytesMax) this.#flushGroup(partition, group)
    group.spans.bytes(2, bytes, from, to)
    group.items++
    return true
  }

  finish(): TraceBatch[] {
    this.#flush()
    for (const partition of this.#open.keys()) this.#seal(partition)
    return this.#done
  }

  #flush(): void {
    for (const [partition, group] of this.#groups) this.#flushGroup(partition, group)
    this.#groups.clear()
  }

  #flushGroup(partition: number, group: Group): void {
    if (group.items === 0) return
    const size = group.spans.length + this.#resource.length + this.#scope.length + WRAP_BYTES
    let payload = this.#open.get(partition)
    if (payload !== undefined && payload.writer.length + size > this.#bytesMax) {
      this.#seal(partition)
      payload = undefined
    }
    if (payload === undefined) {
      payload = { writer: new ProtoWriter(size), items: 0 }
      this.#open.set(partition, payload)
    }
    writeGroup(payload.writer, this.#resource, this.#scope, group.spans.view())
    payload.items += group.items
    group.spans.reset()
    group.items = 0
  }

  #seal(partition: number): void {
    const payload = this.#open.get(partition)
    if (payload === undefined) return
    this.#open.delete(partition)
    this.#done.push({ partition, payload: payload.writer.take(), items: payload.items })
  }
}

/** One ResourceSpans with one ScopeSpans, around spans already encoded as fields. */
function writeGroup(writer: ProtoWriter, resource: Uint8Array, scope: Uint8Array, spans: Uint8Array): void {
  const resourceSpans = writer.begin(1)
  writer.raw(resource)
  const scopeSpans = writer.begin(2)
  writer.raw(scope)
  writer.raw(spans)
  writer.end(scopeSpans)
  writer.end(resourceSpans)
}
