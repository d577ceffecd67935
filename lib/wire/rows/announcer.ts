import { cutLayout, encodeRecords, type EncodedRows } from './encode.ts'
import { encodeLayoutBody } from './layout.ts'
import type { Layout, RowBatch } from './types.ts'

/** A little below the five minutes that readers may rely on. */
/** What readers may count on: no row uses a layout that was sent longer before it. */
export const LAYOUT_REPEAT_MS = 5 * 60_000
const REPEAT_MS = 4 * 60_000
/** Encoded layouts kept for the next time. */
const BODY_BYTES_MAX = 8 * 1024 * 1024

export interface AnnouncerOptions {
  readonly bytesMax?: number
  /** Layouts remembered; beyond it the one sent longest ago is forgotten, so it is sent in full again. Default 10,000. */
  readonly layoutsMax?: number
}

/**
 * Encodes the batches of one destination partition, and remembers which layouts its readers have: each is sent in full at first, and again
 * whenever the last time was more than four minutes ago, so that a reader that starts anywhere has it within five.
 *
 * Records must be appended in the order they are returned in. After an append that failed, or whose outcome isn't known, call `forget`.
 */
export class LayoutAnnouncer {
  readonly #bytesMax: number | undefined
  readonly #layoutsMax: number
  /** Layout id -> when it was last sent in full; the oldest first. */
  readonly #sentMs = new Map<string, number>()
  /** Layouts as they were cut to fit in records, by id; the one used longest ago first. */
  readonly #cuts = new Map<string, readonly Layout[]>()

  constructor(options: AnnouncerOptions = {}) {
    this.#bytesMax = options.bytesMax
    this.#layoutsMax = options.layoutsMax ?? 10_000
  }

  /** Encoded layouts by id, the one sent longest ago first, and their bytes. */
  readonly #bodies = new Map<string, Uint8Array>()
  #bodyBytes = 0

  /** Errors: `too_large` as in `encodeRecords`. */
  encode(batch: RowBatch, nowMs: number): EncodedRows[] {
    const fresh: string[] = []
    const known = (id: string): boolean => {
      const sentMs = this.#sentMs.get(id)
      if (sentMs !== undefined && nowMs - sentMs < REPEAT_MS && nowMs >= sentMs) return true
      fresh.push(id)
      return false
    }
    const records = encodeRecords(batch, known, {
      cut: (layout, bytesMax) => this.#cut(layout, bytesMax),
      bodyOf: (layout) => this.#bodyOf(layout),
      ...(this.#bytesMax === undefined ? {} : { bytesMax: this.#bytesMax }),
    })
    for (const id of fresh) {
      this.#sentMs.delete(id)
      this.#sentMs.set(id, nowMs)
    }
    evict(this.#sentMs, this.#layoutsMax)
    return records
  }

  /** The readers may have missed something: every layout is sent in full once more. */
  forget(): void {
    this.#sentMs.clear()
  }

  #bodyOf(layout: Layout): Uint8Array {
    if (layout.body !== undefined) return layout.body
    const body = this.#bodies.get(layout.id) ?? encodeLayoutBody(layout.group, layout.series)
    if (!this.#bodies.delete(layout.id)) this.#bodyBytes += body.length
    this.#bodies.set(layout.id, body)
    for (const [id, oldest] of this.#bodies) {
      if (this.#bodyBytes <= BODY_BYTES_MAX) break
      this.#bodies.delete(id)
      this.#bodyBytes -= oldest.length
    }
    return body
  }

  #cut(layout: Layout, bytesMax: number): readonly Layout[] {
    const pieces = this.#cuts.get(layout.id) ?? cutLayout(layout, bytesMax)
    this.#cuts.delete(layout.id)
    this.#cuts.set(layout.id, pieces)
    evict(this.#cuts, this.#layoutsMax)
    return pieces
  }
}

function evict(map: Map<string, unknown>, sizeMax: number): void {
  for (const key of map.keys()) {
    if (map.size <= sizeMax) return
    map.delete(key)
  }
}
