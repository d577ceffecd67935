/** A block of a tenant wherever it is: being filled, decoded in memory, or in a segment file. */
import type { SectionPlace, SegmentReader } from '../events/index.ts'
import type { Block } from './block.ts'

/** Bytes and rows of one stream in a block. */
export interface StreamShare {
  readonly stream: number
  readonly bytes: number
  readonly rows: number
}

export interface BlockRef {
  readonly minMs: number
  readonly maxMs: number
  readonly count: number
  readonly rawBytes: number
  /** When its newest record was appended to the journal: repeats are looked for in blocks of the last hour. */
  readonly appendedMs: number
  readonly shares: readonly StreamShare[]
  /** Present until the block is in a file; afterwards the cache may hold it. */
  block: Block | undefined
  stored: StoredBlock | undefined
}

export interface StoredBlock {
  readonly segment: LogSegment
  readonly place: SectionPlace
  readonly filter: SectionPlace
  /** The store's number of each of the segment's streams of this tenant. */
  readonly streamOf: Uint32Array
}

export type LogSegment = SegmentReader<SegmentFooter>

/** The footer of a log segment. Streams are numbered by their place in the tenant's list. */
export interface SegmentFooter {
  readonly kind: 'logs'
  readonly tenants: readonly {
    readonly tenant: string
    readonly streams: readonly (readonly string[])[]
    readonly blocks: readonly {
      readonly place: SectionPlace
      readonly filter: SectionPlace
      readonly minMs: number
      readonly maxMs: number
      readonly count: number
      readonly rawBytes: number
      readonly appendedMs: number
      /** [stream, bytes, rows] each. */
      readonly shares: readonly (readonly [number, number, number])[]
    }[]
  }[]
}

export function sharesOf(block: Block): StreamShare[] {
  const byStream = new Map<number, { bytes: number; rows: number }>()
  for (let i = 0; i < block.count; i++) {
    const stream = block.streamOf[i]!
    const share = byStream.get(stream) ?? { bytes: 0, rows: 0 }
    share.bytes += block.lineStart[i + 1]! - block.lineStart[i]!
    share.rows++
    byStream.set(stream, share)
  }
  return [...byStream].map(([stream, share]) => ({ stream, ...share }))
}
