/** Writing span blocks to segment files, and taking them in again. */
import { buildFilter, SegmentReader, SegmentWriter } from '../events/index.ts'
import type { StoreFile } from '../store/index.ts'
import { encodeBlock, filterBytes, type SpanBlock } from './block.ts'
import type { SpanBlockRef, SpanSegment, SpanSegmentFooter } from './block-ref.ts'
import { TenantTraces } from './tenant.ts'

export interface TenantSpanBlocks {
  readonly tenant: string
  readonly traces: TenantTraces
  readonly refs: readonly SpanBlockRef[]
}

type FooterTenant = SpanSegmentFooter['tenants'][number]

/** Encodes block after block; between two of them it yields. Returns the open segment; durable. */
export function* writeSegment(
  path: string,
  tenants: readonly TenantSpanBlocks[],
  decode: (ref: SpanBlockRef) => SpanBlock,
): Generator<void, SpanSegment, void> {
  const writer = new SegmentWriter(path)
  const footer: FooterTenant[] = []
  for (const { tenant, refs } of tenants) {
    const operations = new Map<string, [string, string, number]>()
    const blocks: FooterTenant['blocks'][number][] = []
    for (const ref of refs) {
      const block = decode(ref)
      countOperations(block, operations)
      const { minMs, maxMs, count, bytes, appendedMs } = ref
      const place = writer.section(encodeBlock(block), 'zstd')
      const filter = writer.section(buildFilter(filterBytes(block)), 'zstd')
      const traces = writer.section(new Uint8Array(ref.traces.buffer, ref.traces.byteOffset, ref.traces.byteLength), 'raw')
      blocks.push({ place, filter, traces, minMs, maxMs, count, bytes, appendedMs })
      yield
    }
    footer.push({ tenant, operations: [...operations.values()], blocks })
  }
  writer.finish({ kind: 'traces', tenants: footer } satisfies SpanSegmentFooter)
  return new SegmentReader<SpanSegmentFooter>(path)
}

function countOperations(block: SpanBlock, operations: Map<string, [string, string, number]>): void {
  for (let row = 0; row < block.count; row++) {
    const { service } = block.wrappers[block.wrapperOf[row]!]!
    const name = block.names[block.nameOf[row]!]!
    const key = `${service}\n${name}`
    const operation = operations.get(key)
    if (operation === undefined) operations.set(key, [service, name, 1])
    else operation[2]++
  }
}

export function loadSegment(segment: SpanSegment, tenants: Map<string, TenantTraces>): void {
  for (const { tenant, operations, blocks } of segment.footer.tenants) {
    const traces = tenants.get(tenant) ?? new TenantTraces()
    tenants.set(tenant, traces)
    for (const [service, name, spans] of operations) traces.countOperation(service, name, spans)
    for (const block of blocks) {
      const { place, filter, minMs, maxMs, count, bytes, appendedMs } = block
      const hashes = new Uint32Array(new Uint8Array(segment.section(block.traces)).buffer)
      traces.blocks.push({ minMs, maxMs, count, bytes, appendedMs, traces: hashes, block: undefined, stored: { segment, place, filter } })
    }
  }
}

export function fileOf(name: string, segment: SpanSegment, fromOffset: number, toOffset: number): StoreFile {
  const blocks = segment.footer.tenants.flatMap((tenant) => tenant.blocks)
  const minMs = Math.min(...blocks.map((block) => block.minMs))
  const maxMs = Math.max(...blocks.map((block) => block.maxMs))
  return { name, bytes: segment.bytes, fromOffset, toOffset, minMs, maxMs }
}
