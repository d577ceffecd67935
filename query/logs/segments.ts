/** Writing blocks to segment files, and taking them in again. */
import { labelsOf } from '../../lib/model/index.ts'
import { buildFilter, SegmentReader, SegmentWriter, type TenantSection } from '../events/index.ts'
import { encodeBlock, type Block } from './block.ts'
import type { BlockRef, LogSegment, SegmentFooter } from './block-ref.ts'
import { TenantLogs } from './tenant.ts'

export type LogSection = TenantSection<TenantLogs, BlockRef>

type FooterTenant = SegmentFooter['tenants'][number]

/** Encodes block after block; between two of them it yields. Returns the open segment; durable. */
export function* writeSegment(
  path: string,
  sections: readonly LogSection[],
  decode: (ref: BlockRef) => Block,
): Generator<void, LogSegment, void> {
  const writer = new SegmentWriter(path)
  const footer: FooterTenant[] = []
  for (const { tenant, owner, refs } of sections) {
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
    footer.push({ tenant, streams: [...numbers.keys()].map((stream) => owner.streams.labelsOf(stream)), blocks })
  }
  writer.finish({ kind: 'logs', tenants: footer } satisfies SegmentFooter)
  return new SegmentReader<SegmentFooter>(path)
}

/** The sections' blocks lie in the segment now; `cache` takes what is decoded. */
export function adoptBlocks(segment: LogSegment, sections: readonly LogSection[], cache: (ref: BlockRef, block: Block) => void): void {
  for (const [t, { owner, refs }] of sections.entries()) {
    const footer = segment.footer.tenants[t]!
    const streamOf = Uint32Array.from(footer.streams, (labels) => owner.streams.find(labels)!)
    for (const [i, ref] of refs.entries()) {
      const { place, filter } = footer.blocks[i]!
      ref.stored = { segment, place, filter, streamOf }
      if (ref.block !== undefined) cache(ref, ref.block)
      ref.block = undefined
    }
  }
}

/** The segment's streams and blocks become the tenants'. */
export function loadSegment(segment: LogSegment, tenants: Map<string, TenantLogs>): void {
  for (const { tenant, streams, blocks } of segment.footer.tenants) {
    const logs = tenants.get(tenant) ?? new TenantLogs()
    tenants.set(tenant, logs)
    const streamOf = Uint32Array.from(streams, (labels) => logs.addStream(labelsOf(pairsOf(labels))))
    for (const block of blocks) {
      const { place, filter, minMs, maxMs, count, rawBytes, appendedMs } = block
      const shares = block.shares.map(([stream, bytes, rows]) => ({ stream: streamOf[stream]!, bytes, rows }))
      for (const { stream } of shares) logs.noteTime(stream, maxMs)
      logs.blocks.push({
        minMs,
        maxMs,
        count,
        rawBytes,
        appendedMs,
        shares,
        block: undefined,
        stored: { segment, place, filter, streamOf },
      })
    }
  }
}

export function rawBytesOf(segment: LogSegment): number {
  return segment.footer.tenants.reduce((sum, { blocks }) => sum + blocks.reduce((bytes, block) => bytes + block.rawBytes, 0), 0)
}

function* pairsOf(flat: readonly string[]): Generator<readonly [string, string]> {
  for (let i = 0; i < flat.length; i += 2) yield [flat[i]!, flat[i + 1]!]
}
