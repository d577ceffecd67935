import { compareLabels, labelValue, METRIC_NAME, type Labels } from '../../lib/model/index.ts'
import { RowsWriter } from '../../lib/wire/rows/index.ts'
import { RUN_BYTES, type BlockSection, type Run } from './block.ts'
import type { ByteSource } from './chunk.ts'
import type { FileWriter } from './file.ts'
import type { SeriesIndex } from './series-index.ts'
import { encodeSeries } from './series-table.ts'

/** Columns copied between two yields. */
const SLICE_COLUMNS = 2000

/** A tenant's content of a block to be: columns in journal order for each series, and the runs of times they go with. */
export class BlockContent {
  readonly index: SeriesIndex
  readonly runs: (Omit<Run, 'offset'> & { readonly source: ByteSource; readonly offset: number })[] = []
  readonly #sources: ByteSource[] = []
  readonly #series: number[] = []
  readonly #runOf: number[] = []
  readonly #sourceOf: number[] = []
  readonly #offsets: number[] = []
  readonly #bytes: number[] = []

  constructor(index: SeriesIndex) {
    this.index = index
  }

  get columns(): number {
    return this.#series.length
  }

  addRun(run: Run, source: ByteSource): number {
    return this.runs.push({ ...run, source }) - 1
  }

  addSource(source: ByteSource): number {
    return this.#sources.push(source) - 1
  }

  addColumn(series: number, run: number, source: number, offset: number, bytes: number): void {
    this.#series.push(series)
    this.#runOf.push(run)
    this.#sourceOf.push(source)
    this.#offsets.push(offset)
    this.#bytes.push(bytes)
  }

  *write(out: FileWriter, tenant: string): Generator<void, BlockSection, void> {
    const ids = this.#sortedSeries()
    const { starts, order } = this.#sortedColumns(ids)
    const runOf = new Uint32Array(order.length)
    const offsets = new Uint32Array(order.length + 1)
    const columnsAt = out.writeAligned(new Uint8Array(0))
    for (let i = 0; i < order.length; i++) {
      const column = order[i]!
      const { block, at } = this.#sources[this.#sourceOf[column]!]!.read(this.#offsets[column]!, this.#bytes[column]!)
      const offset = out.write(block.bytes.subarray(at, at + this.#bytes[column]!))
      runOf[i] = this.#runOf[column]!
      offsets[i] = (offset - columnsAt) / 4
      if (i % SLICE_COLUMNS === SLICE_COLUMNS - 1) yield
    }
    offsets[order.length] = (out.position - columnsAt) / 4
    const runs = this.#writeRuns(out)
    const entriesAt = out.writeAligned(bytesOf(starts))
    out.write(bytesOf(runOf))
    out.write(bytesOf(offsets))
    const runsAt = out.writeAligned(runs)
    const table = encodeSeries(this.index, ids)
    return {
      tenant,
      minMs: this.runs.reduce((min, run) => Math.min(min, run.minMs), Infinity),
      maxMs: this.runs.reduce((max, run) => Math.max(max, run.maxMs), -Infinity),
      columnsAt,
      entriesAt,
      seriesCount: ids.length,
      entryCount: order.length,
      runsAt,
      runCount: this.runs.length,
      seriesAt: out.write(table),
      seriesBytes: table.length,
    }
  }

  /** Series that have a column: by metric name first, then by the other labels. */
  #sortedSeries(): Uint32Array {
    const present = [...new Set(this.#series)].map((id) => {
      const labels = this.index.labelsOf(id)
      return { id, name: labelValue(labels, METRIC_NAME), labels }
    })
    present.sort((a, b) => compareNames(a.name, b.name) || compareLabels(a.labels as Labels, b.labels as Labels))
    return Uint32Array.from(present, ({ id }) => id)
  }

  /** The columns series by series, each series' in the order they were added in. */
  #sortedColumns(ids: Uint32Array): { starts: Uint32Array; order: Uint32Array } {
    const rank = new Uint32Array(this.index.size)
    ids.forEach((id, i) => (rank[id] = i))
    const starts = new Uint32Array(ids.length + 1)
    for (const series of this.#series) starts[rank[series]! + 1]!++
    for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!
    const next = starts.slice()
    const order = new Uint32Array(this.#series.length)
    for (let column = 0; column < this.#series.length; column++) order[next[rank[this.#series[column]!]!]!++] = column
    return { starts, order }
  }

  #writeRuns(out: FileWriter): Uint8Array {
    const table = new RowsWriter(this.runs.length * RUN_BYTES + 8)
    for (const run of this.runs) {
      const { block, at } = run.source.read(run.offset, run.bytes)
      table.f64(out.writeAligned(block.bytes.subarray(at, at + run.bytes)))
      table.u32(run.bytes)
      table.u32(run.rows)
      table.f64(run.minMs)
      table.f64(run.maxMs)
    }
    return table.finish()
  }
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}
