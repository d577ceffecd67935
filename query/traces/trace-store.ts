import type { PartitionStore, Task, TraceScan, TraceScanTask, TraceView } from '../store/index.ts'

export interface Operation {
  readonly service: string
  readonly name: string
  readonly spans: number
}

/** The traces of one partition. A trace lies in one partition whole. */
export interface TraceStore extends PartitionStore {
  /** @param traceId 16 bytes */
  traceById(tenant: string, traceId: Uint8Array): Task<TraceView | undefined>
  /** The trace as `repeated ResourceSpans` in field 1, with resource, scope and status always on the wire. */
  traceBytes(tenant: string, traceId: Uint8Array): Task<Uint8Array | undefined>
  scan(tenant: string, scan: TraceScan): TraceScanTask
  /** Services and their span names, with how many spans were seen. */
  operations(tenant: string): Task<Operation[]>
}
