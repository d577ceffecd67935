import { SightlineError } from '../../runtime/errors.ts'

const ENCODER = new TextEncoder()

/** Appends little-endian fields to one growing buffer. `finish` hands out the bytes written, without a copy. */
export class RowsWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #view: DataView
  length = 0

  constructor(capacityBytes = 4096) {
    this.#bytes = new Uint8Array(capacityBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  u8(value: number): void {
    this.#room(1)
    this.#bytes[this.length++] = value
  }

  u32(value: number): void {
    this.#room(4)
    this.#view.setUint32(this.length, value, true)
    this.length += 4
  }

  f64(value: number): void {
    this.#room(8)
    this.#view.setFloat64(this.length, value, true)
    this.length += 8
  }

  /** An unsigned LEB128 number below 2^53. */
  varint(value: number): void {
    this.#room(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.length++] = rest
  }

  text(value: string): void {
    this.#room(value.length * 3 + 8)
    if (value.length < 43) {
      // At most 126 bytes: the length fits in the one byte left free for it.
      const { written } = ENCODER.encodeInto(value, this.#bytes.subarray(this.length + 1))
      this.#bytes[this.length] = written
      this.length += 1 + written
      return
    }
    const bytes = ENCODER.encode(value)
    this.varint(bytes.length)
    this.raw(bytes)
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** The position must be a multiple of 8. */
  floats(values: Float64Array): void {
    this.#room(values.length * 8)
    new Float64Array(this.#bytes.buffer, this.length, values.length).set(values)
    this.length += values.length * 8
  }

  /** Zeros up to the next multiple of a power of two. */
  align(multiple = 8): void {
    const end = (this.length + multiple - 1) & ~(multiple - 1)
    this.#room(end - this.length)
    this.#bytes.fill(0, this.length, end)
    this.length = end
  }

  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }

  patchU8(at: number, value: number): void {
    this.#bytes[at] = value
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length)
  }

  #room(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, (this.length + bytes + 7) & ~7))
    grown.set(this.#bytes.subarray(0, this.length))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** Reads what `RowsWriter` wrote, between two positions. Every read is checked: past the end is `bad_data`. */
export class RowsBytes {
  readonly bytes: Uint8Array
  at: number
  end: number
  #view: DataView
  #text: Buffer

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.bytes[this.#take(1)]!
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 0x80
    }
    throw malformed('a number is longer than 53 bits', this.at)
  }

  /** A count of things that take at least `bytesEach` bytes: never more than the bytes left can hold. */
  count(bytesEach: number): number {
    const value = this.varint()
    if (value * bytesEach > this.end - this.at) throw malformed(`${value} things don't fit in ${this.end - this.at} bytes`, this.at)
    return value
  }

  text(): string {
    const length = this.varint()
    const start = this.#take(length)
    return this.#text.toString('utf8', start, start + length)
  }

  hex(length: number): string {
    const start = this.#take(length)
    return this.#text.toString('hex', start, start + length)
  }

  raw(length: number): Uint8Array {
    const start = this.#take(length)
    return this.bytes.subarray(start, start + length)
  }

  #take(length: number): number {
    const start = this.at
    if (length > this.end - start) throw malformed('the bytes end inside a field', start)
    this.at = start + length
    return start
  }
}

export function malformed(cause: string, at: number): SightlineError {
  return new SightlineError('bad_data', `cannot decode rows: ${cause} (byte ${at})`)
}
