import { CELL_ABSENT, CELL_FLOAT, CELL_HISTOGRAM, CELL_STALE, type FloatHistogram, type Labels } from '../../model/index.ts'
import { layoutOf, type Layout, type Row, type RowExemplar } from '../rows/index.ts'

/** Series in a slice: few enough that one new series makes little to send again, many enough that rows are worth it. */
export const SLICE_COLUMNS = 128
/** A row with fewer cells filled than this goes with a layout of just those series; above, a new layout costs more than empty cells. */
const SPARSE_SHARE = 1 / 16
/** Layouts of sparse rows kept a slice. */
const SPARSE_LAYOUTS_MAX = 256

interface OpenRow {
  readonly timestampMs: number
  readonly values: Float64Array
  readonly cells: Uint8Array
  filled: number
  hasOthers: boolean
  histograms: (FloatHistogram | undefined)[] | undefined
  startTimes: Float64Array | undefined
  exemplars: RowExemplar[] | undefined
}

/**
 * Up to SLICE_COLUMNS series of one group, in the order they first came, and the rows of the request being read.
 *
 * The layout changes only when a series is added. Rows are found by timestamp; senders write a series' samples in time order, so the row
 * after the last one used is tried first.
 */
export class Slice {
  readonly #group: string
  readonly #series: Labels[] = []
  #layout: Layout | undefined
  readonly #sparse = new Map<string, Layout>()
  #rows: OpenRow[] = []
  #byTime: Map<number, OpenRow> | undefined
  #cursor = 0

  constructor(group: string) {
    this.#group = group
  }

  get isFull(): boolean {
    return this.#series.length === SLICE_COLUMNS
  }

  get hasRows(): boolean {
    return this.#rows.length > 0
  }

  /** The new series' column. */
  add(labels: Labels): number {
    this.#layout = undefined
    return this.#series.push(labels) - 1
  }

  /** False where the cell is taken: of two samples of one series and time the first counts. */
  float(column: number, timestampMs: number, value: number, startMs: number): boolean {
    const row = this.#rowAt(timestampMs)
    if (row.cells[column] !== CELL_ABSENT) return false
    row.values[column] = value
    this.#fill(row, column, CELL_FLOAT, startMs)
    return true
  }

  stale(column: number, timestampMs: number): boolean {
    const row = this.#rowAt(timestampMs)
    if (row.cells[column] !== CELL_ABSENT) return false
    this.#fill(row, column, CELL_STALE, 0)
    return true
  }

  histogram(column: number, timestampMs: number, histogram: FloatHistogram, startMs: number): boolean {
    const row = this.#rowAt(timestampMs)
    if (row.cells[column] !== CELL_ABSENT) return false
    row.histograms ??= []
    row.histograms[column] = histogram
    this.#fill(row, column, CELL_HISTOGRAM, startMs)
    return true
  }

  /** Exemplars travel on the last row; where the request has no sample, on one of its own, without cells. */
  exemplar(exemplar: RowExemplar): void {
    const row = this.#rows.at(-1) ?? this.#rowAt(exemplar.timestampMs)
    row.exemplars ??= []
    row.exemplars.push(exemplar)
  }

  /** Hands the rows over; the slice is ready for the next request. */
  drain(out: Row[]): void {
    for (const row of this.#rows) out.push(this.#finish(row))
    this.#rows = []
    this.#byTime = undefined
    this.#cursor = 0
  }

  #fill(row: OpenRow, column: number, cell: number, startMs: number): void {
    row.cells[column] = cell
    row.filled++
    if (cell !== CELL_FLOAT) row.hasOthers = true
    if (startMs === 0) return
    row.startTimes ??= new Float64Array(row.values.length)
    row.startTimes[column] = startMs
  }

  #rowAt(timestampMs: number): OpenRow {
    const rows = this.#rows
    const next = this.#cursor + 1 < rows.length ? this.#cursor + 1 : 0
    const expected = rows[next]
    if (expected !== undefined && expected.timestampMs === timestampMs) {
      this.#cursor = next
      return expected
    }
    const current = rows[this.#cursor]
    if (current !== undefined && current.timestampMs === timestampMs) return current
    this.#byTime ??= new Map()
    const known = this.#byTime.get(timestampMs)
    if (known !== undefined) return known
    const row: OpenRow = {
      timestampMs,
      values: new Float64Array(SLICE_COLUMNS),
      cells: new Uint8Array(SLICE_COLUMNS),
      filled: 0,
      hasOthers: false,
      histograms: undefined,
      startTimes: undefined,
      exemplars: undefined,
    }
    this.#byTime.set(timestampMs, row)
    this.#cursor = rows.push(row) - 1
    return row
  }

  #finish(row: OpenRow): Row {
    const width = this.#series.length
    if (row.filled < width * SPARSE_SHARE || (row.filled === 1 && width > 1)) return this.#finishSparse(row)
    this.#layout ??= layoutOf(this.#group, this.#series.slice())
    const { values, cells, histograms, startTimes, exemplars } = row
    return {
      layout: this.#layout,
      timestampMs: row.timestampMs,
      values: values.subarray(0, width),
      ...(row.filled === width && !row.hasOthers ? {} : { cells: cells.subarray(0, width) }),
      ...(histograms === undefined ? {} : { histograms: Array.from({ length: width }, (_, i) => histograms[i]) }),
      ...(startTimes === undefined ? {} : { startTimes: startTimes.subarray(0, width) }),
      ...(exemplars === undefined ? {} : { exemplars }),
    }
  }

  #finishSparse(row: OpenRow): Row {
    const columns: number[] = []
    for (let column = 0; column < this.#series.length; column++) if (row.cells[column] !== CELL_ABSENT) columns.push(column)
    for (const { column } of row.exemplars ?? []) if (!columns.includes(column)) columns.push(column)
    columns.sort((a, b) => a - b)
    const { histograms, startTimes, exemplars } = row
    return {
      layout: this.#sparseLayout(columns),
      timestampMs: row.timestampMs,
      values: Float64Array.from(columns, (column) => row.values[column]!),
      cells: Uint8Array.from(columns, (column) => row.cells[column]!),
      ...(histograms === undefined ? {} : { histograms: columns.map((column) => histograms[column]) }),
      ...(startTimes === undefined ? {} : { startTimes: Float64Array.from(columns, (column) => startTimes[column]!) }),
      ...(exemplars === undefined ? {} : { exemplars: exemplars.map((e) => ({ ...e, column: columns.indexOf(e.column) })) }),
    }
  }

  #sparseLayout(columns: readonly number[]): Layout {
    const key = columns.join()
    let layout = this.#sparse.get(key)
    if (layout === undefined) {
      layout = layoutOf(
        this.#group,
        columns.map((column) => this.#series[column]!),
      )
      if (this.#sparse.size >= SPARSE_LAYOUTS_MAX) this.#sparse.delete(this.#sparse.keys().next().value!)
      this.#sparse.set(key, layout)
    }
    return layout
  }
}
