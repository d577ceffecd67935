/**
 * A block: up to a megabyte of lines as columns. Lines lie one after another in `lineBytes`, so a search is one pass over all of them; row i is
 * [lineStart[i], lineStart[i + 1]). Rows are in the order they came (head) or by stream and time (merged); `byTime` sorts when somebody asks.
 *
 * Encoded: u32 count, u32 metaCount, u32 metaBytes, u32 lineBytes, f64 baseMs, then the columns u32 stream, u32 ms − baseMs, u32 subNs, u32 line length, u32 metadata, each
 * `count` long, u32 metadata lengths, metadata bytes, line bytes. Streams are numbers of the segment's table.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'

export const BLOCK_BYTES = 1024 * 1024
export const BLOCK_ROWS = 16_384
/** ms are kept as 32-bit differences: a block spans at most 49 days. */
const SPAN_MS_MAX = 0xffff_ffff

export interface Block {
  readonly count: number
  readonly streamOf: Uint32Array
  readonly timeMs: Float64Array
  readonly subNs: Uint32Array
  /** count + 1 entries. */
  readonly lineStart: Uint32Array
  readonly lineBytes: Uint8Array
  /** Index of the row's structured metadata, as encoded attribute fields in `metaBytes`. */
  readonly metaOf: Uint32Array
  /** metaCount + 1 entries. */
  readonly metaStart: Uint32Array
  readonly metaBytes: Uint8Array
}

export function metaCount(block: Block): number {
  return block.metaStart.length - 1
}

export function blockMemoryBytes(block: Block): number {
  return block.lineBytes.length + block.metaBytes.length + block.count * 28 + block.metaStart.length * 4
}

/** A block while rows are added. `block()` is a view that later rows do not change. */
export class BlockBuilder {
  #count = 0
  #streamOf = new Uint32Array(64)
  #timeMs = new Float64Array(64)
  #subNs = new Uint32Array(64)
  #lineStart = new Uint32Array(65)
  #lineBytes = new Uint8Array(16 * 1024)
  #metaOf = new Uint32Array(64)
  #metaStart = new Uint32Array(17)
  #metaBytes = new Uint8Array(1024)
  #metaCount = 0
  readonly #metaIds = new Map<string, number>()
  minMs = Infinity
  maxMs = -Infinity

  get count(): number {
    return this.#count
  }

  get lineBytes(): number {
    return this.#lineStart[this.#count]!
  }

