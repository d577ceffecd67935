/**
 * A block of spans in columns: what searches look at first lies in typed arrays, the span itself stays its own protobuf bytes.
 *
 * Names, services and wrappers (what surrounds a span: its resource and scope) are dictionaries of the block. `spanBytes` holds the spans one after
 * another. Encoded: a JSON head with the dictionaries, then the columns, the wrappers and the span bytes.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Attribute } from '../../lib/wire/otlp/common/index.ts'
import type { SpanFields } from '../../lib/wire/otlp/traces/index.ts'

export const BLOCK_BYTES = 1024 * 1024
export const BLOCK_ROWS = 8192

export interface Wrapper {
  readonly resource: Uint8Array
  readonly scope: Uint8Array
  readonly service: string
  /** Of the resource, decoded once for all spans that share it, when a query first asks. */
  attributes?: readonly Attribute[]
}

export interface SpanBlock {
  readonly count: number
  /** 16 bytes a row. */
  readonly traceIds: Uint8Array
  /** 8 bytes a row. */
  readonly spanIds: Uint8Array
  readonly parentIds: Uint8Array
  readonly startMs: Float64Array
  readonly startSubNs: Uint32Array
  readonly durationNs: Float64Array
  readonly kind: Uint8Array
  readonly statusCode: Uint8Array
  readonly nameOf: Uint32Array
  readonly wrapperOf: Uint32Array
  /** count + 1 entries. */
  readonly spanStart: Uint32Array
  readonly spanBytes: Uint8Array
  readonly names: readonly string[]
  readonly wrappers: readonly Wrapper[]
}

/** 32 bits of a trace id, for the table of which blocks hold it. */
export function traceHash(bytes: Uint8Array, at = 0): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < 16; i++) hash = Math.imul(hash ^ bytes[at + i]!, 0x01000193)
  return hash >>> 0
}

export function blockMemoryBytes(block: SpanBlock): number {
  const wrappers = block.wrappers.reduce((sum, { resource, scope }) => sum + resource.length + scope.length + 100, 0)
  return block.spanBytes.length + block.count * 66 + wrappers + block.names.length * 60
}

/** Columns that grow by doubling; rows are written into them as they come, so that a block's view costs nothing. */
class Columns {
  rows = 64
  traceIds = new Uint8Array(64 * 16)
  spanIds = new Uint8Array(64 * 8)
  parentIds = new Uint8Array(64 * 8)
  startMs = new Float64Array(64)
  startSubNs = new Uint32Array(64)
  durationNs = new Float64Array(64)
  kind = new Uint8Array(64)
  statusCode = new Uint8Array(64)
  nameOf = new Uint32Array(64)
  wrapperOf = new Uint32Array(64)
  spanStart = new Uint32Array(65)
  spanBytes = new Uint8Array(16 * 1024)

  grow(): void {
    this.rows *= 2
    this.traceIds = doubled(this.traceIds)
    this.spanIds = doubled(this.spanIds)
    this.parentIds = doubled(this.parentIds)
    this.startMs = doubled(this.startMs)
    this.startSubNs = doubled(this.startSubNs)
    this.durationNs = doubled(this.durationNs)
    this.kind = doubled(this.kind)
    this.statusCode = doubled(this.statusCode)
    this.nameOf = doubled(this.nameOf)
    this.wrapperOf = doubled(this.wrapperOf)
    this.spanStart = doubled(this.spanStart)
  }

  needBytes(bytes: number): void {
    while (bytes > this.spanBytes.length) this.spanBytes = doubled(this.spanBytes)
  }
}

function doubled<T extends Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(array: T): T {
  const out = new (array.constructor as new (length: number) => T)(array.length * 2)
  out.set(array)
  return out
}

