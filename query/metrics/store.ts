import { mkdirSync, readdirSync, unlinkSync, openSync, closeSync, fsync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type { Labels, Matcher, SeriesSamples } from '../../lib/model/index.ts'
import { countItems, walkRows, type FamilyMetadata } from '../../lib/wire/rows/index.ts'
import { SightlineError, kindOf } from '../../lib/runtime/errors.ts'
import type { AppendOutcome, CheckpointFiles, StoreFile, StoreOpenOptions, StoreRecord, Task } from '../store/index.ts'
import { Block } from './block.ts'
import { cardinalityOf, type Cardinality } from './cardinality.ts'
import { snapshotOf, writeChunks, writeHot, type TenantSnapshot, type WrittenFile } from './checkpoint.ts'
import { Codecs, type ChunkRef } from './chunk.ts'
import { compactFiles } from './compact.ts'
import type { SeriesExemplars } from './exemplars.ts'
import { KIND_BLOCK, KIND_CHUNKS, KIND_HOT, PageCache, StoredFile } from './file.ts'
import { Head, type Tally } from './head.ts'
import type { MetricsOpenOptions, MetricsStore, SelectLimits } from './index.ts'
import { labelNamesOf, labelValuesOf, seriesOf } from './labels.ts'
import { loadChunks, loadHot } from './load.ts'
import { matchSeries } from './match.ts'
import { mergeParts } from './merge.ts'
import { SampleBudget, readHead } from './read.ts'

const CACHE_BYTES = 64 * 1024 * 1024
const EXEMPLARS_MAX = 10_000
/** Groups without a new row for this long are sealed at the next checkpoint. */
const IDLE_MS = 30 * 60_000
/** Layouts are repeated every five minutes: one not used for longer than this needn't be kept. */
const LAYOUT_IDLE_MS = 15 * 60_000
const SUFFIX = '.slm'

const fsyncFile = promisify(fsync)

/** A file of the store that is in use. `order`: of two files with the same sample, the one with the lower order has the first. */
export interface Held {
  readonly name: string
  readonly kind: number
  readonly order: number
  readonly file: StoredFile
  readonly block: Block | undefined
  readonly entry: StoreFile
}

interface SavedState {
  readonly version: 1
  readonly nextFile: number
  /** Tenants that retention dropped from a file that others still need. */
  readonly dropped: Readonly<Record<string, readonly string[]>>
}

export class EmbeddedMetricsStore implements MetricsStore {
  readonly #dir: string
  readonly #options: MetricsOpenOptions
  readonly #codecs = new Codecs()
  readonly #cache: PageCache
  readonly #heads = new Map<string, Head>()
  /** Chunk files and blocks by `order`; the hot file is apart. */
  #held: Held[] = []
  #hot: Held | undefined
  /** Not in use any more, but perhaps named by the last manifest. */
  #retired: Held[] = []
  #unsynced: string[] = []
  #named = new Set<string>()
  #dropped = new Map<string, Set<string>>()
  #nextFile = 1
  #appendedMs = -Infinity
  /** The earliest sample since the last checkpoint began. */
  #unsavedFromMs = Infinity
  #busy = false

  constructor(options: MetricsOpenOptions) {
    this.#dir = options.dir
    this.#options = options
    this.#cache = new PageCache(options.cacheBytesMax ?? CACHE_BYTES)
  }

  /** Loads what the manifest names and deletes what it doesn't. */
  load(): void {
    mkdirSync(this.#dir, { recursive: true })
    const state = this.#options.state as SavedState | undefined
    if (state !== undefined && state !== null) {
      if (state.version !== 1)
        throw new SightlineError(
          'corruption',
          `cannot open metrics store ${this.#dir}: state version ${String(state.version)} is not known`,
        )
      this.#nextFile = state.nextFile
      for (const [name, tenants] of Object.entries(state.dropped)) this.#dropped.set(name, new Set(tenants))
    }
    const names = new Set(this.#options.files.map((file) => file.name))
    const kept = new Set(this.#options.kept)
    for (const name of readdirSync(this.#dir)) {
      if (name.endsWith(SUFFIX) && !names.has(name) && !kept.has(name)) unlinkSync(join(this.#dir, name))
    }
    for (const entry of this.#options.files) this.hold(entry)
    const headOf = (tenant: string): Head => this.#headOf(tenant)
    for (const held of this.#held) {
      if (held.kind === KIND_CHUNKS) loadChunks(held.file, (tenant) => this.isDropped(held.name, tenant), headOf)
    }
    if (this.#hot !== undefined) loadHot(this.#hot.file, headOf)
    this.#named = names
  }

  append(tenant: string, record: StoreRecord): AppendOutcome {
    const head = this.#headOf(tenant)
    const tally: Tally = { stored: 0, duplicate: 0, conflict: 0, future: 0, limit_series: 0, unknown_layout: 0, malformed: 0 }
    this.#appendedMs = Math.max(this.#appendedMs, record.appendedMs)
    try {
      walkRows(record.payload, {
        hasLayout: (id) => head.hasLayout(id, record.appendedMs),
        layout: (table) => head.addLayout(table, record.appendedMs),
        row: (row) => {
          if (row.timestampMs < this.#unsavedFromMs) this.#unsavedFromMs = row.timestampMs
          head.appendRow(row, record.appendedMs, record.offset, tally)
        },
        metadata: (families) => head.addMetadata(families),
      })
    } catch (error) {
      if (kindOf(error) !== 'bad_data') throw error
      tally.malformed += missing(record.payload, tally)
    }
    const { stored, ...reasons } = tally
    const dropped: Record<string, number> = {}
    for (const [reason, count] of Object.entries(reasons)) if (count > 0) dropped[reason] = count
    return { stored, dropped }
  }

  learn(tenant: string, { payload, appendedMs }: StoreRecord): void {
    const head = this.#headOf(tenant)
    try {
      walkRows(payload, {
        hasLayout: (id) => head.hasLayout(id, appendedMs),
        layout: (table) => head.addLayout(table, appendedMs),
        row: () => {},
        metadata: (families) => head.addMetadata(families),
      })
    } catch (error) {
      if (kindOf(error) !== 'bad_data') throw error
    }
  }

  *select(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number, limits: SelectLimits): Task<SeriesSamples[]> {
    const budget = new SampleBudget(limits.samplesMax)
    const head = this.#heads.get(tenant)
    const files: StoredFile[] = []
    head?.beginRead()
    try {
      const ids = head === undefined ? new Uint32Array(0) : yield* matchSeries(head.index, matchers)
      // Without a pause from here to the head's list of chunks: compaction moves chunks from heads to blocks.
      const blocks = this.#blocksIn(tenant, startMs, endMs)
      files.push(...this.#held.map((held) => held.file))
      for (const file of files) file.retain()
      const recent = head === undefined ? [] : yield* readHead(head, ids, startMs, endMs, budget)
      const parts: SeriesSamples[][] = []
      for (const held of blocks) parts.push(yield* held.block!.select(tenant, matchers, startMs, endMs, budget))
      return yield* mergeParts([...parts, recent])
    } finally {
      head?.endRead()
      for (const file of files) file.release()
    }
  }

  labelNames(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number, limit: number): Task<string[]> {
    const blocks = this.#blocksIn(tenant, startMs, endMs)
    return holding(blocks, labelNamesOf(this.#heads.get(tenant), blocks, tenant, matchers, startMs, endMs, limit))
  }

  labelValues(tenant: string, name: string, matchers: readonly Matcher[], startMs: number, endMs: number, limit: number): Task<string[]> {
    const blocks = this.#blocksIn(tenant, startMs, endMs)
    return holding(blocks, labelValuesOf(this.#heads.get(tenant), blocks, tenant, name, matchers, startMs, endMs, limit))
  }

  series(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number, limit: number): Task<Labels[]> {
    const blocks = this.#blocksIn(tenant, startMs, endMs)
    return holding(blocks, seriesOf(this.#heads.get(tenant), blocks, tenant, matchers, startMs, endMs, limit))
  }

  *exemplars(tenant: string, selectors: readonly (readonly Matcher[])[], startMs: number, endMs: number): Task<SeriesExemplars[]> {
    yield
    return this.#heads.get(tenant)?.exemplars.select(selectors, startMs, endMs) ?? []
  }

  *metadata(tenant: string, metric: string | undefined, limit: number): Task<Map<string, FamilyMetadata[]>> {
    yield
    const out = new Map<string, FamilyMetadata[]>()
    for (const [family, variants] of this.#heads.get(tenant)?.metadata ?? []) {
      if (metric !== undefined && family !== metric) continue
      if (limit > 0 && out.size >= limit) break
      out.set(family, [...variants])
    }
    return out
  }

  cardinality(tenant: string, limit: number): Task<Cardinality> {
    return cardinalityOf(this.#heads.get(tenant), limit)
  }

  async checkpoint(): Promise<CheckpointFiles> {
    if (this.#busy) throw new SightlineError('internal', 'BUG: two checkpoints of a metrics store at once')
    this.#busy = true
    for (const head of this.#heads.values()) this.#sealIdle(head)
    const tenants = [...this.#heads].map(([tenant, head]) => snapshotOf(tenant, head))
    const unsavedFromMs = this.#unsavedFromMs
    this.#unsavedFromMs = Infinity
    try {
      await this.#writeChunkFile(tenants)
      const name = this.#fileName('hot')
      const written = await writeHot(join(this.#dir, name), this.#codecs, tenants)
      if (this.#hot !== undefined) this.#retired.push(this.#hot)
      this.#hot = undefined
      this.hold(entryOf(name, written))
      await this.#syncFolder()
    } catch (error) {
      this.#unsavedFromMs = Math.min(this.#unsavedFromMs, unsavedFromMs)
      throw error
    } finally {
      for (const { head } of tenants) head.endRead()
      this.#busy = false
    }
    for (const [tenant, head] of this.#heads) {
      head.collect(this.#appendedMs - LAYOUT_IDLE_MS)
      if (head.isEmpty()) this.#heads.delete(tenant)
    }
    const files = [...this.#held, this.#hot!].map((held) => held.entry)
    this.#named = new Set(files.map((file) => file.name))
    return { files, state: this.#state() }
  }

  async release(): Promise<void> {
    const kept: Held[] = []
    for (const held of this.#retired) {
      if (this.#named.has(held.name)) kept.push(held)
      else {
        held.file.release()
        unlinkSync(join(this.#dir, held.name))
        this.#dropped.delete(held.name)
      }
    }
    this.#retired = kept
    await syncPath(this.#dir)
  }

  compact(nowMs: number): Task<boolean> {
    return compactFiles(this, this.#codecs, nowMs)
  }

  dropBefore(cutoffMs: (tenant: string) => number): number {
    let freed = 0
    for (const held of this.#held) {
      const old = tenantsOf(held).filter(({ tenant, maxMs }) => maxMs < cutoffMs(tenant) && !this.isDropped(held.name, tenant))
      if (old.length === 0) continue
      const dropped = this.#dropped.get(held.name) ?? new Set()
      this.#dropped.set(held.name, dropped)
      for (const { tenant } of old) {
        dropped.add(tenant)
        this.forgetChunks(held.file, tenant)
      }
      if (!tenantsOf(held).every(({ tenant }) => dropped.has(tenant))) continue
      freed += held.entry.bytes
      this.retire([held])
    }
    return freed
  }

  timeRanges(): readonly (readonly [number, number])[] {
    const entries = [...this.#held, ...(this.#hot === undefined ? [] : [this.#hot])].map(({ entry }) => entry)
    const ranges = entries.map(({ minMs, maxMs }): [number, number] => [minMs, maxMs]).filter(([minMs, maxMs]) => minMs <= maxMs)
    if (this.#unsavedFromMs < Infinity) ranges.push([this.#unsavedFromMs, Infinity])
    return ranges.sort((a, b) => a[0] - b[0])
  }

  memoryBytes(): number {
    let bytes = this.#cache.bytes
    for (const head of this.#heads.values()) bytes += head.memoryBytes()
    for (const held of this.#held) bytes += held.block?.memoryBytes() ?? 0
    return bytes
  }

  async close(): Promise<void> {
    for (const held of [...this.#held, ...this.#retired]) held.file.release()
    this.#hot?.file.release()
    this.#held = []
    this.#retired = []
    this.#hot = undefined
    await Promise.resolve()
  }

  /** The files that compaction chooses from, in journal order. */
  get held(): readonly Held[] {
    return this.#held
  }

  get dir(): string {
    return this.#dir
  }

  isDropped(name: string, tenant: string): boolean {
    return this.#dropped.get(name)?.has(tenant) === true
  }

  newBlockName(): string {
    return this.#fileName('block')
  }

  /** Takes a written file into use; the next checkpoint names it. */
  hold(entry: StoreFile, unsynced = false): Held {
    const file = new StoredFile(join(this.#dir, entry.name), this.#cache)
    const block = file.kind === KIND_BLOCK ? new Block(file, this.#codecs) : undefined
    const held: Held = { name: entry.name, kind: file.kind, order: block?.order ?? numberOf(entry.name), file, block, entry }
    if (unsynced) this.#unsynced.push(entry.name)
    if (file.kind === KIND_HOT) this.#hot = held
    else this.#held = [...this.#held, held].sort((a, b) => a.order - b.order)
    return held
  }

  /** Takes files out of use; they are deleted once no manifest names them. */
  retire(files: readonly Held[]): void {
    const gone = new Set(files)
    this.#held = this.#held.filter((held) => !gone.has(held))
    this.#retired.push(...files)
  }

  /** The heads forget the chunks that lie in a file. */
  forgetChunks(file: StoredFile, tenant?: string): void {
    for (const [name, head] of this.#heads) {
      if (tenant !== undefined && name !== tenant) continue
      for (const group of head.groups.values()) {
        if (group.chunks.some((chunk) => chunk.source === file)) group.chunks = group.chunks.filter((chunk) => chunk.source !== file)
      }
    }
  }

  headOf(tenant: string): Head | undefined {
    return this.#heads.get(tenant)
  }

  #headOf(tenant: string): Head {
    let head = this.#heads.get(tenant)
    if (head === undefined) {
      const { seriesMax, futureMaxMs } = this.#options.limits
      head = new Head(this.#codecs, { seriesMax, futureMaxMs, exemplarsMax: this.#options.exemplarsMax ?? EXEMPLARS_MAX })
      this.#heads.set(tenant, head)
    }
    return head
  }

  #blocksIn(tenant: string, startMs: number, endMs: number): Held[] {
    return this.#held.filter((held) => held.block?.overlaps(tenant, startMs, endMs) === true && !this.isDropped(held.name, tenant))
  }

  #sealIdle(head: Head): void {
    for (const group of head.groups.values()) {
      if (group.rows > 0 && (group.newestMs < head.newestMs - IDLE_MS || group.ended())) head.seal(group)
    }
  }

  async #writeChunkFile(tenants: readonly TenantSnapshot[]): Promise<void> {
    const name = this.#fileName('chunks')
    const places: { chunk: ChunkRef; offset: number }[] = []
    const written = await writeChunks(join(this.#dir, name), tenants, (chunk, offset) => places.push({ chunk, offset }))
    if (written === undefined) return
    const { file } = this.hold(entryOf(name, written))
    for (const { chunk, offset } of places) {
      chunk.source = file
      chunk.offset = offset
    }
  }

  /** Also the blocks that compaction finishes meanwhile. */
  async #syncFolder(): Promise<void> {
    do {
      for (const name of this.#unsynced.splice(0)) await syncPath(join(this.#dir, name))
      await syncPath(this.#dir)
    } while (this.#unsynced.length > 0)
  }

  #fileName(kind: string): string {
    return `${kind}-${String(this.#nextFile++).padStart(10, '0')}${SUFFIX}`
  }

  #state(): SavedState {
    const dropped: Record<string, readonly string[]> = {}
    for (const [name, tenants] of this.#dropped) if (this.#named.has(name)) dropped[name] = [...tenants]
    return { version: 1, nextFile: this.#nextFile, dropped }
  }
}

/** Keeps files open while a task reads them. */
function* holding<T>(files: readonly Held[], task: Task<T>): Task<T> {
  for (const { file } of files) file.retain()
  try {
    return yield* task
  } finally {
    for (const { file } of files) file.release()
  }
}

function tenantsOf(held: Held): readonly { readonly tenant: string; readonly maxMs: number }[] {
  return (held.file.directory as { tenants: readonly { tenant: string; maxMs: number }[] }).tenants
}

function entryOf(name: string, written: WrittenFile): StoreFile {
  const { fromOffset, toOffset, minMs, maxMs } = written.directory
  return { name, bytes: written.bytes, fromOffset, toOffset, minMs, maxMs }
}

function numberOf(name: string): number {
  return Number(/-(\d+)\./.exec(name)?.[1] ?? 0)
}

/** Samples that a payload promised and that were not counted before it turned out to be malformed. */
function missing(payload: Uint8Array, tally: Tally): number {
  const counted = Object.values(tally).reduce((sum, count) => sum + count, 0)
  try {
    return Math.max(0, countItems(payload) - counted)
  } catch (error) {
    if (kindOf(error) !== 'bad_data') throw error
    return 0
  }
}

async function syncPath(path: string): Promise<void> {
  const fd = openSync(path, 'r')
  try {
    await fsyncFile(fd)
  } finally {
    closeSync(fd)
  }
}

/** Opens the metrics store of one partition with the files and state of its last manifest; files that it doesn't name are deleted. Errors: `corruption`. */
export async function openMetricsStore(
  options: StoreOpenOptions & Pick<MetricsOpenOptions, 'cacheBytesMax' | 'exemplarsMax'>,
): Promise<MetricsStore> {
  const store = new EmbeddedMetricsStore(options)
  store.load()
  return await Promise.resolve(store)
}
