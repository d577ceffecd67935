import type { Labels, Matcher } from '../../lib/model/index.ts'
import { decodeLabels, walkStreams } from '../../lib/wire/otlp/logs/index.ts'
import { BlockCache, mayContain, SegmentShelf } from '../events/index.ts'
import type { AppendOutcome, CheckpointFiles, LogScan, LogScanTask, StoreOpenOptions, StoreRecord, Task } from '../store/index.ts'
import { blockMemoryBytes, decodeBlock, type Block } from './block.ts'
import type { BlockRef, SegmentFooter } from './block-ref.ts'
import { mergeBlocks } from './compact.ts'
import type { LogStats, LogStore, StreamVolume } from './log-store.ts'
import { RequestRows, type Candidate } from './repeats.ts'
import { scanLogs, type BlockSource } from './scan.ts'
import { adoptBlocks, loadSegment, rawBytesOf, writeSegment } from './segments.ts'
import { TenantLogs } from './tenant.ts'

export interface LogStoreOptions extends StoreOpenOptions {
  /** Bytes of decoded blocks and filters kept; default 32 MiB. */
  readonly cacheBytesMax?: number
}

const CACHE_BYTES = 32 * 1024 * 1024
export class EmbeddedLogStore implements LogStore {
  readonly #options: LogStoreOptions
  readonly #tenants = new Map<string, TenantLogs>()
  readonly #blocks: BlockCache<Block>
  readonly #filters: BlockCache<Buffer>
  readonly #metadata = new WeakMap<Block, Labels[]>()
  readonly #source: BlockSource
  readonly #shelf: SegmentShelf<SegmentFooter, TenantLogs, BlockRef>

  constructor(options: LogStoreOptions) {
    this.#options = options
    const cacheBytes = options.cacheBytesMax ?? CACHE_BYTES
    this.#blocks = new BlockCache(cacheBytes)
    this.#filters = new BlockCache(cacheBytes / 4)
    this.#source = {
      decode: (ref) => this.#decode(ref),
      metadataOf: (block) => this.#metadataOf(block),
      mayContain: (ref, needle) => this.#mayContain(ref, needle),
    }
    this.#shelf = new SegmentShelf(options.dir, this.#tenants, {
      suffix: '.logs',
      write: (path, sections) => writeSegment(path, sections, (ref) => this.#decode(ref)),
      adopt: (segment, sections) => adoptBlocks(segment, sections, (ref, block) => this.#blocks.put(ref, block, blockMemoryBytes(block))),
      load: (segment) => loadSegment(segment, this.#tenants),
      merge: (refs) => mergeBlocks(refs, (ref) => this.#decode(ref)),
      forget: (ref, owner) => {
        this.#blocks.delete(ref)
        this.#filters.delete(ref)
        owner.forgetTable(ref)
      },
      rawBytes: rawBytesOf,
    })
  }

  /** Errors: corruption, naming the file. */
  load(): void {
    this.#shelf.open(this.#options)
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
    this.#shelf.noteOffset(record.offset)
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
    const { segment, place, streamOf } = ref.stored!
    const block = decodeBlock(segment.section(place), streamOf)
    this.#blocks.put(ref, block, blockMemoryBytes(block))
    return block
  }

  #metadataOf(block: Block): Labels[] {
    let metadata = this.#metadata.get(block)
    if (metadata === undefined) this.#metadata.set(block, (metadata = []))
    return metadata
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
    yield* this.#shelf.pinned(scanLogs(tenant, scan, this.#source))
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

  checkpoint(): Promise<CheckpointFiles> {
    return this.#shelf.checkpoint()
  }

  async release(): Promise<void> {
    this.#shelf.release()
  }

  compact(_nowMs: number): Task<boolean> {
    return this.#shelf.compact()
  }

  dropBefore(cutoffMs: (tenant: string) => number): number {
    return this.#shelf.dropBefore(cutoffMs)
  }

  memoryBytes(): number {
    const tenants = [...this.#tenants.values()].reduce((sum, logs) => sum + logs.memoryBytes(), 0)
    return tenants + this.#blocks.bytes + this.#filters.bytes
  }

  async close(): Promise<void> {
    this.#shelf.close()
  }
}

function shareInside({ minMs, maxMs }: BlockRef, startMs: number, endMs: number): number {
  if (minMs >= startMs && maxMs <= endMs) return 1
  return (Math.min(maxMs, endMs) - Math.max(minMs, startMs) + 1) / (maxMs - minMs + 1)
}
