/** One tenant's spans in a partition: the block being filled, all others, and the catalogue of services and operations. */
import { blockMemoryBytes, SpanBlockBuilder, traceHash, type SpanBlock } from './block.ts'
import { hasTrace, type SpanBlockRef } from './block-ref.ts'

/** Services and operations remembered; more are not listed, but found by search. */
const OPERATIONS_MAX = 100_000

export class TenantTraces {
  /** Newest last. */
  blocks: SpanBlockRef[] = []
  /** Service -> operation -> spans. */
  readonly operations = new Map<string, Map<string, number>>()
  #open = new SpanBlockBuilder()
  /** Rows of the open block by trace hash. */
  #openRows = new Map<number, number[]>()
  #operationCount = 0
  #appendedMs = 0

  get open(): SpanBlockBuilder {
    return this.#open
  }

  /** A row was added to the open block. */
  noteRow(hash: number, service: string, name: string, appendedMs: number): void {
    const row = this.#open.count - 1
    const rows = this.#openRows.get(hash)
    if (rows === undefined) this.#openRows.set(hash, [row])
    else rows.push(row)
    this.#appendedMs = appendedMs
    this.countOperation(service, name, 1)
  }

  countOperation(service: string, name: string, spans: number): void {
    let names = this.operations.get(service)
    if (names === undefined) this.operations.set(service, (names = new Map()))
    const known = names.get(name)
    if (known === undefined && this.#operationCount >= OPERATIONS_MAX) return
    if (known === undefined) this.#operationCount++
    names.set(name, (known ?? 0) + spans)
  }

  openRowsOf(hash: number): readonly number[] {
    return this.#openRows.get(hash) ?? []
  }

  seal(): void {
    if (this.#open.count === 0) return
    this.blocks.push(refOf(this.#open, this.#appendedMs))
    this.#open = new SpanBlockBuilder()
    this.#openRows = new Map()
  }

  /** Blocks to read now, the one being filled as it is at this moment. */
  snapshot(): SpanBlockRef[] {
    return this.#open.count === 0 ? [...this.blocks] : [...this.blocks, refOf(this.#open, this.#appendedMs)]
  }

  /** Blocks that may hold the trace. */
  blocksWith(hash: number, blocks: readonly SpanBlockRef[] = this.blocks): SpanBlockRef[] {
    return blocks.filter((ref) => hasTrace(ref.traces, hash))
  }

  memoryBytes(): number {
    const refs = this.blocks.reduce(
      (sum, ref) => sum + 200 + ref.traces.byteLength + (ref.block === undefined ? 0 : blockMemoryBytes(ref.block)),
      0,
    )
    return refs + this.#open.bytes + this.#open.count * 400 + this.#operationCount * 100
  }
}

export function refOf(builder: SpanBlockBuilder, appendedMs: number): SpanBlockRef {
  const block = builder.block()
  const { minMs, maxMs, bytes } = builder
  return { minMs, maxMs, count: block.count, bytes, appendedMs, traces: traceHashes(block), block, stored: undefined }
}

function traceHashes(block: SpanBlock): Uint32Array {
  const hashes = new Set<number>()
  for (let row = 0; row < block.count; row++) hashes.add(traceHash(block.traceIds, row * 16))
  return Uint32Array.from(hashes).sort()
}
