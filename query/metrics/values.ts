/**
 * One run of doubles as bytes, by the cheapest of four codecs (docs/formats/metrics.md):
 *
 *   raw      8 bytes each
 *   constant all the same bits
 *   decimal  values that are n / 10^e for whole n: the integers less their minimum, or their differences less the smallest, divided by their
 *            greatest common divisor and bit-packed; values that are none (NaN, infinities, −0, long fractions) are kept aside as exceptions
 *   split    the high 32 bits less their minimum, bit-packed; the low 32 bits as they are
 *
 * Decoding gives the same doubles bit for bit, but for the payload of NaNs. Runs hold at most ROWS_MAX values.
 * Source of the decimal idea: "ALP: Adaptive Lossless floating-Point Compression" (Afroozeh et al., 2023); here one exponent a run and a division to
 * decode, which is exact because both operands are.
 */
import type { RowsWriter } from '../../lib/wire/rows/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { bitWidth, packBits, packedWords, unpackBits } from './bits.ts'

export const ROWS_MAX = 1024

const RAW = 0
const CONSTANT = 1
const DECIMAL = 2
const DECIMAL_DELTA = 3
const SPLIT = 4

const EXPONENT_MAX = 15
const POWERS = Float64Array.from({ length: EXPONENT_MAX + 1 }, (_, e) => 10 ** e)
/** Whole numbers stay below it, so that every difference of differences is exact. */
const INTEGER_MAX = 2 ** 50

/** Bytes with the two views that decoding needs. `bytes` starts at a multiple of 4 of its buffer. */
export interface Block {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  readonly view: DataView
}

export function blockOf(bytes: Uint8Array): Block {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes)
  return {
    bytes: aligned,
    words: new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2),
    view: new DataView(aligned.buffer, aligned.byteOffset, aligned.byteLength),
  }
}

/** Encodes and decodes runs; keeps its scratch, so one of them serves a thread. */
export class ValueCodec {
  readonly #integers = new Float64Array(ROWS_MAX)
  readonly #residuals = new Float64Array(ROWS_MAX)
  readonly #doubles = new Float64Array(ROWS_MAX)
  readonly #halves = new Uint32Array(this.#doubles.buffer)
  readonly #exceptions = new Uint16Array(ROWS_MAX)

  /** Appends `values[0 … count - 1]` at a position that is a multiple of 4, and ends at one. */
  encode(out: RowsWriter, values: Float64Array, count: number): void {
    if (count === 0) return
    const exponent = this.#exponent(values, count)
    const exceptions = exponent < 0 ? -1 : this.#toIntegers(values, count, exponent)
    if (exceptions < 0 || exceptions > count >> 3) {
      if (isConstant(values, count)) {
        out.u32(CONSTANT)
        out.f64(values[0]!)
      } else this.#encodeSplit(out, values, count)
      return
    }
    this.#encodeDecimal(out, values, count, exponent, exceptions)
  }

  /**
   * Writes `count` values into `out[from …]`.
   *
   * @returns the position after the run
   */
  decode(block: Block, at: number, count: number, out: Float64Array, from: number): number {
    if (count === 0) return at
    const codec = block.bytes[at]!
    if (codec === DECIMAL || codec === DECIMAL_DELTA) return this.#decodeDecimal(block, at, count, out, from)
    if (codec === CONSTANT) {
      out.fill(block.view.getFloat64(at + 4, true), from, from + count)
      return at + 12
    }
    if (codec === SPLIT) return this.#decodeSplit(block, at, count, out, from)
    if (codec === RAW) {
      for (let i = 0; i < count; i++) out[from + i] = block.view.getFloat64(at + 4 + i * 8, true)
      return at + 4 + count * 8
    }
    throw new SightlineError('corruption', `cannot decode a column: codec ${codec} is not known`)
  }

