/**
 * Batches to bytes. The payload is a head and a list of blocks, each a multiple of 8 bytes long (docs/formats/rows.md):
 * layouts before the first row that names them, then rows, then metadata. Values lie at multiples of 8, so that a reader
 * takes them as a `Float64Array` without a copy.
 */
import { CELL_ABSENT, CELL_HISTOGRAM, CELL_STALE, RECORD_BYTES_MAX } from '../../model/index.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { RowsWriter } from './bytes.ts'
import { histogramBytesMax, writeHistogram } from './histogram.ts'
import { encodeLayoutBody, layoutOf } from './layout.ts'
import type { FamilyMetadata, Layout, Row, RowBatch } from './types.ts'

/** 'SLRW' read as a little-endian number. */
export const ROWS_MAGIC = 0x57_52_4c_53
export const ROWS_VERSION = 1
export const HEAD_BYTES = 24
export const ROW_HEAD_BYTES = 48

export const BLOCK_LAYOUT = 1
export const BLOCK_ROW = 2
export const BLOCK_METADATA = 3

export const ROW_CELLS = 1
export const ROW_HISTOGRAMS = 2
export const ROW_STARTS = 4
export const ROW_EXEMPLARS = 8

export { RECORD_BYTES_MAX }

export interface EncodedRows {
  readonly payload: Uint8Array<ArrayBuffer>
  /** Samples inside: cells that are not absent. Exemplars and metadata are not items. */
  readonly items: number
}

/**
 * One batch as one payload, whatever its size.
 *
 * @param known true where the readers of the partition have the layout already: then it goes by its id only
 */
export function encodeRows(batch: RowBatch, known: (layoutId: string) => boolean): Uint8Array<ArrayBuffer> {
  return encodeRecords(batch, known, { bytesMax: Infinity }).map((record) => record.payload)[0] ?? new RecordWriter().finish().payload
}

export interface SplitOptions {
  /** Largest payload; default RECORD_BYTES_MAX. */
  readonly bytesMax?: number
  /** Remembers how a layout that is too large for one record was cut; without it, it is cut anew each time. */
  readonly cut?: (layout: Layout, bytesMax: number) => readonly Layout[]
  /** Remembers the bytes of layouts that are sent again and again. */
  readonly bodyOf?: (layout: Layout) => Uint8Array
}

/**
 * One batch as as few payloads as `bytesMax` allows, in order. Large batches are cut between rows, large rows between columns; a layout that
 * would not fit becomes several layouts of the same group. An empty batch gives none.
 *
 * Errors: `too_large` where one sample alone (a histogram) passes the limit.
 */
export function encodeRecords(batch: RowBatch, known: (layoutId: string) => boolean, options: SplitOptions = {}): EncodedRows[] {
  const bytesMax = options.bytesMax ?? RECORD_BYTES_MAX
  const splitter = new Splitter(bytesMax, known, options.bodyOf ?? bodyOf, rowsBytes(batch))
  const cut = options.cut ?? cutLayout
  for (const row of batch.rows) {
    if (bytesMax === Infinity) {
      splitter.row(row, 0, row.values.length)
      continue
    }
    let first = 0
    for (const piece of cut(row.layout, bytesMax)) {
      const part = piece.id === row.layout.id ? row : sliceRow(row, piece, first)
      for (const [from, to] of columnSlices(part, bytesMax / 2)) splitter.row(part, from, to)
      first += part.values.length
    }
  }
  if (batch.metadata.length > 0) splitter.metadata(batch.metadata)
  return splitter.finish()
}

/** The layout itself, or layouts of the same group that hold its series in order, each with a body of at most a quarter of a record. */
export function cutLayout(layout: Layout, bytesMax: number): readonly Layout[] {
  if (layout.body !== undefined && layout.body.length <= bytesMax / 4) return [layout]
  const { series } = layout
  const pieces: Layout[] = []
  let first = 0
  let bytes = 64
  for (let i = 0; i < series.length; i++) {
    // Upper bound: as if no string were shared.
    let more = 4
    for (const text of series[i]!) more += text.length * 3 + 8
    if (bytes + more > bytesMax / 4 && i > first) {
      pieces.push(layoutOf(layout.group, series.slice(first, i)))
      first = i
      bytes = 64
    }
    bytes += more
  }
  if (first === 0) return [layout]
  // Shared strings may make it fit after all.
  if (bodyOf(layout).length <= bytesMax / 4) return [layout]
  pieces.push(layoutOf(layout.group, series.slice(first)))
  return pieces
}

function bodyOf(layout: Layout): Uint8Array {
  return layout.body ?? encodeLayoutBody(layout.group, layout.series)
}

