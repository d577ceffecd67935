import { SightlineError } from '../../runtime/errors.ts'

export const WIRE_VARINT = 0
export const WIRE_FIXED64 = 1
export const WIRE_BYTES = 2
export const WIRE_FIXED32 = 5
const WIRE_GROUP_START = 3
const WIRE_GROUP_END = 4

/** Messages nested deeper than this are refused by every caller that recurses, and groups by the reader. */
export const NESTING_MAX = 64

/**
 * Walks the fields of one message in `bytes[from, to)`.
 *
 *   while (reader.next()) switch (reader.field) { case 5: use(reader.start, reader.stop) … }
 *
 * `next` consumes a whole field, so what the caller doesn't know is skipped. After it, by `wire`: WIRE_VARINT and WIRE_FIXED64 set
 * `low` and `high` (unsigned halves), WIRE_FIXED32 sets `low`, WIRE_BYTES sets the range `[start, stop)`. A caller that expects
 * another wire type than it finds must treat the field as unknown: `isBytes` and its kin check that.
 *
 * Errors: `bad_data` at a cut field, field number 0, an unknown wire type, an overlong varint. One reader can be
 * reused with `reset`: hot walkers keep one a level.
 */
export class ProtoReader {
  bytes: Uint8Array
  at: number
  end: number
  field = 0
  wire = 0
  low = 0
  high = 0
  start = 0
  stop = 0

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.bytes = bytes
    this.at = from
    this.end = to
  }

  reset(bytes: Uint8Array, from: number, to: number): this {
    this.bytes = bytes
    this.at = from
    this.end = to
    return this
  }

  /** Moves to the next field; false at the end of the message. */
  next(): boolean {
    if (this.at >= this.end) return false
    this.#varint()
    if (this.high !== 0) throw malformed('a field number is too large', this.at)
    const tag = this.low
    this.field = tag >>> 3
    this.wire = tag & 7
    if (this.field === 0) throw malformed('field number 0', this.at)
    this.#value()
    return true
  }

  /** True where the field holds a range; a field of another wire type is to be skipped. */
  get isBytes(): boolean {
    return this.wire === WIRE_BYTES
  }

  /** The range as text; bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    return textOf(this.bytes, this.start, this.stop)
  }

  /** The range itself, not copied. */
  range(): Uint8Array {
    return this.bytes.subarray(this.start, this.stop)
  }

  #value(): void {
    switch (this.wire) {
      case WIRE_VARINT:
        this.#varint()
        return
      case WIRE_BYTES: {
        this.#varint()
        const size = this.low
        if (this.high !== 0 || size > this.end - this.at) throw malformed(`field ${this.field} of ${size} bytes is cut`, this.at)
        this.start = this.at
        this.at += size
        this.stop = this.at
        return
      }
      case WIRE_FIXED64:
        this.#need(8)
        this.low = fixed32(this.bytes, this.at)
        this.high = fixed32(this.bytes, this.at + 4)
        this.at += 8
        return
      case WIRE_FIXED32:
        this.#need(4)
        this.low = fixed32(this.bytes, this.at)
        this.high = 0
        this.at += 4
        return
      case WIRE_GROUP_START:
        this.#skipGroup()
        return
      default:
        throw malformed(`wire type ${this.wire}`, this.at)
    }
  }

  /** Groups are an old form no format here uses: skipped, their content unseen. */
  #skipGroup(): void {
    const field = this.field
    let depth = 1
    while (depth > 0) {
      if (this.at >= this.end) throw malformed(`group ${field} is cut`, this.at)
      this.#varint()
      this.field = this.low >>> 3
      this.wire = this.low & 7
      if (this.wire === WIRE_GROUP_START) depth++
      else if (this.wire === WIRE_GROUP_END) depth--
      else this.#value()
      if (depth > NESTING_MAX) throw malformed('groups nested too deep', this.at)
    }
    this.field = field
    this.wire = WIRE_GROUP_START
  }

  #need(count: number): void {
    if (this.end - this.at < count) throw malformed(`field ${this.field} is cut`, this.at)
  }

  #varint(): void {
    const bytes = this.bytes
    const end = this.end
    let at = this.at
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) throw malformed('a varint is cut', at)
      const byte = bytes[at++]!
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.low = low
        this.high = 0
        this.at = at
        return
      }
    }
    if (at >= end) throw malformed('a varint is cut', at)
    const middle = bytes[at++]!
    low |= (middle & 0x0f) << 28
    let high = (middle & 0x7f) >> 4
    let more = middle >= 0x80
    for (let shift = 3; more; shift += 7) {
      if (at >= end) throw malformed('a varint is cut', at)
      if (shift > 31) throw malformed('a varint is longer than 10 bytes', at)
      const byte = bytes[at++]!
      high |= (byte & 0x7f) << shift
      more = byte >= 0x80
    }
    this.low = low >>> 0
    this.high = high >>> 0
    this.at = at
  }
}

const SHORT_TEXT = 24

/** UTF-8 bytes as a string: short ASCII by hand, where a call into the runtime costs more than the text. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  if (to - from <= SHORT_TEXT) {
    let text = ''
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!
      if (byte >= 0x80) return view(bytes).toString('utf8', from, to)
      text += String.fromCharCode(byte)
    }
    return text
  }
  return view(bytes).toString('utf8', from, to)
}

function view(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function fixed32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

function malformed(cause: string, at: number): SightlineError {
  return new SightlineError('bad_data', `cannot read protobuf at byte ${at}: ${cause}`)
}
