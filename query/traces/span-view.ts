/** Rows of blocks as spans, decoded piece by piece as a query asks. */
import type { Attribute } from '../../lib/wire/otlp/common/index.ts'
import {
  eventsOf,
  linksOf,
  newSpanFields,
  readSpan,
  scopeOf,
  spanAttributes,
  wrapperAttributes,
  type ScopeInfo,
  type SpanEvent,
  type SpanLink,
} from '../../lib/wire/otlp/traces/index.ts'
import type { SpanView } from '../store/index.ts'
import { hex, type SpanBlock, type Wrapper } from './block.ts'

export class StoredSpan implements SpanView {
  readonly block: SpanBlock
  readonly row: number
  #attributes: readonly Attribute[] | undefined

  constructor(block: SpanBlock, row: number) {
    this.block = block
    this.row = row
  }

  get spanId(): string {
    return hex(this.block.spanIds, this.row * 8, this.row * 8 + 8)
  }

  get parentId(): string {
    const id = hex(this.block.parentIds, this.row * 8, this.row * 8 + 8)
    return id === '0000000000000000' ? '' : id
  }

  get name(): string {
    return this.block.names[this.block.nameOf[this.row]!]!
  }

  get service(): string {
    return this.wrapper.service
  }

  get kind(): number {
    return this.block.kind[this.row]!
  }

  get statusCode(): number {
    return this.block.statusCode[this.row]!
  }

  get statusMessage(): string {
    const bytes = this.bytes()
    const fields = readSpan(bytes, 0, bytes.length, newSpanFields())
    return Buffer.from(
      bytes.buffer,
      bytes.byteOffset + fields.statusMessageFrom,
      fields.statusMessageTo - fields.statusMessageFrom,
    ).toString()
  }

  get startMs(): number {
    return this.block.startMs[this.row]!
  }

  get startSubNs(): number {
    return this.block.startSubNs[this.row]!
  }

  get durationNs(): number {
    return this.block.durationNs[this.row]!
  }

  get wrapper(): Wrapper {
    return this.block.wrappers[this.block.wrapperOf[this.row]!]!
  }

  /** The Span message as it was sent. */
  bytes(): Uint8Array {
    return this.block.spanBytes.subarray(this.block.spanStart[this.row]!, this.block.spanStart[this.row + 1]!)
  }

  attributes(): readonly Attribute[] {
    this.#attributes ??= spanAttributes(this.bytes())
    return this.#attributes
  }

  resource(): readonly Attribute[] {
    this.wrapper.attributes ??= wrapperAttributes(this.wrapper.resource)
    return this.wrapper.attributes
  }

  scope(): ScopeInfo {
    return scopeOf(this.wrapper.scope)
  }

  events(): readonly SpanEvent[] {
    return eventsOf(this.bytes())
  }

  links(): readonly SpanLink[] {
    return linksOf(this.bytes())
  }
}
