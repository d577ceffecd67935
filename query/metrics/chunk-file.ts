/**
 * Chunk files: the chunks sealed between two checkpoints, with the label sets of their series. For each tenant a series table, a list of chunks, and
 * the chunks' bytes. The hot file has the same shape: its chunks are the rows that are not sealed yet, and it holds the layouts, metadata and exemplars too.
 */
import { RowsBytes, RowsWriter } from '../../lib/wire/rows/index.ts'
import type { ChunkRef } from './chunk.ts'
import type { FileWriter, StoredFile } from './file.ts'
import { decodeSeries, encodeSeries } from './series-table.ts'
import { NO_SERIES, type SeriesIndex } from './series-index.ts'

/** A tenant's part of a chunk file, as the directory has it. */
export interface ChunkSection {
  readonly tenant: string
  readonly minMs: number
  readonly maxMs: number
  readonly seriesAt: number
  readonly seriesBytes: number
  readonly listAt: number
  readonly listBytes: number
  /** The hot file only: layouts and small things. */
  readonly layoutsAt?: number
  readonly layoutsBytes?: number
  readonly extra?: unknown
}

export interface ChunkDirectory {
  readonly fromOffset: number
  readonly toOffset: number
  readonly minMs: number
  readonly maxMs: number
  readonly tenants: readonly ChunkSection[]
}

/** A group as it is named in a file. */
export interface GroupName {
  readonly key: string
  readonly parentKey: string
  readonly split: boolean
}

export interface SavedChunk {
  readonly group: GroupName
  readonly chunk: ChunkRef
}

export interface SavedLayout {
  readonly id: string
  readonly groupKey: string
  readonly series: Uint32Array
  readonly refused: number
  readonly usedMs: number
}

/** Numbers the series of one section as they come. */
class LocalSeries {
  readonly #local = new Map<number, number>()
  readonly #ids: number[] = []

  of(id: number): number {
    let local = this.#local.get(id)
    if (local === undefined) {
      local = this.#ids.push(id) - 1
      this.#local.set(id, local)
    }
    return local
  }

