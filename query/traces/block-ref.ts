import type { SectionPlace, SegmentReader } from '../events/index.ts'
import type { SpanBlock } from './block.ts'

/** A block of a tenant wherever it is: in memory, or in a segment file. */
export interface SpanBlockRef {
  readonly minMs: number
  readonly maxMs: number
  readonly count: number
  readonly bytes: number
  /** When its newest record was appended: repeats are looked for in blocks of the last hour. */
  readonly appendedMs: number
  /** Hashes of the traces in it, ascending. */
  readonly traces: Uint32Array
  /** Present until the block is in a file; afterwards the cache may hold it. */
  block: SpanBlock | undefined
  stored: StoredSpanBlock | undefined
}

export interface StoredSpanBlock {
  readonly segment: SpanSegment
  readonly place: SectionPlace
  readonly filter: SectionPlace
}

export type SpanSegment = SegmentReader<SpanSegmentFooter>

/** The footer of a trace segment. */
export interface SpanSegmentFooter {
  readonly kind: 'traces'
  readonly tenants: readonly {
    readonly tenant: string
    /** [service, span name, spans] each. */
    readonly operations: readonly (readonly [string, string, number])[]
    readonly blocks: readonly {
      readonly place: SectionPlace
      readonly filter: SectionPlace
      /** Trace hashes as little-endian u32. */
      readonly traces: SectionPlace
      readonly minMs: number
      readonly maxMs: number
      readonly count: number
      readonly bytes: number
      readonly appendedMs: number
    }[]
  }[]
}

/** Whether the hash is in the ascending list. */
export function hasTrace(traces: Uint32Array, hash: number): boolean {
  let low = 0
  let high = traces.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const value = traces[middle]!
    if (value === hash) return true
    if (value < hash) low = middle + 1
    else high = middle - 1
  }
  return false
}