  /** The exponent that suits a sample of the values; −1 where most are no decimals. */
  #exponent(values: Float64Array, count: number): number {
    const step = Math.max(1, count >> 4)
    let exponent = 0
    let misses = 0
    let tried = 0
    for (let i = 0; i < count; i += step) {
      const own = exponentOf(values[i]!, exponent)
      tried++
      if (own < 0) misses++
      else exponent = own
    }
    return misses * 4 > tried ? -1 : exponent
  }

  /** Fills the integers and the list of exceptions; returns the number of these, or −1 once they are too many. */
  #toIntegers(values: Float64Array, count: number, exponent: number): number {
    const integers = this.#integers
    const power = POWERS[exponent]!
    let exceptions = 0
    let last = 0
    for (let i = 0; i < count; i++) {
      const value = values[i]!
      const whole = Math.round(value * power)
      if (whole / power === value && whole < INTEGER_MAX && whole > -INTEGER_MAX && (whole !== 0 || 1 / value > 0)) {
        // Adding 0 turns −0 of a rounded value into 0.
        last = whole + 0
        integers[i] = last
        if (exceptions === i && i > 0) integers.fill(last, 0, i)
      } else {
        this.#exceptions[exceptions++] = i
        if (exceptions > 16 && exceptions > count >> 3) return -1
        integers[i] = last
      }
    }
    return exceptions
  }

  #encodeDecimal(out: RowsWriter, values: Float64Array, count: number, exponent: number, exceptions: number): void {
    const integers = this.#integers
    let least = integers[0]!
    let most = least
    let leastStep = Infinity
    let mostStep = -Infinity
    for (let i = 1; i < count; i++) {
      const value = integers[i]!
      const step = value - integers[i - 1]!
      if (value < least) least = value
      if (value > most) most = value
      if (step < leastStep) leastStep = step
      if (step > mostStep) mostStep = step
    }
    const plainWidth = bitWidth(most - least)
    const deltas = count > 1 && bitWidth(mostStep - leastStep) < plainWidth
    const from = deltas ? 1 : 0
    const base = deltas ? leastStep : least
    const residuals = this.#residuals
    for (let i = from; i < count; i++) residuals[i] = (deltas ? integers[i]! - integers[i - 1]! : integers[i]!) - base
    const divisor = commonDivisor(residuals, from, count)
    if (divisor > 1) for (let i = from; i < count; i++) residuals[i] = residuals[i]! / divisor
    const width = bitWidth((deltas ? mostStep - leastStep : most - least) / divisor)
    out.u8(deltas ? DECIMAL_DELTA : DECIMAL)
    out.u8(exponent)
    out.u8(width)
    out.varint(exceptions)
    out.varint(zigzag(base))
    if (deltas) out.varint(zigzag(integers[0]!))
    out.varint(divisor)
    for (let k = 0; k < exceptions; k++) {
      out.varint(this.#exceptions[k]!)
      out.f64(values[this.#exceptions[k]!]!)
    }
    out.align(4)
    packBits(out, residuals, from, count, width)
  }

  #decodeDecimal(block: Block, start: number, count: number, out: Float64Array, from: number): number {
    const { bytes } = block
    const deltas = bytes[start] === DECIMAL_DELTA
    const power = POWERS[bytes[start + 1]!] ?? 1
    const width = bytes[start + 2]!
    const input = new Varints(bytes, start + 3)
    const exceptions = input.next()
    const base = unzigzag(input.next())
    const first = deltas ? unzigzag(input.next()) : 0
    const divisor = input.next()
    const exceptionsAt = input.at
    for (let k = 0; k < exceptions; k++) {
      input.next()
      input.at += 8
    }
    const word = (input.at + 3) >>> 2
    const end = from + count
    const packed = deltas ? count - 1 : count
    unpackBits(block.words, word, packed, width, out, deltas ? from + 1 : from)
    if (deltas) {
      let sum = first
      out[from] = sum / power
      for (let i = from + 1; i < end; i++) {
        sum += base + out[i]! * divisor
        out[i] = sum / power
      }
    } else if (power === 1) for (let i = from; i < end; i++) out[i] = base + out[i]! * divisor
    else for (let i = from; i < end; i++) out[i] = (base + out[i]! * divisor) / power
    input.at = exceptionsAt
    for (let k = 0; k < exceptions; k++) {
      out[from + input.next()] = block.view.getFloat64(input.at, true)
      input.at += 8
    }
    return (word + packedWords(packed, width)) * 4
  }

  #encodeSplit(out: RowsWriter, values: Float64Array, count: number): void {
    this.#doubles.set(values.subarray(0, count))
    const halves = this.#halves
    const residuals = this.#residuals
    let least = 0xffff_ffff
    let most = 0
    for (let i = 0; i < count; i++) {
      const high = halves[i * 2 + 1]!
      if (high < least) least = high
      if (high > most) most = high
      residuals[i] = high
    }
    const width = bitWidth(most - least)
    if (width >= 32) {
      out.u32(RAW)
      for (let i = 0; i < count; i++) out.f64(values[i]!)
      return
    }
    for (let i = 0; i < count; i++) residuals[i] = residuals[i]! - least
    out.u32(SPLIT | (width << 8))
    out.u32(least)
    for (let i = 0; i < count; i++) out.u32(halves[i * 2]!)
    packBits(out, residuals, 0, count, width)
  }

  #decodeSplit(block: Block, at: number, count: number, out: Float64Array, from: number): number {
    const width = block.bytes[at + 1]!
    const word = at >>> 2
    const least = block.words[word + 1]!
    unpackBits(block.words, word + 2 + count, count, width, this.#residuals, 0)
    for (let i = 0; i < count; i++) {
      this.#halves[i * 2] = block.words[word + 2 + i]!
      this.#halves[i * 2 + 1] = least + this.#residuals[i]!
      out[from + i] = this.#doubles[i]!
    }
    return (word + 2 + count + packedWords(count, width)) * 4
  }
}

class Varints {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  next(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#bytes[this.at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80 || scale > 2 ** 50) return value
      scale *= 0x80
    }
  }
}

/** The smallest exponent from `least` on at which the value is a whole number; −1 where there is none. */
function exponentOf(value: number, least: number): number {
  for (let e = least; e <= EXPONENT_MAX; e++) {
    const whole = Math.round(value * POWERS[e]!)
    if (!(Math.abs(whole) < INTEGER_MAX)) return -1
    if (whole / POWERS[e]! === value) return e
  }
  return -1
}

function isConstant(values: Float64Array, count: number): boolean {
  for (let i = 1; i < count; i++) if (!Object.is(values[i], values[0])) return false
  return true
}

function commonDivisor(values: Float64Array, from: number, to: number): number {
  let divisor = 0
  for (let i = from; i < to && divisor !== 1; i++) {
    let a = values[i]!
    while (a !== 0) {
      const rest = divisor % a
      divisor = a
      a = rest
    }
  }
  return divisor === 0 ? 1 : divisor
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2
}
