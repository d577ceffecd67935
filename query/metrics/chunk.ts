/**
 * A group chunk: some rows of a group as one time column and one column a series, in one buffer with a table of offsets, so that what a chunk costs in
 * memory is shared by its series.
 *
 *   0      4         8            12      16
 *   +------+---------+------------+-------+------------+----------------------------+-------------- - -
 *   | rows | columns | offsets at | zeros | times (run) | offsets: u32 × (columns+1) | columns
 *   +------+---------+------------+-------+------------+----------------------------+-------------- - -
 */
import { RowsWriter } from '../../lib/wire/rows/index.ts'
import { Column, ColumnCodec } from './column.ts'
import { ValueCodec, blockOf, type Block } from './values.ts'

const HEAD_BYTES = 16

/** Bytes of a file or of memory. The block may be larger than what was asked for; it must not be written to. */
export interface ByteSource {
  read(offset: number, bytes: number): { readonly block: Block; readonly at: number }
}

export class MemorySource implements ByteSource {
  readonly #block: Block

  constructor(bytes: Uint8Array) {
    this.#block = blockOf(bytes)
  }

  read(offset: number): { block: Block; at: number } {
    return { block: this.#block, at: offset }
  }
}

/** Where a chunk lies, and what is in it. `series[c]` is the series of column c: an id of the tenant's index. */
export interface ChunkRef {
  source: ByteSource
  offset: number
  readonly bytes: number
  readonly rows: number
  readonly minMs: number
  readonly maxMs: number
  readonly series: Uint32Array
  /** Offsets of the records its rows came from: first, and one past the last. */
  readonly fromOffset: number
  readonly toOffset: number
}

/** Codecs with their scratch: one for each store. */
export class Codecs {
  readonly values = new ValueCodec()
  readonly columns = new ColumnCodec(this.values)
}

/** Times must ascend strictly. Columns are asked for one after the other and may be reused between two calls. */
export function encodeChunk(
  codecs: Codecs,
  times: Float64Array,
  columns: number,
  column: (index: number) => Column,
): Uint8Array<ArrayBuffer> {
  const out = new RowsWriter(256 + columns * (16 + times.length))
  out.u32(times.length)
  out.u32(columns)
  out.u32(0)
  out.u32(0)
  codecs.values.encode(out, times, times.length)
  const offsetsAt = out.length
  out.patchU32(8, offsetsAt)
  for (let i = 0; i <= columns; i++) out.u32(0)
  for (let i = 0; i < columns; i++) {
    out.patchU32(offsetsAt + i * 4, out.length)
    codecs.columns.encode(out, column(i), times.length)
  }
  out.patchU32(offsetsAt + columns * 4, out.length)
  return out.finish().slice()
}

/** Reads the columns of one chunk, as many or as few as are wanted. */
export class ChunkReader {
  readonly times: Float64Array<ArrayBuffer>
  readonly #codecs: Codecs
  readonly #ref: ChunkRef
  readonly #offsets: Uint32Array

  constructor(codecs: Codecs, ref: ChunkRef) {
    this.#codecs = codecs
    this.#ref = ref
    const head = ref.source.read(ref.offset, HEAD_BYTES)
    const columns = head.block.words[(head.at >>> 2) + 1]!
    const offsetsAt = head.block.words[(head.at >>> 2) + 2]!
    const all = ref.source.read(ref.offset, offsetsAt + columns * 4 + 4)
    this.times = new Float64Array(ref.rows)
    codecs.values.decode(all.block, all.at + HEAD_BYTES, ref.rows, this.times, 0)
    const word = (all.at + offsetsAt) >>> 2
    this.#offsets = all.block.words.subarray(word, word + columns + 1)
  }

  decode(column: number, into: Column, from: number): void {
    const start = this.#offsets[column]!
    const { block, at } = this.#ref.source.read(this.#ref.offset + start, this.#offsets[column + 1]! - start)
    this.#codecs.columns.decode(block, at, this.#ref.rows, into, from)
  }
}
