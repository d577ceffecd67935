/** What a partition remembers of streams: their encoded texts, and how many a tenant has. */

const TEXT_BYTES_MAX = 4 * 1024 * 1024

/** Texts made of byte ranges that come again and again; all are forgotten when they get many. */
export class EncodedTexts {
  readonly #texts = new Map<string, string>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  of(scope: string, bytes: Uint8Array, from: number, to: number, make: () => string): string {
    const key = scope + rangeText(bytes, from, to)
    let text = this.#texts.get(key)
    if (text !== undefined) return text
    text = make()
    this.#bytes += key.length + text.length + 100
    if (this.#bytes > TEXT_BYTES_MAX) {
      this.#texts.clear()
      this.#bytes = key.length + text.length + 100
    }
    this.#texts.set(key, text)
    return text
  }
}

/** The streams of each tenant since the start, by a hash of 53 bits: two that share one count as one. */
export class StreamCount {
  readonly #max: number
  readonly #seen = new Map<string, Set<number>>()

  /** @param max 0 = no limit, nothing is remembered */
  constructor(max: number) {
    this.#max = max
  }

  get bytes(): number {
    return [...this.#seen.values()].reduce((sum, { size }) => sum + size * 40, 0)
  }

  /** False where the stream would be one too many. */
  admits(tenant: string, bytes: Uint8Array, from: number, to: number): boolean {
    if (this.#max === 0) return true
    let seen = this.#seen.get(tenant)
    if (seen === undefined) this.#seen.set(tenant, (seen = new Set()))
    const hash = hash53(bytes, from, to)
    if (seen.has(hash)) return true
    if (seen.size >= this.#max) return false
    seen.add(hash)
    return true
  }
}

function rangeText(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1')
}

/** Two FNV-1a hashes side by side. */
function hash53(bytes: Uint8Array, from: number, to: number): number {
  let a = 0x811c9dc5
  let b = 0x1000193
  for (let i = from; i < to; i++) {
    a = Math.imul(a ^ bytes[i]!, 0x01000193)
    b = Math.imul(b ^ bytes[i]!, 0x85ebca6b)
  }
  return (a >>> 0) * 0x20_0000 + ((b >>> 0) & 0x1f_ffff)
}