  ids(): Uint32Array {
    return Uint32Array.from(this.#ids)
  }
}

/**
 * Writes a section, a chunk at a time.
 *
 * @returns the section and where each chunk went, in the order of `chunks`; yields after each chunk
 */
export function* writeSection(
  out: FileWriter,
  tenant: string,
  index: SeriesIndex,
  chunks: Iterable<SavedChunk>,
  layouts: readonly SavedLayout[] | undefined,
  extra: unknown,
): Generator<void, { section: ChunkSection; offsets: number[] }, void> {
  const local = new LocalSeries()
  const entries = new RowsWriter()
  const offsets: number[] = []
  let minMs = Infinity
  let maxMs = -Infinity
  for (const { group, chunk } of chunks) {
    const { block, at } = chunk.source.read(chunk.offset, chunk.bytes)
    const offset = out.writeAligned(block.bytes.subarray(at, at + chunk.bytes))
    offsets.push(offset)
    writeEntry(entries, group, chunk, offset, local)
    minMs = Math.min(minMs, chunk.minMs)
    maxMs = Math.max(maxMs, chunk.maxMs)
    yield
  }
  const layoutBytes = layouts === undefined ? undefined : encodeLayouts(layouts, local)
  const table = encodeSeries(index, local.ids())
  const list = new RowsWriter(entries.length + 16)
  list.varint(offsets.length)
  list.raw(entries.finish())
  const listed = list.finish()
  const section: ChunkSection = {
    tenant,
    minMs: offsets.length === 0 ? 0 : minMs,
    maxMs: offsets.length === 0 ? 0 : maxMs,
    seriesAt: out.write(table),
    seriesBytes: table.length,
    listAt: out.write(listed),
    listBytes: listed.length,
    ...(layoutBytes === undefined ? {} : { layoutsAt: out.write(layoutBytes), layoutsBytes: layoutBytes.length }),
    ...(extra === undefined ? {} : { extra }),
  }
  return { section, offsets }
}

/** The chunks and layouts of a section, with their series interned. */
export function readSection(file: StoredFile, section: ChunkSection, index: SeriesIndex): { chunks: SavedChunk[]; layouts: SavedLayout[] } {
  const ids = finish(decodeSeries(file.copy(section.seriesAt, section.seriesBytes), index))
  const input = new RowsBytes(file.copy(section.listAt, section.listBytes))
  const chunks: SavedChunk[] = []
  for (let left = input.count(8); left > 0; left--) chunks.push(readEntry(input, file, ids))
  if (section.layoutsAt === undefined) return { chunks, layouts: [] }
  return { chunks, layouts: decodeLayouts(file.copy(section.layoutsAt, section.layoutsBytes!), ids) }
}

function finish<T>(task: Generator<void, T, void>): T {
  for (;;) {
    const step = task.next()
    if (step.done === true) return step.value
  }
}

function writeEntry(out: RowsWriter, group: GroupName, chunk: ChunkRef, offset: number, local: LocalSeries): void {
  out.text(group.key)
  out.text(group.parentKey)
  out.u8(group.split ? 1 : 0)
  out.f64(offset)
  out.varint(chunk.bytes)
  out.varint(chunk.rows)
  out.f64(chunk.minMs)
  out.f64(chunk.maxMs)
  out.f64(chunk.fromOffset)
  out.f64(chunk.toOffset)
  writeIds(out, chunk.series, local)
}

function readEntry(input: RowsBytes, source: StoredFile, ids: Uint32Array): SavedChunk {
  const group = { key: input.text(), parentKey: input.text(), split: input.u8() === 1 }
  return {
    group,
    chunk: {
      source,
      offset: input.f64(),
      bytes: input.varint(),
      rows: input.varint(),
      minMs: input.f64(),
      maxMs: input.f64(),
      fromOffset: input.f64(),
      toOffset: input.f64(),
      series: readIds(input, ids),
    },
  }
}

/** Runs of consecutive numbers: 0 stands for a series the limit refused. */
function writeIds(out: RowsWriter, series: Uint32Array, local: LocalSeries): void {
  out.varint(series.length)
  let expected = 1
  for (const id of series) {
    const number = id === NO_SERIES ? 0 : local.of(id) + 1
    // The difference from the number after the last one, zigzag: 0 in a run.
    const step = number - expected
    out.varint(step < 0 ? -2 * step - 1 : 2 * step)
    expected = number + 1
  }
}

function readIds(input: RowsBytes, ids: Uint32Array): Uint32Array {
  const series = new Uint32Array(input.count(1))
  let expected = 1
  for (let i = 0; i < series.length; i++) {
    const step = input.varint()
    const number = expected + (step % 2 === 1 ? -(step + 1) / 2 : step / 2)
    series[i] = number === 0 ? NO_SERIES : ids[number - 1]!
    expected = number + 1
  }
  return series
}

function encodeLayouts(layouts: readonly SavedLayout[], local: LocalSeries): Uint8Array {
  const out = new RowsWriter()
  out.varint(layouts.length)
  for (const layout of layouts) {
    out.text(layout.id)
    out.text(layout.groupKey)
    out.varint(layout.refused)
    out.f64(layout.usedMs)
    writeIds(out, layout.series, local)
  }
  return out.finish()
}

function decodeLayouts(bytes: Uint8Array, ids: Uint32Array): SavedLayout[] {
  const input = new RowsBytes(bytes)
  const layouts: SavedLayout[] = []
  for (let left = input.count(12); left > 0; left--) {
    layouts.push({ id: input.text(), groupKey: input.text(), refused: input.varint(), usedMs: input.f64(), series: readIds(input, ids) })
  }
  return layouts
}
