import { existsSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { newSpanFields, readSpan, TraceAssembler, walkSpans, wrapperAttributes } from '../../lib/wire/otlp/traces/index.ts'
import { BlockCache, mayContain, runToMerge, SegmentReader, syncFolder } from '../events/index.ts'
import type {
  AppendOutcome,
  CheckpointFiles,
  StoreFile,
  StoreOpenOptions,
  StoreRecord,
  Task,
  TraceScan,
  TraceScanTask,
  TraceView,
} from '../store/index.ts'
import { blockMemoryBytes, decodeBlock, traceHash, type SpanBlock } from './block.ts'
import type { SpanBlockRef, SpanSegment, SpanSegmentFooter } from './block-ref.ts'
import { mergeBlocks } from './compact.ts'
import { gatherTrace, sameId, scanTraces, type SpanBlockSource } from './scan.ts'
import { fileOf, loadSegment, writeSegment, type TenantSpanBlocks } from './segments.ts'
import { TenantTraces } from './tenant.ts'
import type { Operation, TraceStore } from './trace-store.ts'

export interface TraceStoreOptions extends StoreOpenOptions {
  /** Bytes of decoded blocks and filters kept; default 32 MiB. */
  readonly cacheBytesMax?: number
}

const CACHE_BYTES = 32 * 1024 * 1024
const SUFFIX = '.spans'

interface Held {
  readonly segment: SpanSegment
  readonly file: StoreFile
}

interface SavedState {
  readonly version: 1
  readonly nextFile: number
}

export class EmbeddedTraceStore implements TraceStore {
  readonly #dir: string
  readonly #options: TraceStoreOptions
  readonly #tenants = new Map<string, TenantTraces>()
  readonly #blocks: BlockCache<SpanBlock>
  readonly #filters: BlockCache<Buffer>
  readonly #source: SpanBlockSource
  readonly #fields = newSpanFields()
  #held: Held[] = []
  #retired: Held[] = []
  #nextFile = 1
  #fromOffset = 0
  #toOffset = 0
  #busy = false

  constructor(options: TraceStoreOptions) {
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
    this.#nextFile = (this.#options.state as SavedState | undefined)?.nextFile ?? 1
    const named = new Set(this.#options.files.map((file) => file.name))
    for (const name of readdirSync(this.#dir)) if (name.endsWith(SUFFIX) && !named.has(name)) unlinkSync(join(this.#dir, name))
    for (const file of this.#options.files) {
      const segment = new SegmentReader<SpanSegmentFooter>(join(this.#dir, file.name))
      loadSegment(segment, this.#tenants)
      this.#held.push({ segment, file })
      this.#toOffset = Math.max(this.#toOffset, file.toOffset)
    }
    this.#fromOffset = this.#toOffset
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
    this.#toOffset = record.offset + 1
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
    const segments = this.#held.map((held) => held.segment)
    for (const segment of segments) segment.pin()
    try {
      yield* scanTraces(tenant, scan, this.#source)
    } finally {
      for (const segment of segments) segment.unpin()
    }
  }

  *operations(tenantId: string): Task<Operation[]> {
    const out: Operation[] = []
    for (const [service, names] of this.#tenants.get(tenantId)?.operations ?? []) {
      for (const [name, spans] of names) out.push({ service, name, spans })
      yield
    }
    return out
  }

  async checkpoint(): Promise<CheckpointFiles> {
    const fromOffset = this.#fromOffset
    const toOffset = this.#toOffset
    const tenants: TenantSpanBlocks[] = []
    for (const [tenant, traces] of this.#tenants) {
      traces.seal()
      const refs = traces.blocks.filter((ref) => ref.stored === undefined)
      if (refs.length > 0) tenants.push({ tenant, traces, refs })
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
  #adopt(segment: SpanSegment, tenants: readonly TenantSpanBlocks[]): void {
    for (const [t, { refs }] of tenants.entries()) {
      for (const [i, ref] of refs.entries()) {
        const { place, filter } = segment.footer.tenants[t]!.blocks[i]!
        ref.stored = { segment, place, filter }
        if (ref.block !== undefined) this.#blocks.put(ref, ref.block, blockMemoryBytes(ref.block))
        ref.block = undefined
      }
    }
  }

  async release(): Promise<void> {
    for (const { segment, file } of this.#retired.splice(0)) {
      segment.unpin()
      const path = join(this.#dir, file.name)
      if (existsSync(path)) unlinkSync(path)
    }
  }

  *compact(_nowMs: number): Task<boolean> {
    const run = this.#busy ? undefined : runToMerge(this.#held.map(({ segment }) => spanBytesOf(segment)))
    if (run === undefined) return false
    this.#busy = true
    try {
      const inputs = this.#held.slice(run.from, run.to)
      const merging = new Set(inputs.map((held) => held.segment))
      const tenants: (TenantSpanBlocks & { old: Set<SpanBlockRef> })[] = []
      for (const [tenant, traces] of this.#tenants) {
        const old = traces.blocks.filter((ref) => ref.stored !== undefined && merging.has(ref.stored.segment))
        if (old.length > 0) tenants.push({ tenant, traces, old: new Set(old), refs: yield* mergeBlocks(old, (ref) => this.#decode(ref)) })
      }
      const name = this.#newName()
      const segment = yield* writeSegment(join(this.#dir, name), tenants, (ref) => this.#decode(ref))
      syncFolder(this.#dir)
      this.#adopt(segment, tenants)
      for (const { traces, old, refs } of tenants) {
        const at = traces.blocks.findIndex((ref) => old.has(ref))
        for (const ref of old) this.#blocks.delete(ref)
        traces.blocks = [...traces.blocks.slice(0, at), ...refs, ...traces.blocks.slice(at).filter((ref) => !old.has(ref))]
      }
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
    for (const traces of this.#tenants.values())
      traces.blocks = traces.blocks.filter((ref) => ref.stored === undefined || !segments.has(ref.stored.segment))
    this.#held = this.#held.filter((held) => !segments.has(held.segment))
    this.#retired.push(...gone)
    return gone.reduce((sum, { file }) => sum + file.bytes, 0)
  }

  memoryBytes(): number {
    const tenants = [...this.#tenants.values()].reduce((sum, traces) => sum + traces.memoryBytes(), 0)
    return tenants + this.#blocks.bytes + this.#filters.bytes
  }

  async close(): Promise<void> {
    for (const { segment } of [...this.#held, ...this.#retired]) segment.unpin()
    this.#held = []
    this.#retired = []
  }
}

function spanBytesOf(segment: SpanSegment): number {
  return segment.footer.tenants.reduce((sum, { blocks }) => sum + blocks.reduce((bytes, block) => bytes + block.bytes, 0), 0)
}
