import { CELL_ABSENT, CELL_FLOAT, CELL_HISTOGRAM, type FloatHistogram } from '../../lib/model/index.ts'
import { RowsBytes, readHistogram, writeHistogram, type RowsWriter } from '../../lib/wire/rows/index.ts'
import type { Block, ValueCodec } from './values.ts'

const HAS_CELLS = 1
const HAS_STARTS = 2
const HAS_HISTOGRAMS = 4

/**
 * The cells of one series over some rows, as `SeriesSamples` means them: no `cells` = all floats. Grows side arrays only where they are needed.
 */
export class Column {
  readonly values: Float64Array<ArrayBuffer>
  cells: Uint8Array<ArrayBuffer> | undefined
  histograms: (FloatHistogram | undefined)[] | undefined
  startTimes: Float64Array<ArrayBuffer> | undefined

  constructor(rows: number | Float64Array<ArrayBuffer>) {
    this.values = typeof rows === 'number' ? new Float64Array(rows) : rows
  }

  /** A column without any sample yet. */
  static absent(rows: number): Column {
    const column = new Column(rows)
    column.cells = new Uint8Array(rows)
    return column
  }

  withCells(): Uint8Array<ArrayBuffer> {
    this.cells ??= new Uint8Array(this.values.length).fill(CELL_FLOAT)
    return this.cells
  }

  cell(row: number): number {
    return this.cells === undefined ? CELL_FLOAT : this.cells[row]!
  }

  setHistogram(row: number, histogram: FloatHistogram | undefined): void {
    if (histogram === undefined && this.histograms === undefined) return
    this.histograms ??= Array.from({ length: this.values.length })
    this.histograms[row] = histogram
  }

  setStart(row: number, startMs: number): void {
    if (startMs === 0 && this.startTimes === undefined) return
    this.startTimes ??= new Float64Array(this.values.length)
    this.startTimes[row] = startMs
  }

  /** Takes one row of another column over. */
  copyRow(row: number, from: Column, fromRow: number): void {
    this.values[row] = from.values[fromRow]!
    const cell = from.cell(fromRow)
    if (cell !== CELL_FLOAT || this.cells !== undefined) this.withCells()[row] = cell
    this.setHistogram(row, from.histograms?.[fromRow])
    this.setStart(row, from.startTimes?.[fromRow] ?? 0)
  }

  /** All floats again, values left as they are. */
  reset(): void {
    this.cells = undefined
    this.histograms = undefined
    this.startTimes = undefined
  }

  /** Takes consecutive rows of another column over; the rows of this one must not hold samples yet. */
  copyRows(row: number, from: Column, fromRow: number, count: number): void {
    if (from.cells !== undefined || from.startTimes !== undefined) {
      for (let i = 0; i < count; i++) this.copyRow(row + i, from, fromRow + i)
      return
    }
    this.values.set(from.values.subarray(fromRow, fromRow + count), row)
    this.cells?.fill(CELL_FLOAT, row, row + count)
  }

  /** A view of some rows. */
  slice(from: number, to: number): Column {
    const part = new Column(this.values.subarray(from, to))
    part.histograms = this.histograms?.slice(from, to)
    part.cells = this.cells?.subarray(from, to)
    part.startTimes = this.startTimes?.subarray(from, to)
    return part
  }

  present(): number {
    if (this.cells === undefined) return this.values.length
    let count = 0
    for (const cell of this.cells) if (cell !== CELL_ABSENT) count++
    return count
  }
}

const SLAB_VALUES = 16_384

/** Makes many columns out of few buffers: allocating one a column costs more than decoding it. */
export class ColumnSlab {
  #slab = new Float64Array(0)
  #used = 0

  take(rows: number): Column {
    if (this.#used + rows > this.#slab.length) {
      this.#slab = new Float64Array(Math.max(rows, SLAB_VALUES))
      this.#used = 0
    }
    this.#used += rows
    return new Column(this.#slab.subarray(this.#used - rows, this.#used))
  }
}

/** Columns to bytes and back (docs/formats/metrics.md, "Column"). Keeps scratch: one a thread. */
export class ColumnCodec {
  readonly #values: ValueCodec
  readonly #dense = new Float64Array(1024)

  constructor(values: ValueCodec) {
    this.#values = values
  }

  /** Appends rows `0 … rows - 1`, starting and ending at multiples of 4. */
  encode(out: RowsWriter, column: Column, rows: number): void {
    const { cells } = column
    const partial = cells !== undefined && !cells.subarray(0, rows).every((cell) => cell === CELL_FLOAT)
    const histograms = partial && cells.subarray(0, rows).includes(CELL_HISTOGRAM)
    const starts = column.startTimes?.subarray(0, rows).some((ms) => ms !== 0) === true
    out.u32((partial ? HAS_CELLS : 0) | (starts ? HAS_STARTS : 0) | (histograms ? HAS_HISTOGRAMS : 0))
    if (!partial) this.#values.encode(out, column.values, rows)
    else {
      writeCells(out, cells, rows)
      let count = 0
      for (let i = 0; i < rows; i++) if (cells[i] === CELL_FLOAT) this.#dense[count++] = column.values[i]!
      this.#values.encode(out, this.#dense, count)
    }
    if (starts) this.#values.encode(out, column.startTimes!, rows)
    if (!histograms) return
    for (let i = 0; i < rows; i++) if (cells[i] === CELL_HISTOGRAM) writeHistogram(out, column.histograms![i]!)
    out.align(4)
  }

  /** Reads `rows` rows into `column`, from its row `from` on. */
  decode(block: Block, at: number, rows: number, column: Column, from: number): void {
    const flags = block.words[at >>> 2]!
    let next = at + 4
    if ((flags & HAS_CELLS) === 0) {
      next = this.#values.decode(block, next, rows, column.values, from)
      column.cells?.fill(CELL_FLOAT, from, from + rows)
    } else next = this.#decodePartial(block, next, rows, column, from)
    if ((flags & HAS_STARTS) !== 0) {
      next = this.#values.decode(block, next, rows, this.#dense, 0)
      for (let i = 0; i < rows; i++) column.setStart(from + i, this.#dense[i]!)
    }
    if ((flags & HAS_HISTOGRAMS) === 0) return
    const input = new RowsBytes(block.bytes, next)
    for (let i = 0; i < rows; i++) if (column.cells![from + i] === CELL_HISTOGRAM) column.setHistogram(from + i, readHistogram(input))
  }

  #decodePartial(block: Block, at: number, rows: number, column: Column, from: number): number {
    const cells = column.withCells()
    let floats = 0
    for (let i = 0; i < rows; i++) {
      const cell = (block.bytes[at + (i >> 2)]! >> ((i & 3) * 2)) & 3
      cells[from + i] = cell
      if (cell === CELL_FLOAT) floats++
    }
    const next = this.#values.decode(block, at + cellBytes(rows), floats, this.#dense, 0)
    let k = 0
    for (let i = from; i < from + rows; i++) if (cells[i] === CELL_FLOAT) column.values[i] = this.#dense[k++]!
    return next
  }
}

/** Two bits a cell, the first row lowest, up to a multiple of 4 bytes. */
function writeCells(out: RowsWriter, cells: Uint8Array, rows: number): void {
  const bytes = new Uint8Array(cellBytes(rows))
  for (let i = 0; i < rows; i++) bytes[i >> 2]! |= cells[i]! << ((i & 3) * 2)
  out.raw(bytes)
}

function cellBytes(rows: number): number {
  return ((rows + 15) >> 4) * 4
}
