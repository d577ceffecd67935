import { CELL_ABSENT, CELL_FLOAT, CELL_HISTOGRAM, CELL_STALE, type FloatHistogram } from '../../model/index.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { RowsBytes, malformed } from './bytes.ts'
import {
  BLOCK_LAYOUT,
  BLOCK_METADATA,
  BLOCK_ROW,
  HEAD_BYTES,
  ROWS_MAGIC,
  ROWS_VERSION,
  ROW_CELLS,
  ROW_EXEMPLARS,
  ROW_HEAD_BYTES,
  ROW_HISTOGRAMS,
  ROW_STARTS,
} from './encode.ts'
import { readHistogram } from './histogram.ts'
import { decodeLayoutTable, layoutOfTable, type LayoutTable } from './layout.ts'
import type { FamilyMetadata, Layout, Row, RowBatch, RowExemplar } from './types.ts'

/**
 * Columns `firstColumn … firstColumn + values.length - 1` of a row. `values` is a view of the payload: copy what outlives it.
 * Everything else is as in `Row`, counted from `firstColumn`.
 */
export interface RowView {
  readonly layoutId: string
  readonly timestampMs: number
  readonly firstColumn: number
  /** Samples in these columns: cells that are not absent. */
  readonly items: number
  readonly values: Float64Array
  readonly cells: Uint8Array | undefined
  readonly histograms: readonly (FloatHistogram | undefined)[] | undefined
  readonly startTimes: Float64Array | undefined
  readonly exemplars: readonly RowExemplar[] | undefined
}

export interface RowsVisitor {
  layout(table: LayoutTable): void
  /** True where the visitor has the layout already: then it is neither decoded nor handed out. */
  hasLayout?(id: string): boolean
  row(row: RowView): void
  metadata(families: readonly FamilyMetadata[]): void
}

/** Samples a payload says it holds. Errors: `bad_data` where it is no payload of a version known here. */
export function countItems(bytes: Uint8Array): number {
  return readHead(new RowsBytes(bytes)).items
}

/**
 * Hands out a payload's blocks in order. A row may name a layout that the payload doesn't hold: the visitor knows it or counts `items` as lost.
 *
 * Errors: `bad_data` for anything that isn't a payload, possibly after some blocks were visited; what the visitor throws passes through.
 * Cost: linear in the bytes. One copy of the payload where it does not start at a multiple of 8.
 */
export function walkRows(payload: Uint8Array, visitor: RowsVisitor): void {
  const bytes = payload.byteOffset % 8 === 0 ? payload : new Uint8Array(payload)
  const input = new RowsBytes(bytes)
  const head = readHead(input)
  let items = 0
  let blocks = 0
  let at = HEAD_BYTES
  while (at < bytes.length) {
    input.at = at
    input.end = bytes.length
    const kind = input.u8()
    const flags = input.u8()
    input.at = at + 4
    const length = input.u32()
    if (length < 8 || length % 8 !== 0 || length > bytes.length - at) throw malformed(`a block of ${length} bytes`, at)
    input.end = at + length
    if (kind === BLOCK_LAYOUT) {
      const id = input.hex(16)
      if (visitor.hasLayout?.(id) !== true) visitor.layout(decodeLayoutTable(id, input.raw(input.u32())))
    } else if (kind === BLOCK_METADATA) visitor.metadata(readMetadata(input))
    else if (kind === BLOCK_ROW) {
      const row = readRow(input, flags)
      items += row.items
      visitor.row(row)
    } else throw malformed(`a block of unknown kind ${kind}`, at)
    at += length
    blocks++
  }
  if (items !== head.items || blocks !== head.blocks) {
    throw malformed(`the head says ${head.blocks} blocks and ${head.items} samples, there are ${blocks} and ${items}`, at)
  }
}

/**
 * The batch of a payload. Columns of one row that were sent in slices come back as one row where they follow each other in the payload; columns
 * that are in no slice are absent.
 *
 * @param layouts layouts known from earlier payloads; one that is unknown there and here is `not_found`
 */
export function decodeRows(payload: Uint8Array, layouts: (id: string) => Layout | undefined): RowBatch {
  const own = new Map<string, Layout>()
  const rows: Row[] = []
  const metadata: FamilyMetadata[] = []
  walkRows(payload, {
    layout: (table) => void own.set(table.id, layoutOfTable(table)),
    metadata: (families) => void metadata.push(...families),
    row: (view) => {
      const layout = own.get(view.layoutId) ?? layouts(view.layoutId)
      if (layout === undefined) {
        throw new SightlineError('not_found', `cannot decode rows: layout ${view.layoutId} of ${view.items} samples is not known`)
      }
      rows.push(wholeRow(view, layout))
    },
  })
  return { rows, metadata }
}

