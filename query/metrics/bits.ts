/**
 * Bit packing of unsigned integers into 32-bit words, lowest bit first. Up to 32 bits a number they lie one after the other; above, all low words come
 * first and the high parts follow, packed. Numbers are doubles below 2^53.
 */
import type { RowsWriter } from '../../lib/wire/rows/index.ts'

/** Bits needed for a number: 0 for 0. */
export function bitWidth(value: number): number {
  if (value < 0x1_0000_0000) return 32 - Math.clz32(value)
  return 64 - Math.clz32(Math.floor(value / 0x1_0000_0000))
}

export function packedWords(count: number, width: number): number {
  return width <= 32 ? (count * width + 31) >>> 5 : count + (((width - 32) * count + 31) >>> 5)
}

/** The writer must stand at a multiple of 4. */
export function packBits(out: RowsWriter, values: Float64Array, from: number, to: number, width: number): void {
  if (width === 0) return
  if (width > 32) {
    for (let i = from; i < to; i++) out.u32(values[i]! % 0x1_0000_0000)
    packLow(out, values, from, to, width - 32, 0x1_0000_0000)
    return
  }
  packLow(out, values, from, to, width, 1)
}

function packLow(out: RowsWriter, values: Float64Array, from: number, to: number, width: number, divisor: number): void {
  let word = 0
  let used = 0
  for (let i = from; i < to; i++) {
    const value = divisor === 1 ? values[i]! >>> 0 : Math.floor(values[i]! / divisor)
    word |= value << used
    used += width
    if (used < 32) continue
    out.u32(word >>> 0)
    used -= 32
    word = used === 0 ? 0 : value >>> (width - used)
  }
  if (used > 0) out.u32(word >>> 0)
}

/** Writes `count` numbers to `out[from …]`. Cost: 1–2 ns a number. */
export function unpackBits(words: Uint32Array, at: number, count: number, width: number, out: Float64Array, from: number): void {
  const end = from + count
  if (width === 0) {
    out.fill(0, from, end)
    return
  }
  if (width > 32) {
    unpackBits(words, at + count, count, width - 32, out, from)
    for (let i = 0; i < count; i++) out[from + i] = out[from + i]! * 0x1_0000_0000 + words[at + i]!
    return
  }
  const mask = width === 32 ? 0xffff_ffff : (1 << width) - 1
  let word = at
  let shift = 0
  for (let i = from; i < end; i++) {
    let value = words[word]! >>> shift
    shift += width
    if (shift >= 32) {
      shift -= 32
      word++
      if (shift > 0) value |= words[word]! << (width - shift)
    }
    out[i] = (value & mask) >>> 0
  }
}
