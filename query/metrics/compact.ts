/**
 * Compaction: the chunk files of finished two-hour windows become a block, and four neighbouring blocks of a level become one of the next. Short chunks
 * of a group are joined to runs of up to 240 rows; blocks are merged by copying their columns. Nothing is dropped: where two columns hold the same
 * (series, time), both stay in journal order and the reader takes the first.
 */
import { join } from 'node:path'
import { unlinkSync } from 'node:fs'

import { CELL_ABSENT } from '../../lib/model/index.ts'
import { RowsWriter } from '../../lib/wire/rows/index.ts'
import type { StoreFile, Task } from '../store/index.ts'
import type { BlockDirectory, BlockSection } from './block.ts'
import { BlockContent } from './block-writer.ts'
import { ChunkReader, MemorySource, type ChunkRef, type Codecs } from './chunk.ts'
import { Column } from './column.ts'
import { FileWriter, KIND_BLOCK, KIND_CHUNKS, type StoredFile } from './file.ts'
import type { Head } from './head.ts'
import { SeriesIndex } from './series-index.ts'
import type { EmbeddedMetricsStore, Held } from './store.ts'

const WINDOW_MS = 2 * 3600_000
/** Rows may come this late and still land in their window's block. */
const GRACE_MS = 15 * 60_000
const RUN_ROWS_MAX = 240
const MERGE_COUNT = 4
const LEVEL_MAX = 3
const MERGED_BYTES_MAX = 2 * 1024 ** 3
/** More chunk files than this are merged whatever their times. */
const CHUNK_FILES_MAX = 400

/** One merge, if one is due. The result is in use when the task ends; the inputs are deleted once no manifest names them. */
export function* compactFiles(store: EmbeddedMetricsStore, codecs: Codecs, nowMs: number): Task<boolean> {
  const cutoffMs = Math.floor((nowMs - GRACE_MS) / WINDOW_MS) * WINDOW_MS
  const chunkFiles = finishedChunkFiles(store.held, cutoffMs)
  if (chunkFiles.length > 0) {
    yield* writeBlock(store, chunkFiles, 1, (tenant) => contentOfChunks(store, codecs, tenant, chunkFiles))
    return true
  }
  const blocks = mergeableBlocks(store.held)
  if (blocks.length === 0) return false
  yield* writeBlock(store, blocks, blocks[0]!.block!.directory.level + 1, (tenant) => contentOfBlocks(store, tenant, blocks))
  return true
}

/** Chunk files from the oldest on, as long as all of their samples are before the cut-off. */
function finishedChunkFiles(held: readonly Held[], cutoffMs: number): Held[] {
  const files = held.filter((file) => file.kind === KIND_CHUNKS)
  if (files.length > CHUNK_FILES_MAX) return files.slice(0, CHUNK_FILES_MAX / 2)
  const end = files.findIndex((file) => file.entry.maxMs >= cutoffMs)
  return end < 0 ? files : files.slice(0, end)
}

function mergeableBlocks(held: readonly Held[]): Held[] {
  const blocks = held.filter((file) => file.block !== undefined)
  for (let i = 0; i + MERGE_COUNT <= blocks.length; i++) {
    const run = blocks.slice(i, i + MERGE_COUNT)
    const { level } = run[0]!.block!.directory
    const bytes = run.reduce((sum, file) => sum + file.entry.bytes, 0)
    if (level < LEVEL_MAX && bytes <= MERGED_BYTES_MAX && run.every((file) => file.block!.directory.level === level)) return run
  }
  return []
}

function* writeBlock(
  store: EmbeddedMetricsStore,
  inputs: readonly Held[],
  level: number,
  contentOf: (tenant: string) => Generator<void, BlockContent | undefined, void>,
): Task<void> {
  for (const input of inputs) input.file.retain()
  const name = store.newBlockName()
  const path = join(store.dir, name)
  const out = new FileWriter(path, KIND_BLOCK)
  let done = false
  try {
    const sections: BlockSection[] = []
    for (const tenant of tenantsOf(store, inputs)) {
      const content = yield* contentOf(tenant)
      if (content === undefined || content.columns === 0) continue
      sections.push(yield* content.write(out, tenant))
      yield
    }
    if (sections.length > 0) {
      const ranges = rangesOf(inputs, sections)
      const directory: BlockDirectory = { ...ranges, order: Math.min(...inputs.map((input) => input.order)), level, tenants: sections }
      const bytes = out.finish(directory)
      store.hold({ name, bytes, ...ranges }, true)
      done = true
    }
    for (const input of inputs) store.forgetChunks(input.file)
    store.retire(inputs)
  } finally {
    out.close()
    if (!done) unlinkSync(path)
    for (const input of inputs) input.file.release()
  }
}

function tenantsOf(store: EmbeddedMetricsStore, inputs: readonly Held[]): string[] {
  const tenants = new Set<string>()
  for (const input of inputs) {
    for (const { tenant } of (input.file.directory as BlockDirectory).tenants) if (!store.isDropped(input.name, tenant)) tenants.add(tenant)
  }
  return [...tenants].sort()
}

