import { SightlineError } from '../../runtime/errors.ts'

/** A copy this long or longer is handed to the runtime; below, the call costs more than the bytes. */
const NATIVE_COPY_BYTES = 48
/** One tag of 3 bytes writes at most 64 bytes: no block expands further. */
const EXPANSION_MAX = 22

/**
 * The content of one block.
 *
 *   varint length | tag … tag        tag & 3:  0 literal        length (tag >> 2) + 1, or 1–4 bytes of it where tag >> 2 is 60–63
 *                                              1 copy  4–11     offset 11 bits: tag >> 5 and a byte
 *                                              2 copy  1–64     offset 2 bytes
 *                                              3 copy  1–64     offset 4 bytes
 *
 * @param bytesMax largest content accepted
 * Errors: `too_large` before anything is allocated, `bad_data` where the block is cut, or a copy points before its start.
 * Source: the format description of google/snappy.
 */
export function snappyDecode(block: Uint8Array, bytesMax: number): Buffer<ArrayBuffer> {
  const head = readLength(block)
  if (head.length > bytesMax) {
    throw new SightlineError('too_large', `cannot decompress the body: it holds ${head.length} bytes, at most ${bytesMax} are taken`)
  }
  if (head.length > block.length * EXPANSION_MAX) throw malformed(`${block.length} bytes can't hold ${head.length}`, 0)
  const out = Buffer.allocUnsafeSlow(head.length)
  expand(block, head.at, out)
  return out
}

function expand(block: Uint8Array, start: number, out: Buffer): void {
  const end = block.length
  const size = out.length
  let at = start
  let to = 0
  while (at < end) {
    const tag = block[at++]!
    const kind = tag & 3
    if (kind === 0) {
      let length = (tag >>> 2) + 1
      if (length > 60) {
        const extra = length - 60
        if (extra > end - at) throw malformed('a literal is cut', at)
        length = littleEndian(block, at, extra) + 1
        at += extra
      }
      if (length > end - at || length > size - to) throw malformed(`a literal of ${length} bytes has no room`, at)
      if (length < NATIVE_COPY_BYTES) for (let i = 0; i < length; i++) out[to + i] = block[at + i]!
      else out.set(block.subarray(at, at + length), to)
      at += length
      to += length
      continue
    }
    const offsetBytes = kind === 3 ? 4 : kind
    if (offsetBytes > end - at) throw malformed('a copy is cut', at)
    const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    const offset =
      kind === 1 ? ((tag >>> 5) << 8) | block[at]! : kind === 2 ? block[at]! | (block[at + 1]! << 8) : littleEndian(block, at, 4)
    at += offsetBytes
    if (offset === 0 || offset > to || length > size - to) throw malformed(`a copy of ${length} bytes from ${offset} back of ${to}`, at)
    if (offset >= length && length >= NATIVE_COPY_BYTES) out.copyWithin(to, to - offset, to - offset + length)
    else for (let i = 0, from = to - offset; i < length; i++) out[to + i] = out[from + i]!
    to += length
  }
  if (to !== size) throw malformed(`it ends after ${to} of ${size} bytes`, at)
}

function readLength(block: Uint8Array): { length: number; at: number } {
  let length = 0
  let scale = 1
  for (let at = 0; at < block.length && at < 5; at++) {
    const byte = block[at]!
    length += (byte & 0x7f) * scale
    if (byte < 0x80) {
      if (length > 0xffffffff) break
      return { length, at: at + 1 }
    }
    scale *= 0x80
  }
  throw malformed('it has no length', 0)
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0
  for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!
  return value
}

function malformed(cause: string, at: number): SightlineError {
  return new SightlineError('bad_data', `cannot decompress the body: not valid snappy at byte ${at}: ${cause}`)
}
