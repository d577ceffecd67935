/** Writing span blocks to segment files, and taking them in again. */
import { buildFilter, SegmentReader, SegmentWriter, type TenantSection } from '../events/index.ts'
import { encodeBlock, filterBytes, type SpanBlock } from './block.ts'
import type { SpanBlockRef, SpanSegment, SpanSegmentFooter } from './block-ref.ts'
import { TenantTraces } from './tenant.ts'

export type SpanSection = TenantSection<TenantTraces, SpanBlockRef>

type FooterTenant = SpanSegmentFooter['tenants'][number]

/** Encodes block after block; between two of them it yields. Returns the open segment; durable. */
export function* writeSegment(
  path: string,
  sections: readonly SpanSection[],
  decode: (ref: SpanBlockRef) => SpanBlock,
): Generator<void, SpanSegment, void> {
  const writer = new SegmentWriter(path)
  const footer: FooterTenant[] = []
  for (const { tenant, refs } of sections) {
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

/** The sections' blocks lie in the segment now; `cache` takes what is decoded. */
export function adoptBlocks(
  segment: SpanSegment,
  sections: readonly SpanSection[],
  cache: (ref: SpanBlockRef, block: SpanBlock) => void,
): void {
  for (const [t, { refs }] of sections.entries()) {
    for (const [i, ref] of refs.entries()) {
      const { place, filter } = segment.footer.tenants[t]!.blocks[i]!
      ref.stored = { segment, place, filter }
      if (ref.block !== undefined) cache(ref, ref.block)
      ref.block = undefined
    }
  }
}

export function spanBytesOf(segment: SpanSegment): number {
  return segment.footer.tenants.reduce((sum, { blocks }) => sum + blocks.reduce((bytes, block) => bytes + block.bytes, 0), 0)
}
