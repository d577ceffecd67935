import { newSpanFields, readSpan, TraceAssembler, walkSpans, wrapperAttributes } from '../../lib/wire/otlp/traces/index.ts'
import { BlockCache, mayContain, SegmentShelf } from '../events/index.ts'
import type {
  AppendOutcome,
  CheckpointFiles,
  StoreOpenOptions,
  StoreRecord,
  Task,
  TraceScan,
  TraceScanTask,
  TraceView,
} from '../store/index.ts'
import { blockMemoryBytes, decodeBlock, traceHash, type SpanBlock } from './block.ts'
import type { SpanBlockRef, SpanSegmentFooter } from './block-ref.ts'
import { mergeBlocks } from './compact.ts'
import { gatherTrace, sameId, scanTraces, type SpanBlockSource } from './scan.ts'
import { adoptBlocks, loadSegment, spanBytesOf, writeSegment } from './segments.ts'
import { TenantTraces } from './tenant.ts'
import type { Operation, TraceStore } from './trace-store.ts'

export interface TraceStoreOptions extends StoreOpenOptions {
  /** Bytes of decoded blocks and filters kept; default 32 MiB. */
  readonly cacheBytesMax?: number
}

const CACHE_BYTES = 32 * 1024 * 1024
export class EmbeddedTraceStore implements TraceStore {
  readonly #options: TraceStoreOptions
  readonly #tenants = new Map<string, TenantTraces>()
  readonly #blocks: BlockCache<SpanBlock>
  readonly #filters: BlockCache<Buffer>
  readonly #source: SpanBlockSource
  readonly #fields = newSpanFields()
  readonly #shelf: SegmentShelf<SpanSegmentFooter, TenantTraces, SpanBlockRef>

