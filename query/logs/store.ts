import { existsSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Labels, Matcher } from '../../lib/model/index.ts'
import { decodeLabels, walkStreams } from '../../lib/wire/otlp/logs/index.ts'
import { BlockCache, mayContain, runToMerge, syncFolder } from '../events/index.ts'
import type {
  AppendOutcome,
  CheckpointFiles,
  LogScan,
  LogScanTask,
  StoreFile,
  StoreOpenOptions,
  StoreRecord,
  Task,
} from '../store/index.ts'
import { blockMemoryBytes, decodeBlock, type Block } from './block.ts'
import type { BlockRef, LogSegment } from './block-ref.ts'
import { mergeBlocks } from './compact.ts'
import type { LogStats, LogStore, StreamVolume } from './log-store.ts'
import { RequestRows, type Candidate } from './repeats.ts'
import { scanLogs, type BlockSource } from './scan.ts'
import { fileOf, loadSegment, openSegment, writeSegment, type TenantBlocks } from './segments.ts'
import { TenantLogs } from './tenant.ts'

export interface LogStoreOptions extends StoreOpenOptions {
  /** Bytes of decoded blocks and filters kept; default 32 MiB. */
  readonly cacheBytesMax?: number
}

const CACHE_BYTES = 32 * 1024 * 1024
const SUFFIX = '.logs'

interface Held {
  readonly segment: LogSegment
  readonly file: StoreFile
}

interface SavedState {
  readonly version: 1
  readonly nextFile: number
}

export class EmbeddedLogStore implements LogStore {
  readonly #dir: string
  readonly #options: LogStoreOptions
  readonly #tenants = new Map<string, TenantLogs>()
  readonly #streamsOf = new Map<LogSegment, Map<string, Uint32Array>>()
  readonly #blocks: BlockCache<Block>
  readonly #filters: BlockCache<Buffer>
  readonly #source: BlockSource
  /** In journal order. */
  #held: Held[] = []
  #retired: Held[] = []
  #nextFile = 1
  #fromOffset = 0
  #toOffset = 0
  #busy = false

  constructor(options: LogStoreOptions) {
    this.#dir = options.dir
    this.#options = options
    const cacheBytes = options.cacheBytesMax ?? CACHE_BYTES
    this.#blocks = new BlockCache(cacheBytes)
    this.#filters = new BlockCache(cacheBytes / 4)
    this.#source = { decode: (ref) => this.#decode(ref), mayContain: (ref, needle) => this.#mayContain(ref, needle) }
  }

