/** Bytes kept one after the other in slabs: one allocation a megabyte instead of one a series. */
const SLAB_BYTES = 1024 * 1024

export class ByteArena {
  #slab = Buffer.alloc(0)
  #used = 0
  /** Bytes of all slabs. */
  bytes = 0

  /** A copy of `bytes[from, to)`. */
  keep(bytes: Uint8Array, from: number, to: number): { slab: Buffer; at: number } {
    const length = to - from
    if (length > this.#slab.length - this.#used) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length))
      this.#used = 0
      this.bytes += this.#slab.length
    }
    const at = this.#used
    this.#slab.set(bytes.subarray(from, to), at)
    this.#used += length
    return { slab: this.#slab, at }
  }
}
