/**
 * Memory for the bodies of scrapes. A target's body is read, parsed at once and not needed any more, so a few buffers serve all targets; a new one for each
 * scrape would be paid for in garbage collections: they come by the bytes allocated, and each walks what the process knows of all series.
 */
import { BodyBuffer } from '../../lib/http/index.ts'

/** Buffers kept for the next scrape, all together. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024

export class BodyPool {
  readonly #bytesMax: number
  /** The one used last is taken first: the others may go cold. */
  readonly #free: BodyBuffer[] = []
  #freeBytes = 0

  constructor(bytesMax = KEPT_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  take(): BodyBuffer {
    const body = this.#free.pop()
    if (body === undefined) return new BodyBuffer()
    this.#freeBytes -= body.capacityBytes
    return body
  }

  /** Only one that nobody fills or reads any more: after a scrape that failed it isn't given back. */
  give(body: BodyBuffer): void {
    if (this.#freeBytes + body.capacityBytes > this.#bytesMax) return
    this.#free.push(body)
    this.#freeBytes += body.capacityBytes
  }
}
