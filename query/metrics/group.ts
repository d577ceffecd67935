/**
 * A group: series that share timestamps (those of one target), and their rows that are not sealed yet.
 *
 * Series have slots; a row is one time and one cell a slot:
 *
 *   slots   [ series 17 | series 18 | series 19 | … ]            width = slots in use, stride = slots there is room for
 *   row 0   time | value       value       value    …
 *   row 1   time | value       value       value    …            rows in the order of arrival; `order` sorts them by time
 *
 * Values lie row by row, so that appending a scrape is one copy. `cells` exists only while some cell is no float. Reading and sealing take columns. Slots are added at the end;
 * only sealing drops some (series that ended), and then `version` changes: whoever remembers slots asks again.
 */
import { CELL_ABSENT, CELL_FLOAT, CELL_HISTOGRAM, CELL_STALE, type FloatHistogram } from '../../lib/model/index.ts'
import { ChunkReader, MemorySource, encodeChunk, type ChunkRef, type Codecs } from './chunk.ts'
import { Column } from './column.ts'

const ROWS_FIRST = 4
const NARROW_WIDTH = 4
const NARROW_ROWS = 128
const WIDE_ROWS = 32
/** Groups wider than this with less than one cell in eight filled don't share their timestamps. */
const SPLIT_WIDTH = 8
const SPLIT_FILL = 1 / 8

export const STORED = 0
export const DUPLICATE = 1
export const CONFLICT = 2
export type CellOutcome = typeof STORED | typeof DUPLICATE | typeof CONFLICT

interface RowSide {
  histograms: Map<number, FloatHistogram> | undefined
  startTimes: Map<number, number> | undefined
}

export class Group {
  readonly key: string
  number: number
  /** Where the group's series lay before they got groups of their own. */
  readonly parent: Group | undefined
  slots = new Uint32Array(0)
  width = 0
  times = new Float64Array(ROWS_FIRST)
  rows = 0
  chunks: ChunkRef[] = []
  /** Its series get groups of their own from now on. */
  split = false
  version = 0
  newestMs = -Infinity
  sealedMaxMs = -Infinity
  fromOffset = 0
  toOffset = 0
  #values = new Float64Array(0)
  #cells: Uint8Array | undefined
  #sides: (RowSide | undefined)[] = []
  #stride = 0
  #rowsMax = 0

  constructor(key: string, number: number, parent: Group | undefined) {
    this.key = key
    this.number = number
    this.parent = parent
  }

  get full(): boolean {
    return this.rows >= (this.width <= NARROW_WIDTH ? NARROW_ROWS : WIDE_ROWS)
  }

  addSlot(series: number): number {
    if (this.width === this.slots.length) {
      const grown = new Uint32Array(this.width === 0 ? 1 : this.width + Math.max(4, this.width >> 3))
      grown.set(this.slots)
      this.slots = grown
    }
    // Before the width grows: in the rows there are, the new slot is absent.
    if (this.rows > 0) this.#someCells()
    const slot = this.width++
    this.slots[slot] = series
    if (this.rows > 0) this.#allocate()
    return slot
  }

  /** Makes room for slots that will be added at once. */
  reserve(slots: number): void {
    if (slots <= this.slots.length) return
    const grown = new Uint32Array(slots)
    grown.set(this.slots.subarray(0, this.width))
    this.slots = grown
  }

  /** The row of a timestamp, or −1. Cost: none for a time later than all rows. */
  rowAt(timestampMs: number): number {
    if (timestampMs > this.newestMs) return -1
    for (let row = this.rows - 1; row >= 0; row--) if (this.times[row] === timestampMs) return row
    return -1
  }

  /** A new row, all absent once `absentRow` was called for it; the group must not be full. */
  addRow(timestampMs: number, offset: number): number {
    const row = this.rows++
    this.#allocate()
    if (row === 0) this.fromOffset = offset
    this.toOffset = offset + 1
    this.times[row] = timestampMs
    if (timestampMs > this.newestMs) this.newestMs = timestampMs
    this.#cells?.fill(CELL_ABSENT, row * this.#stride, (row + 1) * this.#stride)
    return row
  }

  absentRow(row: number): void {
    this.#someCells().fill(CELL_ABSENT, row * this.#stride, (row + 1) * this.#stride)
  }

  /** Copies values into the slots from `base` on, which must be absent or of a new row. */
  putValues(row: number, base: number, values: Float64Array, cells: Uint8Array | undefined): void {
    const at = row * this.#stride + base
    this.#values.set(values, at)
    if (cells !== undefined) this.#someCells().set(cells, at)
    else this.#cells?.fill(CELL_FLOAT, at, at + values.length)
  }