  /** Whether one more row of this size and time still belongs in this block. */
  hasRoom(lineBytes: number, timeMs: number): boolean {
    if (this.#count === 0) return true
    const spanMs = Math.max(this.maxMs, timeMs) - Math.min(this.minMs, timeMs)
    return this.#count < BLOCK_ROWS && this.lineBytes + lineBytes <= BLOCK_BYTES && spanMs <= SPAN_MS_MAX
  }

  /** Copies the line and the metadata out of `bytes`. */
  add(
    stream: number,
    timeMs: number,
    subNs: number,
    bytes: Uint8Array,
    lineFrom: number,
    lineTo: number,
    metaFrom: number,
    metaTo: number,
  ): void {
    const row = this.#count
    if (row === this.#streamOf.length) this.#growRows()
    const at = this.#lineStart[row]!
    const end = at + lineTo - lineFrom
    if (end > this.#lineBytes.length) this.#lineBytes = grownBytes(this.#lineBytes, end)
    this.#lineBytes.set(bytes.subarray(lineFrom, lineTo), at)
    this.#streamOf[row] = stream
    this.#timeMs[row] = timeMs
    this.#subNs[row] = subNs
    this.#lineStart[row + 1] = end
    this.#metaOf[row] = this.#metaId(bytes, metaFrom, metaTo)
    this.#count = row + 1
    this.minMs = Math.min(this.minMs, timeMs)
    this.maxMs = Math.max(this.maxMs, timeMs)
  }

  #metaId(bytes: Uint8Array, from: number, to: number): number {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1')
    const known = this.#metaIds.get(key)
    if (known !== undefined) return known
    const id = this.#metaCount
    const at = this.#metaStart[id]!
    const end = at + to - from
    if (end > this.#metaBytes.length) this.#metaBytes = grownBytes(this.#metaBytes, end)
    this.#metaBytes.set(bytes.subarray(from, to), at)
    if (id + 1 === this.#metaStart.length) this.#metaStart = grownInts(this.#metaStart)
    this.#metaStart[id + 1] = end
    this.#metaIds.set(key, id)
    this.#metaCount = id + 1
    return id
  }

  #growRows(): void {
    this.#streamOf = grownInts(this.#streamOf)
    this.#subNs = grownInts(this.#subNs)
    this.#metaOf = grownInts(this.#metaOf)
    this.#lineStart = grownInts(this.#lineStart)
    const times = new Float64Array(this.#timeMs.length * 2)
    times.set(this.#timeMs)
    this.#timeMs = times
  }

  block(): Block {
    const count = this.#count
    return {
      count,
      streamOf: this.#streamOf.subarray(0, count),
      timeMs: this.#timeMs.subarray(0, count),
      subNs: this.#subNs.subarray(0, count),
      lineStart: this.#lineStart.subarray(0, count + 1),
      lineBytes: this.#lineBytes.subarray(0, this.lineBytes),
      metaOf: this.#metaOf.subarray(0, count),
      metaStart: this.#metaStart.subarray(0, this.#metaCount + 1),
      metaBytes: this.#metaBytes.subarray(0, this.#metaStart[this.#metaCount]!),
    }
  }
}

function grownInts(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(array.length * 2)
  out.set(array)
  return out
}

function grownBytes(array: Uint8Array, needed: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(Math.max(needed, array.length * 2))
  out.set(array)
  return out
}

const HEAD_BYTES = 24

/** @param segmentStreamOf the segment's number of each of the block's streams */
export function encodeBlock(block: Block, segmentStreamOf: (stream: number) => number): Buffer {
  const { count } = block
  const metas = metaCount(block)
  const words = count * 5 + metas
  const out = Buffer.alloc(HEAD_BYTES + words * 4 + block.metaBytes.length + block.lineBytes.length)
  const baseMs = count === 0 ? 0 : block.timeMs.reduce((min, ms) => Math.min(min, ms), Infinity)
  out.writeUInt32LE(count, 0)
  out.writeUInt32LE(metas, 4)
  out.writeUInt32LE(block.metaBytes.length, 8)
  out.writeUInt32LE(block.lineBytes.length, 12)
  out.writeDoubleLE(baseMs, 16)
  const columns = new Uint32Array(words)
  for (let i = 0; i < count; i++) {
    columns[i] = segmentStreamOf(block.streamOf[i]!)
    columns[count + i] = block.timeMs[i]! - baseMs
    columns[count * 2 + i] = block.subNs[i]!
    columns[count * 3 + i] = block.lineStart[i + 1]! - block.lineStart[i]!
    columns[count * 4 + i] = block.metaOf[i]!
  }
  for (let i = 0; i < metas; i++) columns[count * 5 + i] = block.metaStart[i + 1]! - block.metaStart[i]!
  out.set(new Uint8Array(columns.buffer), HEAD_BYTES)
  out.set(block.metaBytes, HEAD_BYTES + words * 4)
  out.set(block.lineBytes, HEAD_BYTES + words * 4 + block.metaBytes.length)
  return out
}

/** @param storeStreamOf the store's number of each of the segment's streams. Errors: corruption where lengths don't fit. */
export function decodeBlock(raw: Buffer, storeStreamOf: Uint32Array): Block {
  const count = raw.readUInt32LE(0)
  const metas = raw.readUInt32LE(4)
  const metaLength = raw.readUInt32LE(8)
  const lineLength = raw.readUInt32LE(12)
  const words = count * 5 + metas
  if (raw.length !== HEAD_BYTES + words * 4 + metaLength + lineLength) {
    throw new SightlineError('corruption', `cannot decode log block: ${raw.length} bytes do not hold ${count} rows`)
  }
  const baseMs = raw.readDoubleLE(16)
  const columns = new Uint32Array(words)
  new Uint8Array(columns.buffer).set(raw.subarray(HEAD_BYTES, HEAD_BYTES + words * 4))
  const streamOf = new Uint32Array(count)
  const timeMs = new Float64Array(count)
  const lineStart = new Uint32Array(count + 1)
  for (let i = 0; i < count; i++) {
    streamOf[i] = storeStreamOf[columns[i]!]!
    timeMs[i] = baseMs + columns[count + i]!
    lineStart[i + 1] = lineStart[i]! + columns[count * 3 + i]!
  }
  const metaStart = new Uint32Array(metas + 1)
  for (let i = 0; i < metas; i++) metaStart[i + 1] = metaStart[i]! + columns[count * 5 + i]!
  const metaAt = HEAD_BYTES + words * 4
  return {
    count,
    streamOf,
    timeMs,
    subNs: columns.subarray(count * 2, count * 3),
    lineStart,
    lineBytes: raw.subarray(metaAt + metaLength),
    metaOf: columns.subarray(count * 4, count * 5),
    metaStart,
    metaBytes: raw.subarray(metaAt, metaAt + metaLength),
  }
}
