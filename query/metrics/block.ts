/**
 * A block: the samples of a stretch of time with an index of its own. Columns are ordered by metric name, then by the other labels, so that one metric of all
 * targets is one contiguous read; each series has one column for each of its runs of times, in journal order.
 *
 * For each tenant: column bytes, runs of times, entries (which run and which bytes a column is), series table. Index and entries are loaded at the first read and stay
 * until the block is closed; columns come through the page cache.
 */
import type { Matcher, SeriesSamples } from '../../lib/model/index.ts'
import type { Task } from '../store/index.ts'
import type { Codecs } from './chunk.ts'
import type { StoredFile } from './file.ts'
import { matchSeries } from './match.ts'
import { JoinedTimes } from './merge.ts'
import type { SampleBudget } from './read.ts'
import { RunReader, mergeEntries, withLabels } from './run-reader.ts'
import { SeriesIndex } from './series-index.ts'
import { decodeSeries } from './series-table.ts'
import { blockOf } from './values.ts'

/** Where a tenant's parts lie in a block. */
export interface BlockSection {
  readonly tenant: string
  readonly minMs: number
  readonly maxMs: number
  /** Column offsets count from here, in units of 4 bytes. */
  readonly columnsAt: number
  /** u32: first entry of each series and one past the last; run of each entry; offset of each entry and the end. */
  readonly entriesAt: number
  readonly seriesCount: number
  readonly entryCount: number
  /** For each run: double offset, u32 bytes, u32 rows, double first time, double last time. */
  readonly runsAt: number
  readonly runCount: number
  readonly seriesAt: number
  readonly seriesBytes: number
}

export interface BlockDirectory {
  readonly fromOffset: number
  readonly toOffset: number
  readonly minMs: number
  readonly maxMs: number
  readonly order: number
  /** How many times its content was merged. */
  readonly level: number
  readonly tenants: readonly BlockSection[]
}

export const RUN_BYTES = 32

export interface Run {
  readonly offset: number
  readonly bytes: number
  readonly rows: number
  readonly minMs: number
  readonly maxMs: number
}

/** What of a tenant's section is in memory. */
export interface LoadedSection {
  readonly index: SeriesIndex
  readonly starts: Uint32Array
  readonly runOf: Uint32Array
  readonly offsets: Uint32Array
  readonly runs: readonly Run[]
}

export class Block {
  readonly file: StoredFile
  readonly directory: BlockDirectory
  readonly #codecs: Codecs
  readonly #loaded = new Map<string, LoadedSection>()

  constructor(file: StoredFile, codecs: Codecs) {
    this.file = file
    this.directory = file.directory as BlockDirectory
    this.#codecs = codecs
  }

  get order(): number {
    return this.directory.order
  }

  overlaps(tenant: string, startMs: number, endMs: number): boolean {
    const section = this.#section(tenant)
    return section !== undefined && section.maxMs >= startMs && section.minMs <= endMs
  }

  *indexOf(tenant: string): Task<SeriesIndex> {
    const loaded = yield* this.load(tenant)
    return loaded?.index ?? new SeriesIndex()
  }

  /** Series without a sample in the range are left out. */
  *select(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number, budget: SampleBudget): Task<SeriesSamples[]> {
    const loaded = yield* this.load(tenant)
    const section = this.#section(tenant)
    if (loaded === undefined || section === undefined) return []
    const reader = new RunReader(this.file, this.#codecs, loaded, section, startMs, endMs)
    const joins = new JoinedTimes()
    const out: SeriesSamples[] = []
    for (const id of yield* matchSeries(loaded.index, matchers)) {
      const { entries, rows, apart } = reader.entriesOf(id)
      if (entries.length === 0) continue
      const labels = loaded.index.labelsOf(id)
      const series = apart ? withLabels(labels, reader.readApart(entries)) : mergeEntries(labels, reader, entries, joins)
      if (budget.worked(rows)) yield
      if (series === undefined) continue
      budget.take(series.times.length)
      out.push(series)
    }
    return out
  }

  *load(tenant: string): Task<LoadedSection | undefined> {
    const known = this.#loaded.get(tenant)
    if (known !== undefined) return known
    const section = this.#section(tenant)
    if (section === undefined) return undefined
    const index = new SeriesIndex()
    yield* decodeSeries(this.file.copy(section.seriesAt, section.seriesBytes), index)
    const { seriesCount, entryCount } = section
    const words = blockOf(this.file.copy(section.entriesAt, (seriesCount + 1 + entryCount * 2 + 1) * 4)).words
    const { view } = blockOf(this.file.copy(section.runsAt, section.runCount * RUN_BYTES))
    const runs: Run[] = []
    for (let at = 0; at < section.runCount * RUN_BYTES; at += RUN_BYTES) {
      runs.push({
        offset: view.getFloat64(at, true),
        bytes: view.getUint32(at + 8, true),
        rows: view.getUint32(at + 12, true),
        minMs: view.getFloat64(at + 16, true),
        maxMs: view.getFloat64(at + 24, true),
      })
    }
    const loaded: LoadedSection = {
      index,
      starts: words.subarray(0, seriesCount + 1),
      runOf: words.subarray(seriesCount + 1, seriesCount + 1 + entryCount),
      offsets: words.subarray(seriesCount + 1 + entryCount),
      runs,
    }
    this.#loaded.set(tenant, loaded)
    return loaded
  }

  /** Lets go of indexes; the next read loads them again. */
  unload(): void {
    this.#loaded.clear()
  }

  memoryBytes(): number {
    let bytes = 0
    for (const loaded of this.#loaded.values()) {
      bytes += loaded.index.memoryBytes() + (loaded.starts.length + loaded.runOf.length * 2) * 4 + loaded.runs.length * 80
    }
    return bytes
  }

  #section(tenant: string): BlockSection | undefined {
    return this.directory.tenants.find((section) => section.tenant === tenant)
  }
}
