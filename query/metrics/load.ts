import { readSection, type ChunkDirectory, type ChunkSection, type GroupName } from './chunk-file.ts'
import type { HotExtra } from './checkpoint.ts'
import type { StoredFile } from './file.ts'
import type { Group } from './group.ts'
import type { Head } from './head.ts'

/** Puts the chunks of a chunk file in their heads; they stay in the file. Files must come in the order they were written in. */
export function loadChunks(file: StoredFile, isDropped: (tenant: string) => boolean, headOf: (tenant: string) => Head): void {
  for (const section of (file.directory as ChunkDirectory).tenants) {
    if (isDropped(section.tenant)) continue
    const head = headOf(section.tenant)
    for (const { group: name, chunk } of readSection(file, section, head.index).chunks) {
      const group = namedGroup(head, name)
      for (const series of chunk.series) head.attach(series, group)
      group.chunks.push(chunk)
      group.sealedMaxMs = Math.max(group.sealedMaxMs, chunk.maxMs)
      group.newestMs = Math.max(group.newestMs, chunk.maxMs)
      head.newestMs = Math.max(head.newestMs, chunk.maxMs)
    }
  }
}

/** Puts unsealed rows, layouts, metadata and exemplars back. Comes after all chunk files. */
export function loadHot(file: StoredFile, headOf: (tenant: string) => Head): void {
  for (const section of (file.directory as ChunkDirectory).tenants) loadHotSection(file, section, headOf(section.tenant))
}

function loadHotSection(file: StoredFile, section: ChunkSection, head: Head): void {
  const { chunks, layouts } = readSection(file, section, head.index)
  for (const { group: name, chunk } of chunks) {
    const group = namedGroup(head, name)
    group.reserve(chunk.series.length)
    for (const series of chunk.series) head.assign(series, group)
    group.restore(head.codecs, chunk)
    head.newestMs = Math.max(head.newestMs, chunk.maxMs)
  }
  for (const layout of layouts) head.putLayout(layout.id, layout.groupKey, layout.series, layout.refused, layout.usedMs)
  const extra = section.extra as HotExtra
  head.addMetadata(extra.metadata)
  for (const exemplar of extra.exemplars) head.exemplars.add({ ...exemplar, value: Number(exemplar.value) })
}

function namedGroup(head: Head, name: GroupName): Group {
  const parent = name.parentKey === '' ? undefined : head.group(name.parentKey)
  if (parent !== undefined) parent.split = true
  const group = head.group(name.key, parent)
  if (name.split) group.split = true
  return group
}
