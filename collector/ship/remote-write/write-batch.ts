/**
 * Rows on their way to remote write: whole records go in, requests of at most so many samples come out, in the same order.
 *
 * Holds views of the records' payloads, and one series object that the encoder is handed again and again: nothing is allocated a sample.
 */
import { CELL_ABSENT, CELL_HISTOGRAM, CELL_STALE, EMPTY_LABELS, type FloatHistogram, type Labels } from '../../../lib/model/index.ts'
import { encodeWriteV1, type WriteSeries } from '../../../lib/wire/remote-write/index.ts'
import type { FamilyMetadata, RowView } from '../../../lib/wire/rows/index.ts'

/** Labels of a layout's series after relabeling; undefined where a rule dropped the series. */
export type ShippedSeries = readonly (Labels | undefined)[]

export interface WriteBatchOptions {
  readonly sendExemplars: boolean
  readonly sendHistograms: boolean
}

/** Why samples of a batch were left out, and how many. */
export interface LeftOut {
  relabeled: number
  histogram: number
}

export interface WritePortion {
  /** A WriteRequest, uncompressed. */
  readonly body: Uint8Array
  readonly samples: number
  readonly families: number
}

interface BatchRow {
  readonly series: ShippedSeries
  readonly view: RowView
}

type WriteExemplars = NonNullable<WriteSeries['exemplars']>

/** The encoder's input, reused. */
interface Scratch extends WriteSeries {
  labels: Labels
  times: Float64Array
  readonly values: Float64Array
  readonly stale: Uint8Array
  histograms: { timestampMs: number; histogram: FloatHistogram }[]
  exemplars: WriteExemplars
}

const NO_TIMES = new Float64Array(0)
const NO_EXEMPLARS: WriteExemplars = []

export class WriteBatch {
  readonly #options: WriteBatchOptions
  #rows: BatchRow[] = []
  #families: FamilyMetadata[] = []
  #row = 0
  #column = 0
  #items = 0
  readonly #leftOut: LeftOut = { relabeled: 0, histogram: 0 }

  constructor(options: WriteBatchOptions) {
    this.#options = options
  }

  /** Samples that were added, also those that will be left out. */
  get items(): number {
    return this.#items
  }

  get leftOut(): Readonly<LeftOut> {
    return this.#leftOut
  }

  add(series: ShippedSeries, view: RowView): void {
    this.#rows.push({ series, view })
    this.#items += view.items
  }

  addMetadata(families: readonly FamilyMetadata[]): void {
    this.#families.push(...families)
  }

  /** The next request; undefined when there is no more. */
  take(samplesMax: number): WritePortion | undefined {
    let samples = 0
    const counted = function* (portion: Iterable<WriteSeries>): Generator<WriteSeries> {
      for (const one of portion) {
        samples++
        yield one
      }
    }
    const families = this.#families.splice(0, samplesMax)
    const body = encodeWriteV1(counted(this.#portion(samplesMax)), families)
    return samples === 0 && families.length === 0 ? undefined : { body, samples, families: families.length }
  }

  *#portion(samplesMax: number): Generator<WriteSeries> {
    const scratch: Scratch = {
      labels: EMPTY_LABELS,
      times: NO_TIMES,
      values: new Float64Array(1),
      stale: new Uint8Array(1),
      histograms: [],
      exemplars: NO_EXEMPLARS,
    }
    const oneTime = new Float64Array(1)
    let left = samplesMax
    for (; this.#row < this.#rows.length; this.#row++, this.#column = 0) {
      const { series, view } = this.#rows[this.#row]!
      oneTime[0] = view.timestampMs
      while (this.#column < view.values.length) {
        if (left === 0) return
        const column = this.#column++
        if (!this.#fill(scratch, series, view, column)) continue
        if (scratch.histograms.length === 0) scratch.times = oneTime
        left--
        yield scratch
      }
    }
  }

  /** False where the cell is absent or left out. */
  #fill(scratch: Scratch, series: ShippedSeries, view: RowView, column: number): boolean {
    const cell = view.cells?.[column]
    if (cell === CELL_ABSENT) return false
    const labels = series[view.firstColumn + column]
    const isLeftOut = cell === CELL_HISTOGRAM && !this.#options.sendHistograms
    if (labels === undefined) this.#leftOut.relabeled++
    else if (isLeftOut) this.#leftOut.histogram++
    if (labels === undefined || isLeftOut) return false
    scratch.labels = labels
    scratch.times = NO_TIMES
    scratch.histograms = cell === CELL_HISTOGRAM ? [{ timestampMs: view.timestampMs, histogram: view.histograms![column]! }] : []
    scratch.values[0] = view.values[column]!
    scratch.stale[0] = cell === CELL_STALE ? 1 : 0
    const exemplars = this.#options.sendExemplars ? view.exemplars : undefined
    scratch.exemplars = exemplars === undefined ? NO_EXEMPLARS : exemplars.filter((exemplar) => exemplar.column === column)
    return true
  }
}
