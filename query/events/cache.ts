/** Decoded blocks that were used lately, bounded by bytes; the one unused for longest goes first. */
export class BlockCache<Block> {
  readonly #bytesMax: number
  readonly #entries = new Map<object, { block: Block; bytes: number }>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: object): Block | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.block
  }

  put(key: object, block: Block, bytes: number): void {
    this.delete(key)
    this.#entries.set(key, { block, bytes })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === key) break
      this.delete(oldest)
    }
  }

  delete(key: object): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}