function wholeRow(view: RowView, layout: Layout): Row {
  const width = layout.series.length
  const first = view.firstColumn
  if (first + view.values.length > width) {
    throw new SightlineError('bad_data', `cannot decode rows: a row of layout ${layout.id} is wider than its ${width} series`)
  }
  const whole = view.values.length === width
  const values = new Float64Array(width)
  values.set(view.values, first)
  const cells = whole && view.cells === undefined ? undefined : new Uint8Array(width)
  if (cells !== undefined && view.cells !== undefined) cells.set(view.cells, first)
  else cells?.fill(CELL_FLOAT, first, first + view.values.length)
  const histograms = view.histograms === undefined ? undefined : Array.from({ length: width }, (_, i) => view.histograms![i - first])
  const startTimes = view.startTimes === undefined ? undefined : new Float64Array(width)
  if (startTimes !== undefined) startTimes.set(view.startTimes!, first)
  return {
    layout,
    timestampMs: view.timestampMs,
    values,
    ...(cells === undefined ? {} : { cells }),
    ...(histograms === undefined ? {} : { histograms }),
    ...(startTimes === undefined ? {} : { startTimes }),
    ...(view.exemplars === undefined ? {} : { exemplars: view.exemplars.map((e) => ({ ...e, column: e.column + first })) }),
  }
}

function readHead(input: RowsBytes): { items: number; blocks: number } {
  if (input.end < HEAD_BYTES || input.u32() !== ROWS_MAGIC) throw malformed('these are no rows', 0)
  const version = input.u8()
  if (version !== ROWS_VERSION) throw malformed(`version ${version} is not known, only ${ROWS_VERSION}`, 4)
  input.at = 8
  return { items: input.u32(), blocks: input.u32() }
}

function readMetadata(input: RowsBytes): FamilyMetadata[] {
  const families: FamilyMetadata[] = []
  for (let left = input.count(4); left > 0; left--) {
    families.push({ family: input.text(), type: input.text(), help: input.text(), unit: input.text() })
  }
  return families
}

function readRow(input: RowsBytes, flags: number): RowView {
  const start = input.at - 8
  const timestampMs = input.f64()
  if (!Number.isSafeInteger(timestampMs)) throw malformed('a timestamp is not in whole milliseconds', start)
  const layoutId = input.hex(16)
  const firstColumn = input.u32()
  const count = input.u32()
  const items = input.u32()
  input.at = start + ROW_HEAD_BYTES
  if (count * 8 > input.end - input.at) throw malformed(`${count} values don't fit in the row's block`, start)
  const values = new Float64Array(input.bytes.buffer, input.bytes.byteOffset + input.at, count)
  input.at += count * 8
  let cells = (flags & ROW_CELLS) === 0 ? undefined : readCells(input, count)
  let histograms: (FloatHistogram | undefined)[] | undefined
  if ((flags & ROW_HISTOGRAMS) !== 0) {
    cells ??= new Uint8Array(count).fill(CELL_FLOAT)
    histograms = readHistograms(input, count, cells)
  }
  const startTimes = (flags & ROW_STARTS) === 0 ? undefined : readStarts(input, count)
  const exemplars = (flags & ROW_EXEMPLARS) === 0 ? undefined : readExemplars(input, count)
  if (items !== countPresent(cells, count)) throw malformed(`a row says it has ${items} samples`, start)
  return { layoutId, timestampMs, firstColumn, items, values, cells, histograms, startTimes, exemplars }
}

function readCells(input: RowsBytes, count: number): Uint8Array {
  const bytes = (count + 7) >> 3
  const absent = input.raw(bytes)
  const stale = input.raw(bytes)
  const cells = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const bit = 1 << (i & 7)
    cells[i] = (absent[i >> 3]! & bit) !== 0 ? CELL_ABSENT : (stale[i >> 3]! & bit) !== 0 ? CELL_STALE : CELL_FLOAT
  }
  return cells
}

function readHistograms(input: RowsBytes, count: number, cells: Uint8Array): (FloatHistogram | undefined)[] {
  const histograms: (FloatHistogram | undefined)[] = Array.from({ length: count })
  for (let left = input.count(40); left > 0; left--) {
    const column = input.varint()
    if (column >= count || cells[column] !== CELL_FLOAT) throw malformed(`a histogram for column ${column} of ${count}`, input.at)
    cells[column] = CELL_HISTOGRAM
    histograms[column] = readHistogram(input)
  }
  return histograms
}

function readStarts(input: RowsBytes, count: number): Float64Array {
  const starts = new Float64Array(count)
  if (input.u8() === 1) return starts.fill(input.f64())
  for (let i = 0; i < count; i++) starts[i] = input.f64()
  return starts
}

function readExemplars(input: RowsBytes, count: number): RowExemplar[] {
  const exemplars: RowExemplar[] = []
  for (let left = input.count(18); left > 0; left--) {
    const column = input.varint()
    if (column >= count) throw malformed(`an exemplar for column ${column} of ${count}`, input.at)
    const value = input.f64()
    const timestampMs = input.f64()
    const labels: string[] = []
    for (let pairs = input.count(2); pairs > 0; pairs--) labels.push(input.text(), input.text())
    exemplars.push({ column, value, timestampMs, labels })
  }
  return exemplars
}

function countPresent(cells: Uint8Array | undefined, count: number): number {
  if (cells === undefined) return count
  let present = 0
  for (const cell of cells) if (cell !== CELL_ABSENT) present++
  return present
}
