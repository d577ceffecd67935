/**
 * A checkpoint's two files. What is to be written is taken at once, at the call (`snapshotOf`); encoding and writing then go in slices, with appends in
 * between. Chunks that were written are read from their file from then on.
 */
import { fsync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'

import type { FamilyMetadata } from '../../lib/wire/rows/index.ts'
import { writeSection, type ChunkDirectory, type ChunkSection, type GroupName, type SavedChunk, type SavedLayout } from './chunk-file.ts'
import { MemorySource, type ChunkRef, type Codecs } from './chunk.ts'
import type { StoredExemplar } from './exemplars.ts'
import { FileWriter, KIND_CHUNKS, KIND_HOT } from './file.ts'
import type { Group } from './group.ts'
import type { Head } from './head.ts'
import type { SeriesIndex } from './series-index.ts'

const fsyncFile = promisify(fsync)
const SLICE_MS = 4
const NOWHERE = new MemorySource(new Uint8Array(0))

/** The small things of a tenant, as JSON. Values are text, because JSON has no NaN. */
export interface HotExtra {
  readonly metadata: readonly FamilyMetadata[]
  readonly exemplars: readonly (Omit<StoredExemplar, 'value'> & { readonly value: string })[]
}

export interface TenantSnapshot {
  readonly tenant: string
  readonly head: Head
  readonly index: SeriesIndex
  readonly chunks: readonly SavedChunk[]
  readonly rows: readonly Group[]
  readonly layouts: readonly SavedLayout[]
  readonly extra: HotExtra
}

/** Copies of what isn't in a file yet. The head keeps its ids until `Head.endRead`. */
export function snapshotOf(tenant: string, head: Head): TenantSnapshot {
  head.beginRead()
  const chunks: SavedChunk[] = []
  const rows: Group[] = []
  for (const group of head.groups.values()) {
    for (const chunk of group.chunks) if (chunk.source instanceof MemorySource) chunks.push({ group: nameOf(group), chunk })
    if (group.rows > 0) rows.push(group.snapshot())
  }
  const layouts = [...head.layouts.values()].map(({ id, groupKey, series, refused, usedMs }) => ({ id, groupKey, series, refused, usedMs }))
  const exemplars = head.exemplars.all().map((exemplar) => ({ ...exemplar, value: String(exemplar.value) }))
  return { tenant, head, index: head.index, chunks, rows, layouts, extra: { metadata: [...head.metadata.values()].flat(), exemplars } }
}

export interface WrittenFile {
  readonly bytes: number
  readonly directory: ChunkDirectory
}

/** Writes the sealed chunks; `placed` says where each went. Undefined where there is none. */
export async function writeChunks(
  path: string,
  tenants: readonly TenantSnapshot[],
  placed: (chunk: ChunkRef, offset: number) => void,
): Promise<WrittenFile | undefined> {
  const some = tenants.filter((tenant) => tenant.chunks.length > 0)
  if (some.length === 0) return undefined
  return await writeFile(path, KIND_CHUNKS, async (out) => {
    const sections: ChunkSection[] = []
    for (const { tenant, index, chunks } of some) {
      const { section, offsets } = await inSlices(writeSection(out, tenant, index, chunks, undefined, undefined))
      sections.push(section)
      chunks.forEach(({ chunk }, i) => placed(chunk, offsets[i]!))
    }
    return { sections, chunks: some.flatMap((tenant) => tenant.chunks.map(({ chunk }) => chunk)) }
  })
}

/** Writes the unsealed rows, layouts, metadata and exemplars of every tenant. */
export async function writeHot(path: string, codecs: Codecs, tenants: readonly TenantSnapshot[]): Promise<WrittenFile> {
  return await writeFile(path, KIND_HOT, async (out) => {
    const sections: ChunkSection[] = []
    const written: ChunkRef[] = []
    for (const { tenant, index, rows, layouts, extra } of tenants) {
      const { section } = await inSlices(writeSection(out, tenant, index, encoded(codecs, rows, written), layouts, extra))
      sections.push(section)
    }
    return { sections, chunks: written }
  })
}

function* encoded(codecs: Codecs, rows: readonly Group[], written: ChunkRef[]): Iterable<SavedChunk> {
  for (const group of rows) {
    const chunk = group.encode(codecs)
    // Its bytes are written before the next one is asked for; only its ranges are needed later.
    written.push({ ...chunk, source: NOWHERE })
    yield { group: nameOf(group), chunk }
  }
}

async function writeFile(
  path: string,
  kind: number,
  write: (out: FileWriter) => Promise<{ sections: readonly ChunkSection[]; chunks: readonly ChunkRef[] }>,
): Promise<WrittenFile> {
  const out = new FileWriter(path, kind)
  try {
    const { sections, chunks } = await write(out)
    const directory: ChunkDirectory = { ...rangesOf(chunks), tenants: sections }
    const bytes = out.finish(directory)
    await fsyncFile(out.fd)
    return { bytes, directory }
  } finally {
    out.close()
  }
}

/** Offsets and times that some chunks span; zeros where there is none. */
export function rangesOf(chunks: readonly ChunkRef[]): Omit<ChunkDirectory, 'tenants'> {
  if (chunks.length === 0) return { fromOffset: 0, toOffset: 0, minMs: 0, maxMs: 0 }
  let [fromOffset, toOffset, minMs, maxMs] = [Infinity, -Infinity, Infinity, -Infinity]
  for (const chunk of chunks) {
    fromOffset = Math.min(fromOffset, chunk.fromOffset)
    toOffset = Math.max(toOffset, chunk.toOffset)
    minMs = Math.min(minMs, chunk.minMs)
    maxMs = Math.max(maxMs, chunk.maxMs)
  }
  return { fromOffset, toOffset, minMs, maxMs }
}

function nameOf(group: Group): GroupName {
  return { key: group.key, parentKey: group.parent?.key ?? '', split: group.split }
}

/** Runs a generator to its end, giving way to other work every few milliseconds. */
async function inSlices<T>(task: Generator<void, T, void>): Promise<T> {
  let until = performance.now() + SLICE_MS
  for (;;) {
    const step = task.next()
    if (step.done === true) return step.value
    if (performance.now() < until) continue
    await nextTurn()
    until = performance.now() + SLICE_MS
  }
}