  constructor(options: TraceStoreOptions) {
    this.#options = options
    const cacheBytes = options.cacheBytesMax ?? CACHE_BYTES
    this.#blocks = new BlockCache(cacheBytes)
    this.#filters = new BlockCache(cacheBytes / 4)
    this.#source = { decode: (ref) => this.#decode(ref), mayContain: (ref, needle) => this.#mayContain(ref, needle) }
    this.#shelf = new SegmentShelf(options.dir, this.#tenants, {
      suffix: '.spans',
      write: (path, sections) => writeSegment(path, sections, (ref) => this.#decode(ref)),
      adopt: (segment, sections) => adoptBlocks(segment, sections, (ref, block) => this.#blocks.put(ref, block, blockMemoryBytes(block))),
      load: (segment) => loadSegment(segment, this.#tenants),
      merge: (refs) => mergeBlocks(refs, (ref) => this.#decode(ref)),
      forget: (ref) => {
        this.#blocks.delete(ref)
        this.#filters.delete(ref)
      },
      rawBytes: spanBytesOf,
    })
  }

  /** Errors: corruption, naming the file. */
  load(): void {
    this.#shelf.open(this.#options)
  }

  append(tenantId: string, record: StoreRecord): AppendOutcome {
    // A first walk that only looks: bytes that are no protobuf are refused before anything of them is stored.
    walkSpans(record.payload, { scope: () => {}, span: (bytes, from, to) => void readSpan(bytes, from, to, this.#fields) })
    const tenant = this.#tenants.get(tenantId) ?? new TenantTraces()
    this.#tenants.set(tenantId, tenant)
    const { futureMaxMs } = this.#options.limits
    const latestMs = futureMaxMs > 0 ? record.appendedMs + futureMaxMs : Infinity
    const dropped: Record<string, number> = {}
    let stored = 0
    let wrapper = { resource: new Uint8Array(), scope: new Uint8Array(), service: '' }
    walkSpans(record.payload, {
      scope: (resource, scope) => {
        const service = wrapperAttributes(resource).find((attribute) => attribute.key === 'service.name')
        wrapper = { resource: new Uint8Array(resource), scope: new Uint8Array(scope), service: String(service?.value ?? '') }
      },
      span: (bytes, from, to) => {
        const reason = this.#addSpan(tenant, bytes, from, to, wrapper, record.appendedMs, latestMs)
        if (reason === undefined) stored++
        else dropped[reason] = (dropped[reason] ?? 0) + 1
      },
    })
    this.#shelf.noteOffset(record.offset)
    return { stored, dropped }
  }

  /** Why the span was dropped, undefined where it was stored. */
  #addSpan(
    tenant: TenantTraces,
    bytes: Uint8Array,
    from: number,
    to: number,
    wrapper: { resource: Uint8Array; scope: Uint8Array; service: string },
    appendedMs: number,
    latestMs: number,
  ): string | undefined {
    const fields = readSpan(bytes, from, to, this.#fields)
    if (fields.traceIdAt === -1 || fields.spanIdAt === -1) return 'malformed'
    if (fields.startMs > latestMs) return 'future'
    const hash = traceHash(bytes, fields.traceIdAt)
    if (this.#isStored(tenant, hash, bytes, appendedMs)) return 'duplicate'
    if (tenant.open.isFull) tenant.seal()
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + fields.nameFrom, fields.nameTo - fields.nameFrom).toString()
    tenant.open.add(fields, tenant.open.wrapper(wrapper), bytes, from, to, name)
    tenant.noteRow(hash, wrapper.service, name, appendedMs)
    return undefined
  }

  /** Whether a span of the same trace, id and start (`#fields` of `bytes`) is there, in blocks of the repeat window. */
  #isStored(tenant: TenantTraces, hash: number, bytes: Uint8Array, appendedMs: number): boolean {
    const fields = this.#fields
    if (tenant.openRowsOf(hash).some((row) => tenant.open.isSame(row, fields, bytes))) return true
    const sinceMs = appendedMs - this.#options.limits.repeatWindowMs
    for (const ref of tenant.blocksWith(hash)) {
      if (ref.appendedMs < sinceMs || fields.startMs < ref.minMs || fields.startMs > ref.maxMs) continue
      const block = this.#decode(ref)
      for (let row = 0; row < block.count; row++) {
        if (block.startMs[row] !== fields.startMs || block.startSubNs[row] !== fields.startSubNs) continue
        if (sameId(block.spanIds, row * 8, bytes, fields.spanIdAt, 8) && sameId(block.traceIds, row * 16, bytes, fields.traceIdAt))
          return true
      }
    }
    return false
  }

  #decode(ref: SpanBlockRef): SpanBlock {
    if (ref.block !== undefined) return ref.block
    const cached = this.#blocks.get(ref)
    if (cached !== undefined) return cached
    const block = decodeBlock(ref.stored!.segment.section(ref.stored!.place))
    this.#blocks.put(ref, block, blockMemoryBytes(block))
    return block
  }

  #mayContain(ref: SpanBlockRef, needle: Uint8Array): boolean {
    if (ref.stored === undefined) return true
    let words = this.#filters.get(ref)
    if (words === undefined) {
      words = ref.stored.segment.section(ref.stored.filter)
      this.#filters.put(ref, words, words.length)
    }
    return mayContain(words, needle)
  }

  *traceById(tenantId: string, traceId: Uint8Array): Task<TraceView | undefined> {
    const tenant = this.#tenants.get(tenantId)
    yield
    if (tenant === undefined) return undefined
    const trace = gatherTrace(traceId, tenant, tenant.snapshot(), this.#source)
    return trace.spans.length === 0 ? undefined : trace
  }

  *traceBytes(tenantId: string, traceId: Uint8Array): Task<Uint8Array | undefined> {
    const tenant = this.#tenants.get(tenantId)
    yield
    if (tenant === undefined) return undefined
    const assembler = new TraceAssembler()
    for (const span of gatherTrace(traceId, tenant, tenant.snapshot(), this.#source).spans)
      assembler.add(span.wrapper.resource, span.wrapper.scope, span.bytes())
    return assembler.count === 0 ? undefined : assembler.bytes()
  }

  *scan(tenantId: string, scan: TraceScan): TraceScanTask {
    const tenant = this.#tenants.get(tenantId)
    if (tenant === undefined) return
    yield* this.#shelf.pinned(scanTraces(tenant, scan, this.#source))
  }

  *operations(tenantId: string): Task<Operation[]> {
    const out: Operation[] = []
    for (const [service, names] of this.#tenants.get(tenantId)?.operations ?? []) {
      for (const [name, spans] of names) out.push({ service, name, spans })
      yield
    }
    return out
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
    const tenants = [...this.#tenants.values()].reduce((sum, traces) => sum + traces.memoryBytes(), 0)
    return tenants + this.#blocks.bytes + this.#filters.bytes
  }

  async close(): Promise<void> {
    this.#shelf.close()
  }
}