  isAbsent(row: number, base: number, count: number): boolean {
    if (this.#cells === undefined) return false
    const at = row * this.#stride + base
    for (let i = at; i < at + count; i++) if (this.#cells[i] !== CELL_ABSENT) return false
    return true
  }

  /** The first sample of a cell stays; a second one is a duplicate or a conflict. */
  putCell(row: number, slot: number, value: number, cell: number, histogram: FloatHistogram | undefined): CellOutcome {
    const at = row * this.#stride + slot
    const there = this.#cells === undefined ? CELL_FLOAT : this.#cells[at]!
    if (there !== CELL_ABSENT) {
      return sameSample(there, this.#values[at]!, this.#sides[row]?.histograms?.get(slot), cell, value, histogram) ? DUPLICATE : CONFLICT
    }
    this.#values[at] = value
    this.#cells![at] = cell
    if (histogram !== undefined) this.setHistogram(row, slot, histogram)
    return STORED
  }

  setHistogram(row: number, slot: number, histogram: FloatHistogram): void {
    const side = this.#side(row)
    side.histograms ??= new Map()
    side.histograms.set(slot, histogram)
  }

  setStart(row: number, slot: number, startMs: number): void {
    if (startMs === 0) return
    const side = this.#side(row)
    side.startTimes ??= new Map()
    side.startTimes.set(slot, startMs)
  }

  /** Row numbers in the order of their times. */
  order(): Uint32Array {
    const order = Uint32Array.from({ length: this.rows }, (_, row) => row)
    return order.sort((a, b) => this.times[a]! - this.times[b]!)
  }

  /** Reads one slot's cells of some rows into `into`, from its row `from` on. */
  readColumn(slot: number, rows: Uint32Array, into: Column, from: number): void {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      const at = row * this.#stride + slot
      into.values[from + i] = this.#values[at]!
      const cell = this.#cells === undefined ? CELL_FLOAT : this.#cells[at]!
      if (cell !== CELL_FLOAT || into.cells !== undefined) into.withCells()[from + i] = cell
      const side = this.#sides[row]
      if (side === undefined) continue
      if (cell === CELL_HISTOGRAM) into.setHistogram(from + i, side.histograms?.get(slot))
      into.setStart(from + i, side.startTimes?.get(slot) ?? 0)
    }
  }

  /**
   * Encodes the rows as a chunk, adds it to `chunks` and empties the rows. Slots whose series ended (a stale cell last) or had no sample are dropped.
   *
   * @returns true where slots were dropped
   */
  seal(codecs: Codecs): boolean {
    const order = this.order()
    const times = Float64Array.from(order, (row) => this.times[row]!)
    const kept: number[] = []
    const present: number[] = []
    let filled = 0
    for (let slot = 0; slot < this.width; slot++) {
      const { count, last } = this.#presence(slot, order)
      filled += count
      if (count > 0) present.push(slot)
      if (count > 0 && last !== CELL_STALE) kept.push(this.slots[slot]!)
    }
    if (present.length > 0) this.#addChunk(codecs, order, times, present)
    if (this.width > SPLIT_WIDTH && filled / (this.width * this.rows) < SPLIT_FILL) this.split = true
    const keptSlots = this.split ? [] : kept
    const dropped = keptSlots.length < this.width
    if (dropped) {
      this.slots = Uint32Array.from(keptSlots)
      this.width = keptSlots.length
      this.version++
    }
    this.rows = 0
    this.#rowsMax = 0
    this.#stride = 0
    this.#values = new Float64Array(0)
    this.#cells = undefined
    this.#sides = []
    return dropped
  }

  /** The unsealed rows as they are now, on their own. */
  snapshot(): Group {
    const copy = new Group(this.key, this.number, this.parent)
    copy.slots = this.slots.slice(0, this.width)
    copy.width = this.width
    copy.times = this.times.slice(0, this.rows)
    copy.rows = this.rows
    copy.split = this.split
    copy.fromOffset = this.fromOffset
    copy.toOffset = this.toOffset
    copy.#values = this.#values.slice(0, this.rows * this.#stride)
    copy.#cells = this.#cells?.slice(0, this.rows * this.#stride)
    copy.#sides = [...this.#sides]
    copy.#stride = this.#stride
    return copy
  }

  /** All unsealed rows as one chunk, the columns being the slots; there must be a row. */
  encode(codecs: Codecs): ChunkRef {
    const slots = Array.from({ length: this.width }, (_, slot) => slot)
    const order = this.order()
    return this.#chunkOf(
      codecs,
      order,
      Float64Array.from(order, (row) => this.times[row]!),
      slots,
    )
  }

  /** Puts back what `encode` gave, into an empty group whose slots are the chunk's columns. */
  restore(codecs: Codecs, chunk: ChunkRef): void {
    const reader = new ChunkReader(codecs, chunk)
    const columns = Array.from(chunk.series, (_, c) => {
      const column = new Column(chunk.rows)
      reader.decode(c, column, 0)
      return column
    })
    const partial = columns.some((column) => column.cells !== undefined)
    for (let r = 0; r < chunk.rows; r++) {
      const row = this.addRow(reader.times[r]!, chunk.fromOffset)
      const cells = partial ? Uint8Array.from(columns, (column) => column.cell(r)) : undefined
      this.putValues(
        row,
        0,
        Float64Array.from(columns, (column) => column.values[r]!),
        cells,
      )
      columns.forEach((column, slot) => {
        const histogram = column.histograms?.[r]
        if (histogram !== undefined) this.setHistogram(row, slot, histogram)
        if (column.startTimes !== undefined) this.setStart(row, slot, column.startTimes[r]!)
      })
    }
    this.toOffset = chunk.toOffset
  }

  overlaps(startMs: number, endMs: number): boolean {
    for (const chunk of this.chunks) if (chunk.maxMs >= startMs && chunk.minMs <= endMs) return true
    for (let row = 0; row < this.rows; row++) if (this.times[row]! >= startMs && this.times[row]! <= endMs) return true
    return false
  }

  /** True where every series of the group has ended. */
  ended(): boolean {
    if (this.#cells === undefined) return this.rows === 0
    const order = this.order()
    for (let slot = 0; slot < this.width; slot++) {
      const { count, last } = this.#presence(slot, order)
      if (count > 0 && last !== CELL_STALE) return false
    }
    return true
  }

  /** The index was made anew: series and the group itself have other numbers. */
  rename(number: number, series: Uint32Array): void {
    this.number = number
    this.version++
    const renamed = new Map<Uint32Array, Uint32Array>()
    for (let slot = 0; slot < this.width; slot++) this.slots[slot] = series[this.slots[slot]!]!
    this.chunks = this.chunks.map((chunk) => {
      const own = renamed.get(chunk.series) ?? chunk.series.map((id) => series[id]!)
      renamed.set(chunk.series, own)
      return { ...chunk, series: own }
    })
  }

  memoryBytes(): number {
    return 600 + this.#values.byteLength + (this.#cells?.byteLength ?? 0) + this.slots.byteLength + this.chunks.length * 200
  }

  #addChunk(codecs: Codecs, order: Uint32Array, times: Float64Array, present: readonly number[]): void {
    this.chunks.push(this.#chunkOf(codecs, order, times, present))
    this.sealedMaxMs = Math.max(this.sealedMaxMs, times.at(-1)!)
  }

  #chunkOf(codecs: Codecs, order: Uint32Array, times: Float64Array, slots: readonly number[]): ChunkRef {
    const column = new Column(order.length)
    const bytes = encodeChunk(codecs, times, slots.length, (index) => {
      column.reset()
      this.readColumn(slots[index]!, order, column, 0)
      return column
    })
    const before = this.chunks.at(-1)?.series
    const series = Uint32Array.from(slots, (slot) => this.slots[slot]!)
    const same = before !== undefined && before.length === series.length && series.every((id, i) => id === before[i])
    return {
      source: new MemorySource(bytes),
      offset: 0,
      bytes: bytes.length,
      rows: order.length,
      minMs: times[0]!,
      maxMs: times.at(-1)!,
      series: same ? before : series,
      fromOffset: this.fromOffset,
      toOffset: this.toOffset,
    }
  }

  #presence(slot: number, order: Uint32Array): { count: number; last: number } {
    if (this.#cells === undefined) return { count: order.length, last: CELL_FLOAT }
    let count = 0
    let last = CELL_ABSENT
    for (const row of order) {
      const cell = this.#cells[row * this.#stride + slot]!
      if (cell === CELL_ABSENT) continue
      count++
      last = cell
    }
    return { count, last }
  }

  #side(row: number): RowSide {
    return (this.#sides[row] ??= { histograms: undefined, startTimes: undefined })
  }

  #someCells(): Uint8Array {
    if (this.#cells === undefined) {
      this.#cells = new Uint8Array(this.#values.length)
      for (let row = 0; row < this.rows; row++) {
        const at = row * this.#stride
        this.#cells.fill(CELL_FLOAT, at, at + this.width)
      }
    }
    return this.#cells
  }

