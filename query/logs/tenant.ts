/**
 * One tenant's logs in a partition: streams, the block being filled, and all other blocks in the order they were closed.
 */
import { BLOCK_ROWS, BlockBuilder, blockMemoryBytes, type Block } from './block.ts'
import { sharesOf, type BlockRef } from './block-ref.ts'
import { hashOf, RowTable, type Candidate } from './repeats.ts'
import { StreamIndex } from './streams.ts'

/** Blocks with a repeat table at once: each is a few hundred kilobytes; the one made first goes first. */
const TABLES_MAX = 16

export class TenantLogs {
  readonly streams = new StreamIndex()
  /** Newest last. */
  blocks: BlockRef[] = []
  #open = new BlockBuilder()
  /** Append time of the newest record. */
  #appendedMs = 0
  /** Newest time of each stream, milliseconds and nanoseconds below. */
  #newestMs: number[] = []
  #newestSubNs: number[] = []
  readonly #tables = new Map<object, RowTable>()

  /** The number of a stream; its newest time starts at nothing. */
  addStream(labels: readonly string[]): number {
    const stream = this.streams.add(labels)
    this.#newestMs[stream] ??= -Infinity
    this.#newestSubNs[stream] ??= 0
    return stream
  }

  /** What a loaded block says of its streams. */
  noteTime(stream: number, timeMs: number): void {
    if (timeMs >= this.#newestMs[stream]!) {
      this.#newestMs[stream] = timeMs
      // Blocks in files know milliseconds: every nanosecond of it may be taken.
      this.#newestSubNs[stream] = 999_999
    }
  }

  append(row: Candidate, appendedMs: number): void {
    const lineBytes = row.lineTo - row.lineFrom
    if (!this.#open.hasRoom(lineBytes, row.timeMs)) this.seal()
    this.#open.add(row.stream, row.timeMs, row.subNs, row.bytes, row.lineFrom, row.lineTo, row.metaFrom, row.metaTo)
    this.#appendedMs = appendedMs
    if (this.isNewest(row)) {
      this.#newestMs[row.stream] = row.timeMs
      this.#newestSubNs[row.stream] = row.subNs
    }
  }

  /** True where the stream has nothing at or after the row's time: such a row can't be a repeat. */
  isNewest({ stream, timeMs, subNs }: Candidate): boolean {
    const newestMs = this.#newestMs[stream]!
    return timeMs > newestMs || (timeMs === newestMs && subNs > this.#newestSubNs[stream]!)
  }

  /** How many stored rows equal the candidate, in blocks with a record appended at `sinceMs` or later. */
  countEqual(candidate: Candidate, sinceMs: number, decode: (ref: BlockRef) => Block): number {
    const hash = hashOf(candidate)
    let count = 0
    for (const ref of this.blocks) {
      if (candidate.timeMs < ref.minMs || candidate.timeMs > ref.maxMs || ref.appendedMs < sinceMs) continue
      if (!ref.shares.some((share) => share.stream === candidate.stream)) continue
      const block = decode(ref)
      count += this.#tableOf(ref, block).countEqual(block, hash, candidate)
    }
    const open = this.#open.block()
    return count + this.#tableOf(this.#open, open).countEqual(open, hash, candidate)
  }

  #tableOf(key: object, block: Block): RowTable {
    let table = this.#tables.get(key)
    if (table === undefined) {
      table = new RowTable()
      this.#tables.set(key, table)
      if (this.#tables.size > TABLES_MAX) this.#tables.delete(this.#tables.keys().next().value!)
    }
    table.update(block)
    return table
  }

  /** Closes the block being filled; it is one of `blocks` from then on. */
  seal(): void {
    if (this.#open.count === 0) return
    const ref = this.#openRef()
    const table = this.#tables.get(this.#open)
    if (table !== undefined) {
      this.#tables.delete(this.#open)
      this.#tables.set(ref, table)
    }
    this.blocks.push(ref)
    this.#open = new BlockBuilder()
  }

  /** Blocks to read now, the one being filled as it is at this moment. */
  snapshot(): BlockRef[] {
    return this.#open.count === 0 ? [...this.blocks] : [...this.blocks, this.#openRef()]
  }

  /** The block being filled, as it is at this moment. */
  #openRef(): BlockRef {
    const block = this.#open.block()
    return {
      minMs: this.#open.minMs,
      maxMs: this.#open.maxMs,
      count: block.count,
      rawBytes: block.lineBytes.length,
      appendedMs: this.#appendedMs,
      shares: sharesOf(block),
      block,
      stored: undefined,
    }
  }

  forgetTable(ref: BlockRef): void {
    this.#tables.delete(ref)
  }

  memoryBytes(): number {
    const open = blockMemoryBytes(this.#open.block())
    const closed = this.blocks.reduce(
      (sum, ref) => sum + 200 + ref.shares.length * 40 + (ref.block === undefined ? 0 : blockMemoryBytes(ref.block)),
      0,
    )
    return open + closed + this.streams.memoryBytes() + this.#tables.size * BLOCK_ROWS * 16
  }
}
