import type { Labels, SeriesSamples } from '../../lib/model/index.ts'
import type { BlockSection, LoadedSection } from './block.ts'
import type { Codecs } from './chunk.ts'
import { Column, ColumnSlab } from './column.ts'
import type { StoredFile } from './file.ts'
import { mergeOne, type JoinedTimes } from './merge.ts'
import { samplesOf } from './read.ts'

/** The times of a run that are in the range, and the row of the first. */
interface CutRun {
  readonly times: Float64Array
  readonly first: number
}

interface SeriesEntries {
  readonly entries: readonly number[]
  /** Rows to decode. */
  readonly rows: number
  /** True where each entry's rows are later than all of the entry's before. */
  readonly apart: boolean
}

type Samples = Omit<SeriesSamples, 'labels'>

/** Reads the columns of one tenant of a block over a time range. Times are decoded once a run, and joined once for each sequence of runs. */
export class RunReader {
  readonly #file: StoredFile
  readonly #codecs: Codecs
  readonly #loaded: LoadedSection
  readonly #section: BlockSection
  readonly #startMs: number
  readonly #endMs: number
  readonly #cuts = new Map<number, CutRun>()
  readonly #joined = new Map<string, Float64Array>()
  readonly #slab = new ColumnSlab()
  readonly #scratch = new Map<number, Column>()

  constructor(file: StoredFile, codecs: Codecs, loaded: LoadedSection, section: BlockSection, startMs: number, endMs: number) {
    this.#file = file
    this.#codecs = codecs
    this.#loaded = loaded
    this.#section = section
    this.#startMs = startMs
    this.#endMs = endMs
  }

  entriesOf(id: number): SeriesEntries {
    const { starts, runOf, runs } = this.#loaded
    const entries: number[] = []
    let rows = 0
    let apart = true
    let lastMs = -Infinity
    for (let entry = starts[id]!; entry < starts[id + 1]!; entry++) {
      const run = runs[runOf[entry]!]!
      if (run.maxMs < this.#startMs || run.minMs > this.#endMs || this.#cut(runOf[entry]!).times.length === 0) continue
      if (run.minMs <= lastMs) apart = false
      lastMs = run.maxMs
      rows += run.rows
      entries.push(entry)
    }
    return { entries, rows, apart }
  }

  /** Entries that follow each other in time, as one. */
  readApart(entries: readonly number[]): Samples | undefined {
    const runs = entries.map((entry) => this.#loaded.runOf[entry]!)
    const times = runs.length === 1 ? this.#cut(runs[0]!).times : this.#times(runs)
    const column = this.#slab.take(times.length)
    let at = 0
    for (const entry of entries) at += this.#readInto(entry, column, at)
    return samplesOf(times, column)
  }

  #readInto(entry: number, column: Column, at: number): number {
    const number = this.#loaded.runOf[entry]!
    const { rows } = this.#loaded.runs[number]!
    const cut = this.#cut(number)
    if (cut.times.length === rows) {
      this.#decode(entry, rows, column, at)
      return rows
    }
    const scratch = this.#scratch.get(rows) ?? new Column(rows)
    this.#scratch.set(rows, scratch)
    scratch.reset()
    this.#decode(entry, rows, scratch, 0)
    column.copyRows(at, scratch, cut.first, cut.times.length)
    return cut.times.length
  }

  #decode(entry: number, rows: number, column: Column, at: number): void {
    const from = this.#loaded.offsets[entry]!
    const found = this.#file.read(this.#section.columnsAt + from * 4, (this.#loaded.offsets[entry + 1]! - from) * 4)
    this.#codecs.columns.decode(found.block, found.at, rows, column, at)
  }

  #times(runs: readonly number[]): Float64Array {
    const key = runs.join()
    let joined = this.#joined.get(key)
    if (joined === undefined) {
      joined = new Float64Array(runs.reduce((sum, run) => sum + this.#cut(run).times.length, 0))
      let at = 0
      for (const run of runs) {
        joined.set(this.#cut(run).times, at)
        at += this.#cut(run).times.length
      }
      this.#joined.set(key, joined)
    }
    return joined
  }

  #cut(number: number): CutRun {
    let cut = this.#cuts.get(number)
    if (cut === undefined) {
      const run = this.#loaded.runs[number]!
      const times = new Float64Array(run.rows)
      const { block, at } = this.#file.read(run.offset, run.bytes)
      this.#codecs.values.decode(block, at, run.rows, times, 0)
      let first = 0
      while (first < times.length && times[first]! < this.#startMs) first++
      let end = times.length
      while (end > first && times[end - 1]! > this.#endMs) end--
      cut = { times: times.subarray(first, end), first }
      this.#cuts.set(number, cut)
    }
    return cut
  }
}

/** Entries that overlap in time: for one time the first entry has the sample. */
export function mergeEntries(labels: Labels, reader: RunReader, entries: readonly number[], joins: JoinedTimes): SeriesSamples | undefined {
  const parts: SeriesSamples[] = []
  for (const entry of entries) {
    const part = withLabels(labels, reader.readApart([entry]))
    if (part !== undefined) parts.push(part)
  }
  return parts.length <= 1 ? parts[0] : mergeOne(parts, joins)
}

export function withLabels(labels: Labels, samples: Samples | undefined): SeriesSamples | undefined {
  return samples === undefined ? undefined : { labels, ...samples }
}