  /** Loads what the manifest names and deletes what it doesn't. */
  load(): void {
    mkdirSync(this.#dir, { recursive: true })
    const state = this.#options.state as SavedState | undefined
    this.#nextFile = state?.nextFile ?? 1
    const named = new Set(this.#options.files.map((file) => file.name))
    for (const name of readdirSync(this.#dir)) if (name.endsWith(SUFFIX) && !named.has(name)) unlinkSync(join(this.#dir, name))
    for (const file of this.#options.files) {
      const segment = openSegment(this.#dir, file.name)
      loadSegment(segment, this.#tenants, this.#streamsOf)
      this.#held.push({ segment, file })
      this.#toOffset = Math.max(this.#toOffset, file.toOffset)
    }
    this.#fromOffset = this.#toOffset
  }

  append(tenantId: string, record: StoreRecord): AppendOutcome {
    // A first walk that only looks: bytes that are no protobuf are refused before anything of them is stored.
    walkStreams(record.payload, { stream: () => {}, record: () => {} })
    const tenant = this.#tenants.get(tenantId) ?? new TenantLogs()
    this.#tenants.set(tenantId, tenant)
    const { limits } = this.#options
    const latestMs = limits.futureMaxMs > 0 ? record.appendedMs + limits.futureMaxMs : Infinity
    const dropped: Record<string, number> = {}
    const drop = (reason: string): void => {
      dropped[reason] = (dropped[reason] ?? 0) + 1
    }
    const request = new RequestRows()
    const bytes = record.payload
    let stored = 0
    let stream: number | undefined
    walkStreams(bytes, {
      stream: (from, to) => {
        stream = this.#streamOf(tenant, decodeLabels(bytes, from, to))
      },
      record: (timeMs, subNs, lineFrom, lineTo, metaFrom, metaTo) => {
        if (stream === undefined) return drop('limit_streams')
        if (timeMs > latestMs) return drop('future')
        const row: Candidate = { stream, timeMs, subNs, bytes, lineFrom, lineTo, metaFrom, metaTo }
        if (!record.positioned) {
          const equalBefore = tenant.isNewest(row) ? request.noteNew(row) : request.countEqual(row)
          if (equalBefore !== undefined && this.#countStored(tenant, row, record.appendedMs) > equalBefore) return drop('duplicate')
        }
        tenant.append(row, record.appendedMs)
        stored++
      },
    })
    this.#toOffset = record.offset + 1
    return { stored, dropped }
  }

  #streamOf(tenant: TenantLogs, labels: Labels): number | undefined {
    const known = tenant.streams.find(labels)
    if (known !== undefined) return known
    const { streamsMax } = this.#options.limits
    return streamsMax > 0 && tenant.streams.size >= streamsMax ? undefined : tenant.addStream(labels)
  }

  #countStored(tenant: TenantLogs, row: Candidate, appendedMs: number): number {
    const { repeatWindowMs } = this.#options.limits
    return tenant.countEqual(row, appendedMs - repeatWindowMs, (ref) => this.#decode(ref))
  }

  #decode(ref: BlockRef): Block {
    if (ref.block !== undefined) return ref.block
    const cached = this.#blocks.get(ref)
    if (cached !== undefined) return cached
    const { segment, place } = ref.stored!
    const raw = segment.section(place)
    const block = decodeBlock(raw, this.#numbersOf(segment, ref))
    this.#blocks.put(ref, block, blockMemoryBytes(block))
    return block
  }

  /** The tenant's stream numbers in a segment: the one whose list of blocks has this place. */
  #numbersOf(segment: LogSegment, ref: BlockRef): Uint32Array {
    const owner = segment.footer.tenants.find((tenant) => tenant.blocks.some((block) => block.place.at === ref.stored!.place.at))
    return this.#streamsOf.get(segment)!.get(owner!.tenant)!
  }

  #mayContain(ref: BlockRef, needle: Uint8Array): boolean {
    // A decoded block is searched as fast as its filter could be asked.
    if (ref.stored === undefined || this.#blocks.get(ref) !== undefined) return true
    const { segment, filter } = ref.stored
    let words = this.#filters.get(ref)
    if (words === undefined) {
      words = segment.section(filter)
      this.#filters.put(ref, words, words.length)
    }
    return mayContain(words, needle)
  }

  *scan(tenantId: string, scan: LogScan): LogScanTask {
    const tenant = this.#tenants.get(tenantId)
    if (tenant === undefined) return
    const segments = this.#held.map((held) => held.segment)
    for (const segment of segments) segment.pin()
    try {
      yield* scanLogs(tenant, scan, this.#source)
    } finally {
      for (const segment of segments) segment.unpin()
    }
  }

  *#sharesIn(
    tenantId: string,
    matchers: readonly Matcher[],
    startMs: number,
    endMs: number,
  ): Task<{ labels: Labels; bytes: number; rows: number; blocks: number }[]> {
    const tenant = this.#tenants.get(tenantId)
    if (tenant === undefined) return []
    const wanted = tenant.streams.select(matchers)
    const sums = new Map<number, { bytes: number; rows: number; blocks: number }>()
    for (const ref of tenant.snapshot()) {
      if (ref.maxMs < startMs || ref.minMs > endMs) continue
      for (const { stream, bytes, rows } of ref.shares) {
        if (wanted[stream] !== 1) continue
        const sum = sums.get(stream) ?? { bytes: 0, rows: 0, blocks: 0 }
        // A block that sticks out counts by the part of its time that lies inside: rows are taken as evenly spread.
        const share = shareInside(ref, startMs, endMs)
        sums.set(stream, { bytes: sum.bytes + bytes * share, rows: sum.rows + rows * share, blocks: sum.blocks + 1 })
      }
      yield
    }
    return [...sums].map(([stream, sum]) => ({ labels: tenant.streams.labelsOf(stream), ...sum }))
  }

  *labelNames(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<string[]> {
    const names = new Set<string>()
    for (const { labels } of yield* this.#sharesIn(tenant, matchers, startMs, endMs))
      for (let i = 0; i < labels.length; i += 2) names.add(labels[i]!)
    return [...names]
  }

  *labelValues(tenant: string, name: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<string[]> {
    const values = new Set<string>()
    for (const { labels } of yield* this.#sharesIn(tenant, matchers, startMs, endMs)) {
      for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) values.add(labels[i + 1]!)
    }
    return [...values]
  }

  *series(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<Labels[]> {
    return (yield* this.#sharesIn(tenant, matchers, startMs, endMs)).map((share) => share.labels)
  }

  *volume(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<StreamVolume[]> {
    const shares = yield* this.#sharesIn(tenant, matchers, startMs, endMs)
    return shares.map(({ labels, bytes, rows }) => ({ labels, bytes: Math.round(bytes), entries: Math.round(rows) }))
  }

  *stats(tenant: string, matchers: readonly Matcher[], startMs: number, endMs: number): Task<LogStats> {
    const shares = yield* this.#sharesIn(tenant, matchers, startMs, endMs)
    const sum = (of: (share: (typeof shares)[number]) => number): number =>
      Math.round(shares.reduce((total, share) => total + of(share), 0))
    return { streams: shares.length, chunks: sum((s) => s.blocks), bytes: sum((s) => s.bytes), entries: sum((s) => s.rows) }
  }

  async checkpoint(): Promise<CheckpointFiles> {
    const fromOffset = this.#fromOffset
    const toOffset = this.#toOffset
    const tenants: TenantBlocks[] = []
    for (const [tenant, logs] of this.#tenants) {
      logs.seal()
      const refs = logs.blocks.filter((ref) => ref.stored === undefined)
      if (refs.length > 0) tenants.push({ tenant, logs, refs })
    }
    if (tenants.length > 0) {
      const name = this.#newName()
      const writing = writeSegment(join(this.#dir, name), tenants, (ref) => this.#decode(ref))
      let step = writing.next()
      for (; step.done !== true; step = writing.next()) await new Promise((resolve) => setImmediate(resolve))
      this.#adopt(step.value, tenants)
      this.#held.push({ segment: step.value, file: fileOf(name, step.value, fromOffset, toOffset) })
      syncFolder(this.#dir)
    }
    this.#fromOffset = toOffset
    return { files: this.#held.map((held) => held.file), state: { version: 1, nextFile: this.#nextFile } satisfies SavedState }
  }

  #newName(): string {
    return `${String(this.#nextFile++).padStart(8, '0')}${SUFFIX}`
  }

  /** The blocks lie in the file now; decoded, they go to the cache. */
  #adopt(segment: LogSegment, tenants: readonly TenantBlocks[]): void {
    const numbers = new Map<string, Uint32Array>()
    for (const [t, { tenant, logs, refs }] of tenants.entries()) {
      const footer = segment.footer.tenants[t]!
      numbers.set(
        tenant,
        Uint32Array.from(footer.streams, (labels) => logs.streams.find(labels)!),
      )
      for (const [i, ref] of refs.entries()) {
        const { place, filter } = footer.blocks[i]!
        ref.stored = { segment, place, filter }
        if (ref.block !== undefined) this.#blocks.put(ref, ref.block, blockMemoryBytes(ref.block))
        ref.block = undefined
      }
    }
    this.#streamsOf.set(segment, numbers)
  }

  async release(): Promise<void> {
    for (const { segment, file } of this.#retired.splice(0)) {
      this.#streamsOf.delete(segment)
      segment.unpin()
      const path = join(this.#dir, file.name)
      if (existsSync(path)) unlinkSync(path)
    }
  }

  *compact(_nowMs: number): Task<boolean> {
    if (this.#busy) return false
    const run = runToMerge(this.#held.map(({ segment }) => rawBytesOf(segment)))
    if (run === undefined) return false
    this.#busy = true
    try {
      const inputs = this.#held.slice(run.from, run.to)
      const merging = new Set(inputs.map((held) => held.segment))
      const tenants: TenantBlocks[] = []
      const replaced = new Map<TenantLogs, Set<BlockRef>>()
      for (const [tenant, logs] of this.#tenants) {
        const old = logs.blocks.filter((ref) => ref.stored !== undefined && merging.has(ref.stored.segment))
        if (old.length === 0) continue
        replaced.set(logs, new Set(old))
        tenants.push({ tenant, logs, refs: yield* mergeBlocks(old, (ref) => this.#decode(ref)) })
      }
      const name = this.#newName()
      const segment = yield* writeSegment(join(this.#dir, name), tenants, (ref) => this.#decode(ref))
      syncFolder(this.#dir)
      this.#adopt(segment, tenants)
      for (const { logs, refs } of tenants) replaceBlocks(logs, replaced.get(logs)!, refs, this.#blocks)
      const file = fileOf(name, segment, inputs[0]!.file.fromOffset, inputs.at(-1)!.file.toOffset)
      this.#held.splice(this.#held.indexOf(inputs[0]!), inputs.length, { segment, file })
      this.#retired.push(...inputs)
      return true
    } finally {
      this.#busy = false
    }
  }

  dropBefore(cutoffMs: (tenant: string) => number): number {
    // A merge under way holds its inputs; what it makes is looked at next time.
    if (this.#busy) return 0
    const gone = this.#held.filter(({ segment }) =>
      segment.footer.tenants.every(({ tenant, blocks }) => blocks.every((block) => block.maxMs < cutoffMs(tenant))),
    )
    if (gone.length === 0) return 0
    const segments = new Set(gone.map((held) => held.segment))
    for (const logs of this.#tenants.values())
      logs.blocks = logs.blocks.filter((ref) => ref.stored === undefined || !segments.has(ref.stored.segment))
    this.#held = this.#held.filter((held) => !segments.has(held.segment))
    this.#retired.push(...gone)
    return gone.reduce((sum, { file }) => sum + file.bytes, 0)
  }

  memoryBytes(): number {
    const tenants = [...this.#tenants.values()].reduce((sum, logs) => sum + logs.memoryBytes(), 0)
    return tenants + this.#blocks.bytes + this.#filters.bytes
  }

  async close(): Promise<void> {
    for (const { segment } of [...this.#held, ...this.#retired]) segment.unpin()
    this.#held = []
    this.#retired = []
  }
}

function rawBytesOf(segment: LogSegment): number {
  return segment.footer.tenants.reduce((sum, { blocks }) => sum + blocks.reduce((bytes, block) => bytes + block.rawBytes, 0), 0)
}

function replaceBlocks(logs: TenantLogs, old: ReadonlySet<BlockRef>, fresh: readonly BlockRef[], cache: BlockCache<Block>): void {
  const at = logs.blocks.findIndex((ref) => old.has(ref))
  for (const ref of old) {
    cache.delete(ref)
    logs.forgetTable(ref)
  }
  logs.blocks = [...logs.blocks.slice(0, at), ...fresh, ...logs.blocks.slice(at).filter((ref) => !old.has(ref))]
}

function shareInside({ minMs, maxMs }: BlockRef, startMs: number, endMs: number): number {
  if (minMs >= startMs && maxMs <= endMs) return 1
  return (Math.min(maxMs, endMs) - Math.max(minMs, startMs) + 1) / (maxMs - minMs + 1)
}
