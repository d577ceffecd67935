import { nanoHigh, nanoLow } from './nano.ts'
import { WIRE_BYTES, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT } from './reader.ts'

const SHORT_TEXT = 32

/**
 * Writes protobuf into one growing buffer.
 *
 * A nested message is `const mark = w.begin(field); …; w.end(mark)`: its length takes one byte and the content moves up where it
 * needs more, so the output is canonical. `reset` empties the writer and keeps its buffer; `view` lends it until the next
 * write, `take` copies it out.
 */
export class ProtoWriter {
  #buffer: Buffer
  #length = 0

  constructor(bytesStart = 256) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytesStart, 16))
  }

  get length(): number {
    return this.#length
  }

  reset(): void {
    this.#length = 0
  }

  /** Cuts what was written after `length`. */
  truncate(length: number): void {
    this.#length = length
  }

  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  take(): Uint8Array {
    const out = new Uint8Array(this.#length)
    out.set(this.#buffer.subarray(0, this.#length))
    return out
  }

  /** A varint field from a whole number, 0 … 2^53. */
  uint(field: number, value: number): void {
    this.#tag(field, WIRE_VARINT)
    this.#varint(value)
  }

  /** A varint field from two unsigned halves: any 64-bit integer, negative ones in two's complement. */
  uint64(field: number, low: number, high: number): void {
    this.#tag(field, WIRE_VARINT)
    this.#need(10)
    let l = low >>> 0
    let h = high >>> 0
    while (h !== 0 || l > 0x7f) {
      this.#buffer[this.#length++] = (l & 0x7f) | 0x80
      l = ((l >>> 7) | (h << 25)) >>> 0
      h >>>= 7
    }
    this.#buffer[this.#length++] = l
  }

  fixed64(field: number, low: number, high: number): void {
    this.#tag(field, WIRE_FIXED64)
    this.#need(8)
    this.#length = this.#buffer.writeUInt32LE(low, this.#length)
    this.#length = this.#buffer.writeUInt32LE(high, this.#length)
  }

  /** A fixed64 field of nanoseconds. */
  nano(field: number, ms: number, subNs: number): void {
    this.fixed64(field, nanoLow(ms, subNs), nanoHigh(ms, subNs))
  }

  fixed32(field: number, value: number): void {
    this.#tag(field, WIRE_FIXED32)
    this.#need(4)
    this.#length = this.#buffer.writeUInt32LE(value >>> 0, this.#length)
  }

  double(field: number, value: number): void {
    this.#tag(field, WIRE_FIXED64)
    this.#need(8)
    this.#length = this.#buffer.writeDoubleLE(value, this.#length)
  }

  text(field: number, value: string): void {
    this.#tag(field, WIRE_BYTES)
    if (value.length <= SHORT_TEXT && this.#ascii(value)) return
    const size = Buffer.byteLength(value)
    this.#varint(size)
    this.#need(size)
    this.#buffer.write(value, this.#length, 'utf8')
    this.#length += size
  }

  bytes(field: number, value: Uint8Array, from = 0, to = value.length): void {
    this.#tag(field, WIRE_BYTES)
    this.#varint(to - from)
    this.raw(value, from, to)
  }

  /** The head of a length-delimited field whose `size` bytes the caller writes next. */
  head(field: number, size: number): void {
    this.#tag(field, WIRE_BYTES)
    this.#varint(size)
  }

  /** Bytes as they are: fields already encoded. */
  raw(value: Uint8Array, from = 0, to = value.length): void {
    const size = to - from
    this.#need(size)
    const buffer = this.#buffer
    let at = this.#length
    if (size < 64) for (let i = from; i < to; i++) buffer[at++] = value[i]!
    else buffer.set(from === 0 && to === value.length ? value : value.subarray(from, to), at)
    this.#length += size
  }

  /** Opens a nested message; give the result to `end`. */
  begin(field: number): number {
    this.#tag(field, WIRE_BYTES)
    this.#need(1)
    return ++this.#length
  }

  end(mark: number): void {
    const size = this.#length - mark
    const extra = varintBytes(size) - 1
    if (extra > 0) {
      this.#need(extra)
      this.#buffer.copyWithin(mark + extra, mark, this.#length)
    }
    this.#length = mark - 1
    this.#varint(size)
    this.#length += size
  }

  #tag(field: number, wire: number): void {
    this.#varint(field * 8 + wire)
  }

  #varint(value: number): void {
    this.#need(10)
    const buffer = this.#buffer
    let rest = value
    while (rest > 0x7fffffff) {
      buffer[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest > 0x7f) {
      buffer[this.#length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    buffer[this.#length++] = rest
  }

  /** Length and characters of a short text; false, with nothing written, where it isn't ASCII. */
  #ascii(value: string): boolean {
    this.#need(value.length + 1)
    const buffer = this.#buffer
    const start = this.#length
    let at = start
    buffer[at++] = value.length
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return false
      buffer[at++] = code
    }
    this.#length = at
    return true
  }

  #need(count: number): void {
    const wanted = this.#length + count
    if (wanted <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2))
    grown.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = grown
  }
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5
}
