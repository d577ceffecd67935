/** Writing blocks to segment files, and taking them in again. */
import { join } from 'node:path'
import { labelsOf } from '../../lib/model/index.ts'
import { buildFilter, SegmentReader, SegmentWriter } from '../events/index.ts'
import type { StoreFile } from '../store/index.ts'
import { encodeBlock, type Block } from './block.ts'
import type { BlockRef, LogSegment, SegmentFooter } from './block-ref.ts'
import { TenantLogs } from './tenant.ts'

/** Blocks of one tenant that go into a segment. */
export interface TenantBlocks {
  readonly tenant: string
  readonly logs: TenantLogs
  readonly refs: readonly BlockRef[]
}

type FooterTenant = SegmentFooter['tenants'][number]

/** Encodes block after block; between two of them it yields. Returns the open segment; durable. */
export function* writeSegment(
  path: string,
  tenants: readonly TenantBlocks[],
  decode: (ref: BlockRef) => Block,
): Generator<void, LogSegment, void> {
  const writer = new SegmentWriter(path)
  const footer: FooterTenant[] = []
  for (const { tenant, logs, refs } of tenants) {
    const numbers = new Map<number, number>()
    const numberOf = (stream: number): number => {
      let number = numbers.get(stream)
      if (number === undefined) numbers.set(stream, (number = numbers.size))
      return number
    }
    const blocks: FooterTenant['blocks'][number][] = []
    for (const ref of refs) {
      const block = decode(ref)
      const { minMs, maxMs, count, rawBytes, appendedMs } = ref
      const place = writer.section(encodeBlock(block, numberOf), 'zstd')
      const filter = writer.section(buildFilter(block.lineBytes), 'zstd')
      blocks.push({
        place,
        filter,
        minMs,
        maxMs,
        count,
        rawBytes,
        appendedMs,
        shares: ref.shares.map(({ stream, bytes, rows }) => [numberOf(stream), bytes, rows]),
      })
      yield
    }
    footer.push({ tenant, streams: [...numbers.keys()].map((stream) => logs.streams.labelsOf(stream)), blocks })
  }
  writer.finish({ kind: 'logs', tenants: footer } satisfies SegmentFooter)
  return new SegmentReader<SegmentFooter>(path)
}

/** The segment's streams and blocks become the tenants'. Returns the store's number of each stream by tenant, for decoding. */
export function loadSegment(
  segment: LogSegment,
  tenants: Map<string, TenantLogs>,
  streamsOf: Map<LogSegment, Map<string, Uint32Array>>,
): void {
  const numbers = new Map<string, Uint32Array>()
  for (const { tenant, streams, blocks } of segment.footer.tenants) {
    const logs = tenants.get(tenant) ?? new TenantLogs()
    tenants.set(tenant, logs)
    const numberOf = Uint32Array.from(streams, (labels) => logs.addStream(labelsOf(pairsOf(labels))))
    numbers.set(tenant, numberOf)
    for (const block of blocks) {
      const { place, filter, minMs, maxMs, count, rawBytes, appendedMs } = block
      const shares = block.shares.map(([stream, bytes, rows]) => ({ stream: numberOf[stream]!, bytes, rows }))
      for (const { stream } of shares) logs.noteTime(stream, maxMs)
      logs.blocks.push({ minMs, maxMs, count, rawBytes, appendedMs, shares, block: undefined, stored: { segment, place, filter } })
    }
  }
  streamsOf.set(segment, numbers)
}

function* pairsOf(flat: readonly string[]): Generator<readonly [string, string]> {
  for (let i = 0; i < flat.length; i += 2) yield [flat[i]!, flat[i + 1]!]
}

export function fileOf(name: string, segment: LogSegment, fromOffset: number, toOffset: number): StoreFile {
  const blocks = segment.footer.tenants.flatMap((tenant) => tenant.blocks)
  return {
    name,
    bytes: segment.bytes,
    fromOffset,
    toOffset,
    minMs: Math.min(...blocks.map((block) => block.minMs)),
    maxMs: Math.max(...blocks.map((block) => block.maxMs)),
  }
}

export function openSegment(dir: string, name: string): LogSegment {
  return new SegmentReader<SegmentFooter>(join(dir, name))
}