/** What the rows of a batch take where all they have are floats, gaps and stale markers: then their record fills its memory to the last byte. */
function rowsBytes({ rows }: RowBatch): number {
  let bytes = HEAD_BYTES
  for (const { values, cells } of rows) {
    const maps = cells === undefined ? 0 : 2 * ((cells.length + 7) >> 3)
    bytes += ROW_HEAD_BYTES + values.length * 8 + ((maps + 7) & ~7)
  }
  return bytes
}

function sliceRow(row: Row, layout: Layout, first: number): Row {
  const end = first + layout.series.length
  return {
    layout,
    timestampMs: row.timestampMs,
    values: row.values.subarray(first, end),
    ...(row.cells === undefined ? {} : { cells: row.cells.subarray(first, end) }),
    ...(row.histograms === undefined ? {} : { histograms: row.histograms.slice(first, end) }),
    ...(row.startTimes === undefined ? {} : { startTimes: row.startTimes.subarray(first, end) }),
    ...(row.exemplars === undefined
      ? {}
      : {
          exemplars: row.exemplars.filter((e) => e.column >= first && e.column < end).map((e) => ({ ...e, column: e.column - first })),
        }),
  }
}

/** Column ranges of a row whose blocks stay below the limit. Exemplars count on the row's first slice, with a bound of their own. */
function columnSlices(row: Row, bytesMax: number): [number, number][] {
  const count = row.values.length
  const each = 9 + (row.startTimes === undefined ? 0 : 8)
  if (row.histograms === undefined && row.exemplars === undefined && count * each + 64 <= bytesMax) return [[0, count]]
  const costs = new Float64Array(count).fill(each)
  row.histograms?.forEach((histogram, i) => {
    if (histogram !== undefined) costs[i]! += histogramBytesMax(histogram)
  })
  for (const exemplar of row.exemplars ?? []) {
    costs[exemplar.column]! += 24
    for (const text of exemplar.labels) costs[exemplar.column]! += text.length * 3 + 8
  }
  const slices: [number, number][] = []
  let first = 0
  let bytes = 64
  for (let i = 0; i < count; i++) {
    if (bytes + costs[i]! > bytesMax && i > first) {
      slices.push([first, i])
      first = i
      bytes = 64
    }
    bytes += costs[i]!
  }
  slices.push([first, count])
  return slices
}

/** Fills records one after the other; a record is closed when the next block would not fit. */
class Splitter {
  readonly #bytesMax: number
  readonly #known: (layoutId: string) => boolean
  readonly #bodyOf: (layout: Layout) => Uint8Array
  readonly #written = new Set<string>()
  readonly #records: EncodedRows[] = []
  #current: RecordWriter

  /** @param bytes what the first record will probably take */
  constructor(bytesMax: number, known: (layoutId: string) => boolean, body: (layout: Layout) => Uint8Array, bytes: number) {
    this.#current = new RecordWriter(Math.min(bytes, bytesMax))
    this.#bodyOf = body
    this.#bytesMax = bytesMax
    this.#known = known
  }

  row(row: Row, from: number, to: number): void {
    const { id } = row.layout
    if (!this.#written.has(id)) {
      this.#written.add(id)
      if (!this.#known(id)) {
        const body = this.#bodyOf(row.layout)
        this.#add((record) => record.layout(id, body))
      }
    }
    this.#add((record) => record.row(row, from, to))
  }

  metadata(families: readonly FamilyMetadata[]): void {
    const perBlock = this.#bytesMax === Infinity ? families.length : 64
    for (let i = 0; i < families.length; i += perBlock) this.#add((record) => record.metadata(families.slice(i, i + perBlock)))
  }