  /** Room for `rows` rows of `width` slots. Slots that are new in old rows are absent. */
  #allocate(): void {
    if (this.rows <= this.#rowsMax && this.width <= this.#stride) return
    const stride = this.width <= this.#stride ? this.#stride : this.slots.length
    let rowsMax = Math.max(this.#rowsMax, ROWS_FIRST)
    while (rowsMax < this.rows) rowsMax *= 2
    const values = new Float64Array(rowsMax * stride)
    const cells = this.#cells === undefined ? undefined : new Uint8Array(rowsMax * stride)
    const oldRows = Math.min(this.rows, this.#rowsMax)
    for (let row = 0; row < oldRows; row++) {
      const from = row * this.#stride
      const to = row * stride
      values.set(this.#values.subarray(from, from + this.#stride), to)
      cells?.set(this.#cells!.subarray(from, from + this.#stride), to)
    }
    if (this.times.length < rowsMax) {
      const times = new Float64Array(rowsMax)
      times.set(this.times.subarray(0, oldRows))
      this.times = times
    }
    this.#values = values
    this.#cells = cells
    this.#stride = stride
    this.#rowsMax = rowsMax
  }
}

export function sameSample(
  cell: number,
  value: number,
  histogram: FloatHistogram | undefined,
  otherCell: number,
  otherValue: number,
  otherHistogram: FloatHistogram | undefined,
): boolean {
  if (cell !== otherCell) return false
  if (cell === CELL_FLOAT) return Object.is(value, otherValue) || value === otherValue
  if (cell === CELL_HISTOGRAM) return JSON.stringify(histogram) === JSON.stringify(otherHistogram)
  return true
}
