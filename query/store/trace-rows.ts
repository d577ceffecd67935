import type { Attribute } from '../../lib/wire/otlp/common/index.ts'
import type { ScopeInfo, SpanEvent, SpanLink } from '../../lib/wire/otlp/traces/index.ts'

/** One span as a query sees it: fixed fields at hand, attributes decoded when they are asked for. */
export interface SpanView {
  /** 16 hex digits. */
  readonly spanId: string
  /** 16 hex digits, '' for a root. */
  readonly parentId: string
  readonly name: string
  /** `service.name` of the resource, '' where it has none. */
  readonly service: string
  /** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number
  /** 0 unset, 1 ok, 2 error. */
  readonly statusCode: number
  readonly statusMessage: string
  readonly startMs: number
  readonly startSubNs: number
  readonly durationNs: number
  attributes(): readonly Attribute[]
  resource(): readonly Attribute[]
  scope(): ScopeInfo
  events(): readonly SpanEvent[]
  links(): readonly SpanLink[]
}

export interface TraceView {
  /** 32 hex digits. */
  readonly traceId: string
  /** By start. */
  readonly spans: readonly SpanView[]
}

/** What at least one span of a wanted trace fulfils, as far as columns and filters can tell. Everything absent = any. */
export interface TraceConditions {
  readonly service?: string
  readonly name?: string
  readonly statusCode?: number
  readonly kind?: number
  readonly durationMinNs?: number
  readonly durationMaxNs?: number
  /** Texts that lie in the span's or its resource's attributes, byte for byte: used to skip blocks only. */
  readonly needles?: readonly string[]
}

export interface TraceScan {
  /** A trace counts where a span that fulfils the conditions starts in the range; Unix milliseconds, both inclusive. */
  readonly startMs: number
  readonly endMs: number
  readonly conditions: TraceConditions
}

/** Whole traces, newest first as blocks lie. `undefined` = a place where the task may be suspended. */
export type TraceScanTask = Generator<TraceView | undefined, void, void>