  finish(): EncodedRows[] {
    if (this.#current.blocks > 0) this.#records.push(this.#current.finish())
    return this.#records
  }

  #add(write: (record: RecordWriter) => void): void {
    const before = this.#current.mark()
    write(this.#current)
    if (this.#current.length <= this.#bytesMax) return
    this.#current.rewind(before)
    if (this.#current.blocks > 0) this.#records.push(this.#current.finish())
    this.#current = new RecordWriter()
    write(this.#current)
    if (this.#current.length > this.#bytesMax) {
      throw new SightlineError(
        'too_large',
        `cannot encode rows: one part takes ${this.#current.length} bytes, a record holds at most ${this.#bytesMax}`,
      )
    }
  }
}

interface Mark {
  readonly length: number
  readonly items: number
  readonly blocks: number
}

class RecordWriter {
  readonly #out: RowsWriter
  #items = 0
  blocks = 0

  constructor(capacityBytes = 16 * 1024) {
    this.#out = new RowsWriter(Math.max(capacityBytes, HEAD_BYTES))
    this.#out.u32(ROWS_MAGIC)
    this.#out.u8(ROWS_VERSION)
    for (let i = 5; i < HEAD_BYTES; i++) this.#out.u8(0)
  }

  get length(): number {
    return this.#out.length
  }

  mark(): Mark {
    return { length: this.#out.length, items: this.#items, blocks: this.blocks }
  }

  rewind(mark: Mark): void {
    this.#out.length = mark.length
    this.#items = mark.items
    this.blocks = mark.blocks
  }

  layout(id: string, body: Uint8Array): void {
    const start = this.#open(BLOCK_LAYOUT)
    this.#out.raw(Buffer.from(id, 'hex'))
    this.#out.u32(body.length)
    this.#out.raw(body)
    this.#close(start)
  }

  row(row: Row, from: number, to: number): void {
    const out = this.#out
    const start = this.#open(BLOCK_ROW)
    const count = to - from
    out.f64(row.timestampMs)
    out.raw(Buffer.from(row.layout.id, 'hex'))
    out.u32(from)
    out.u32(count)
    out.u32(0)
    out.u32(0)
    out.floats(row.values.subarray(from, to))
    let flags = 0
    let items = count
    if (row.cells !== undefined) {
      const absent = writeCells(out, row.cells.subarray(from, to))
      if (absent.any) flags |= ROW_CELLS
      items -= absent.count
      if (writeHistograms(out, row, from, to)) flags |= ROW_HISTOGRAMS
    }
    if (row.startTimes !== undefined && writeStarts(out, row.startTimes.subarray(from, to))) flags |= ROW_STARTS
    if (writeExemplars(out, row, from, to)) flags |= ROW_EXEMPLARS
    out.patchU8(start + 1, flags)
    out.patchU32(start + 40, items)
    this.#items += items
    this.#close(start)
  }

  metadata(families: readonly FamilyMetadata[]): void {
    const start = this.#open(BLOCK_METADATA)
    this.#out.varint(families.length)
    for (const family of families) {
      this.#out.text(family.family)
      this.#out.text(family.type)
      this.#out.text(family.help)
      this.#out.text(family.unit)
    }
    this.#close(start)
  }

  finish(): EncodedRows {
    this.#out.patchU32(8, this.#items)
    this.#out.patchU32(12, this.blocks)
    return { payload: this.#out.finish(), items: this.#items }
  }

  #open(kind: number): number {
    const start = this.#out.length
    this.#out.u32(kind)
    this.#out.u32(0)
    return start
  }

  #close(start: number): void {
    this.#out.align()
    this.#out.patchU32(start + 4, this.#out.length - start)
    this.blocks++
  }
}

/** Two bitmaps, absent and stale, of ceil(n / 8) bytes each; nothing is written where both would be empty. */
function writeCells(out: RowsWriter, cells: Uint8Array): { any: boolean; count: number } {
  const bytes = (cells.length + 7) >> 3
  const maps = new Uint8Array(bytes * 2)
  let absent = 0
  let stale = 0
  for (let i = 0; i < cells.length; i++) {
    if (cells[i] === CELL_ABSENT) {
      maps[i >> 3]! |= 1 << (i & 7)
      absent++
    } else if (cells[i] === CELL_STALE) {
      maps[bytes + (i >> 3)]! |= 1 << (i & 7)
      stale++
    }
  }
  const any = absent + stale > 0
  if (any) out.raw(maps)
  return { any, count: absent }
}

function writeHistograms(out: RowsWriter, row: Row, from: number, to: number): boolean {
  const columns: number[] = []
  for (let i = from; i < to; i++) if (row.cells![i] === CELL_HISTOGRAM) columns.push(i)
  if (columns.length === 0) return false
  out.varint(columns.length)
  for (const column of columns) {
    const histogram = row.histograms?.[column]
    if (histogram === undefined) throw new SightlineError('internal', `BUG: histogram cell ${column} of a row has no histogram`)
    out.varint(column - from)
    writeHistogram(out, histogram)
  }
  return true
}

/** A byte 1 and one double where all are equal, else a byte 0 and one double each. Nothing where all are unknown. */
function writeStarts(out: RowsWriter, starts: Float64Array): boolean {
  if (starts.length === 0) return false
  const same = starts.every((start) => start === starts[0])
  if (same && starts[0] === 0) return false
  out.u8(same ? 1 : 0)
  if (same) out.f64(starts[0]!)
  else for (const start of starts) out.f64(start)
  return true
}

function writeExemplars(out: RowsWriter, row: Row, from: number, to: number): boolean {
  const exemplars = (row.exemplars ?? []).filter((exemplar) => exemplar.column >= from && exemplar.column < to)
  if (exemplars.length === 0) return false
  out.varint(exemplars.length)
  for (const exemplar of exemplars) {
    out.varint(exemplar.column - from)
    out.f64(exemplar.value)
    out.f64(exemplar.timestampMs)
    out.varint(exemplar.labels.length / 2)
    for (const text of exemplar.labels) out.text(text)
  }
  return true
}