function rangesOf(inputs: readonly Held[], sections: readonly BlockSection[]): Omit<StoreFile, 'name' | 'bytes'> {
  return {
    fromOffset: Math.min(...inputs.map((input) => input.entry.fromOffset)),
    toOffset: Math.max(...inputs.map((input) => input.entry.toOffset)),
    minMs: Math.min(...sections.map((section) => section.minMs)),
    maxMs: Math.max(...sections.map((section) => section.maxMs)),
  }
}

/** The chunks of a tenant that lie in some files, from the groups of its head. */
function* contentOfChunks(
  store: EmbeddedMetricsStore,
  codecs: Codecs,
  tenant: string,
  inputs: readonly Held[],
): Generator<void, BlockContent | undefined, void> {
  const head = store.headOf(tenant)
  if (head === undefined) return undefined
  const files = new Set<unknown>(inputs.map((input) => input.file))
  head.beginRead()
  try {
    return yield* joinChunks(head, codecs, files)
  } finally {
    head.endRead()
  }
}

function* joinChunks(head: Head, codecs: Codecs, files: ReadonlySet<unknown>): Generator<void, BlockContent, void> {
  const content = new BlockContent(head.index)
  for (const group of head.groups.values()) {
    const chunks = group.chunks.filter((chunk) => files.has(chunk.source))
    for (const batch of batchesOf(chunks)) {
      const arena = new RowsWriter(64 * 1024)
      const added = yield* encodeBatch(codecs, batch, arena)
      const source = new MemorySource(arena.finish().slice())
      const number = content.addSource(source)
      const run = content.addRun(added.run, source)
      for (const { series, offset, bytes } of added.columns) content.addColumn(series, run, number, offset, bytes)
    }
  }
  return content
}

/** Neighbouring chunks that follow each other in time, up to 240 rows together. */
function batchesOf(chunks: readonly ChunkRef[]): ChunkRef[][] {
  const batches: ChunkRef[][] = []
  let rows = 0
  for (const chunk of chunks) {
    const last = batches.at(-1)
    if (last !== undefined && rows + chunk.rows <= RUN_ROWS_MAX && chunk.minMs > last.at(-1)!.maxMs) {
      last.push(chunk)
      rows += chunk.rows
    } else {
      batches.push([chunk])
      rows = chunk.rows
    }
  }
  return batches
}

interface JoinedBatch {
  readonly run: { readonly offset: number; readonly bytes: number; readonly rows: number; readonly minMs: number; readonly maxMs: number }
  readonly columns: { readonly series: number; readonly offset: number; readonly bytes: number }[]
}

function* encodeBatch(codecs: Codecs, batch: readonly ChunkRef[], arena: RowsWriter): Generator<void, JoinedBatch, void> {
  const readers = batch.map((chunk) => new ChunkReader(codecs, chunk))
  const rows = batch.reduce((sum, chunk) => sum + chunk.rows, 0)
  const times = new Float64Array(rows)
  /** Series -> its column in each chunk, -1 where it has none. */
  const columnsOf = new Map<number, Int32Array>()
  let filled = 0
  batch.forEach((chunk, k) => {
    times.set(readers[k]!.times, filled)
    filled += chunk.rows
    chunk.series.forEach((series, c) => {
      const columns = columnsOf.get(series) ?? new Int32Array(batch.length).fill(-1)
      columns[k] = c
      columnsOf.set(series, columns)
    })
  })
  codecs.values.encode(arena, times, rows)
  const run = { offset: 0, bytes: arena.length, rows, minMs: times[0]!, maxMs: times[rows - 1]! }
  const columns: JoinedBatch['columns'] = []
  for (const [series, sources] of columnsOf) {
    const column = new Column(rows)
    let from = 0
    for (let k = 0; k < batch.length; k++) {
      if (sources[k]! < 0) column.withCells().fill(CELL_ABSENT, from, from + batch[k]!.rows)
      else readers[k]!.decode(sources[k]!, column, from)
      from += batch[k]!.rows
    }
    const offset = arena.length
    codecs.columns.encode(arena, column, rows)
    columns.push({ series, offset, bytes: arena.length - offset })
    if (columns.length % 500 === 0) yield
  }
  yield
  return { run, columns }
}

/** The columns of a tenant in some blocks, as they are. */
function* contentOfBlocks(store: EmbeddedMetricsStore, tenant: string, inputs: readonly Held[]): Generator<void, BlockContent, void> {
  const content = new BlockContent(new SeriesIndex())
  for (const input of inputs) {
    const section = input.block!.directory.tenants.find((part) => part.tenant === tenant)
    const loaded = yield* input.block!.load(tenant)
    if (section === undefined || loaded === undefined || store.isDropped(input.name, tenant)) continue
    const source: StoredFile = input.file
    const number = content.addSource(source)
    const firstRun = content.runs.length
    for (const run of loaded.runs) content.addRun(run, source)
    for (let id = 0; id < section.seriesCount; id++) {
      const series = content.index.intern(loaded.index.labelsOf(id))
      for (let entry = loaded.starts[id]!; entry < loaded.starts[id + 1]!; entry++) {
        const from = loaded.offsets[entry]!
        const bytes = (loaded.offsets[entry + 1]! - from) * 4
        content.addColumn(series, firstRun + loaded.runOf[entry]!, number, section.columnsAt + from * 4, bytes)
      }
      if (id % 2000 === 1999) yield
    }
  }
  return content
}