export class SpanBlockBuilder {
  readonly #columns = new Columns()
  readonly #names = new Map<string, number>()
  readonly #wrappers: Wrapper[] = []
  readonly #wrapperIds = new Map<string, number>()
  #lastWrapper: { readonly wrapper: Wrapper; readonly id: number } | undefined
  #count = 0
  minMs = Infinity
  maxMs = -Infinity

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#columns.spanStart[this.#count]!
  }

  get isFull(): boolean {
    return this.#count >= BLOCK_ROWS || this.bytes >= BLOCK_BYTES
  }

  /** The number of a wrapper in this block. The same object again is not looked up. */
  wrapper(wrapper: Wrapper): number {
    if (this.#lastWrapper?.wrapper === wrapper) return this.#lastWrapper.id
    const key = `${latin1(wrapper.resource)}\n${latin1(wrapper.scope)}`
    let id = this.#wrapperIds.get(key)
    if (id === undefined) {
      id = this.#wrappers.length
      this.#wrappers.push(wrapper)
      this.#wrapperIds.set(key, id)
    }
    this.#lastWrapper = { wrapper, id }
    return id
  }

  /** Copies the span. `fields` are of `bytes`. */
  add(fields: SpanFields, wrapper: number, bytes: Uint8Array, from: number, to: number, name: string): void {
    const columns = this.#columns
    const row = this.#count
    if (row === columns.rows) columns.grow()
    const at = columns.spanStart[row]!
    columns.needBytes(at + to - from)
    columns.spanBytes.set(bytes.subarray(from, to), at)
    columns.spanStart[row + 1] = at + to - from
    copyId(bytes, fields.traceIdAt, columns.traceIds, row, 16)
    copyId(bytes, fields.spanIdAt, columns.spanIds, row, 8)
    if (fields.parentIdAt !== -1) copyId(bytes, fields.parentIdAt, columns.parentIds, row, 8)
    columns.startMs[row] = fields.startMs
    columns.startSubNs[row] = fields.startSubNs
    columns.durationNs[row] = fields.durationNs
    columns.kind[row] = fields.kind
    columns.statusCode[row] = fields.statusCode
    columns.wrapperOf[row] = wrapper
    let nameId = this.#names.get(name)
    if (nameId === undefined) this.#names.set(name, (nameId = this.#names.size))
    columns.nameOf[row] = nameId
    this.#count = row + 1
    this.minMs = Math.min(this.minMs, fields.startMs)
    this.maxMs = Math.max(this.maxMs, fields.startMs)
  }

  /** True where the row is the span that `fields` of `bytes` describe: same trace, span and start. */
  isSame(row: number, fields: SpanFields, bytes: Uint8Array): boolean {
    const { startMs, startSubNs, traceIds, spanIds } = this.#columns
    if (startMs[row] !== fields.startMs || startSubNs[row] !== fields.startSubNs) return false
    for (let i = 0; i < 16; i++) if (traceIds[row * 16 + i] !== bytes[fields.traceIdAt + i]) return false
    for (let i = 0; i < 8; i++) if (spanIds[row * 8 + i] !== bytes[fields.spanIdAt + i]) return false
    return true
  }

  /** The rows so far. Later rows are written behind them, or into larger arrays: the view stays as it is. */
  block(): SpanBlock {
    const columns = this.#columns
    const count = this.#count
    return {
      count,
      traceIds: columns.traceIds.subarray(0, count * 16),
      spanIds: columns.spanIds.subarray(0, count * 8),
      parentIds: columns.parentIds.subarray(0, count * 8),
      startMs: columns.startMs.subarray(0, count),
      startSubNs: columns.startSubNs.subarray(0, count),
      durationNs: columns.durationNs.subarray(0, count),
      kind: columns.kind.subarray(0, count),
      statusCode: columns.statusCode.subarray(0, count),
      nameOf: columns.nameOf.subarray(0, count),
      wrapperOf: columns.wrapperOf.subarray(0, count),
      spanStart: columns.spanStart.subarray(0, count + 1),
      spanBytes: columns.spanBytes.subarray(0, this.bytes),
      names: [...this.#names.keys()],
      wrappers: [...this.#wrappers],
    }
  }
}

function copyId(from: Uint8Array, at: number, to: Uint8Array, row: number, length: number): void {
  for (let i = 0; i < length; i++) to[row * length + i] = from[at + i]!
}

interface BlockHead {
  readonly count: number
  readonly names: readonly string[]
  /** [resource bytes, scope bytes, service] each. */
  readonly wrappers: readonly (readonly [number, number, string])[]
}

/** The columns in the order they are laid out; all but the last have a fixed width a row. */
function columnsOf(block: SpanBlock): Uint8Array[] {
  const bytesOf = (array: Float64Array | Uint32Array): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  return [
    bytesOf(block.startMs),
    bytesOf(block.durationNs),
    bytesOf(block.startSubNs),
    bytesOf(block.nameOf),
    bytesOf(block.wrapperOf),
    bytesOf(block.spanStart),
    block.traceIds,
    block.spanIds,
    block.parentIds,
    block.kind,
    block.statusCode,
  ]
}

export function encodeBlock(block: SpanBlock): Buffer {
  const head: BlockHead = {
    count: block.count,
    names: block.names,
    wrappers: block.wrappers.map(({ resource, scope, service }) => [resource.length, scope.length, service] as const),
  }
  const json = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(json.length)
  const wrappers = block.wrappers.flatMap(({ resource, scope }) => [resource, scope])
  return Buffer.concat([length, json, ...columnsOf(block), ...wrappers, block.spanBytes])
}

/** Errors: corruption where lengths don't fit. */
export function decodeBlock(raw: Buffer): SpanBlock {
  let at = 4 + raw.readUInt32LE(0)
  const { count, names, wrappers } = JSON.parse(raw.toString('utf8', 4, at)) as BlockHead
  const take = (bytes: number): Buffer => {
    if (at + bytes > raw.length)
      throw new SightlineError('corruption', `cannot decode span block: ${raw.length} bytes do not hold ${count} spans`)
    at += bytes
    return raw.subarray(at - bytes, at)
  }
  // Copies into memory of their own: typed arrays need their alignment.
  const doubles = (): Float64Array => new Float64Array(new Uint8Array(take(count * 8)).buffer)
  const ints = (n: number): Uint32Array => new Uint32Array(new Uint8Array(take(n * 4)).buffer)
  const startMs = doubles()
  const durationNs = doubles()
  const startSubNs = ints(count)
  const nameOf = ints(count)
  const wrapperOf = ints(count)
  const spanStart = ints(count + 1)
  const [traceIds, spanIds, parentIds, kind, statusCode] = [take(count * 16), take(count * 8), take(count * 8), take(count), take(count)]
  const decoded = wrappers.map(([resource, scope, service]) => ({ resource: take(resource), scope: take(scope), service }))
  const spanBytes = raw.subarray(at)
  return {
    count,
    traceIds,
    spanIds,
    parentIds,
    startMs,
    startSubNs,
    durationNs,
    kind,
    statusCode,
    nameOf,
    wrapperOf,
    spanStart,
    spanBytes,
    names,
    wrappers: decoded,
  }
}

/** Everything a needle may lie in: attributes are in the spans' and the wrappers' bytes. */
export function filterBytes(block: SpanBlock): Uint8Array {
  return Buffer.concat([...block.wrappers.flatMap(({ resource, scope }) => [resource, scope]), block.spanBytes])
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

export function hex(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('hex')
}
