/**
 * A shipper's progress through the metrics partitions: what it took from the journal, what was sent of it, and from where a later start must
 * decode to know the layouts.
 */
import { LAYOUT_REPEAT_MS } from '../../../lib/wire/rows/index.ts'
import type { ShipPlace } from './ship-state.ts'

/** Times of offsets are remembered this coarsely. */
const NOTE_EVERY_MS = 30_000

interface Note {
  readonly offset: number
  readonly appendedMs: number
}

export class Progress {
  readonly #taken: number[]
  readonly #sent: number[]
  readonly #layouts: number[]
  /** By partition, ascending: at most one each half minute of the last five, and one before. */
  readonly #notes: Note[][]
  readonly #lastMs: number[]

  constructor(place: ShipPlace) {
    this.#taken = [...place.sent]
    this.#sent = [...place.sent]
    this.#layouts = [...place.layouts]
    this.#notes = place.sent.map(() => [])
    this.#lastMs = place.sent.map(() => 0)
  }

  /** True where the record is to be sent; false where it was, and only its layouts are of interest. */
  isUnsent(partition: number, offset: number): boolean {
    return offset >= this.#sent[partition]!
  }

  /** Takes a record; returns how many before it are missing. */
  take(partition: number, offset: number, appendedMs: number): number {
    const notes = this.#notes[partition]!
    const last = notes.at(-1)
    if (last === undefined || appendedMs - last.appendedMs >= NOTE_EVERY_MS) notes.push({ offset, appendedMs })
    this.#lastMs[partition] = appendedMs
    this.#forget(partition, appendedMs - LAYOUT_REPEAT_MS)
    const missing = Math.max(0, offset - this.#taken[partition]!)
    this.#taken[partition] = Math.max(this.#taken[partition]!, offset + 1)
    return missing
  }

  /** Everything taken was sent. */
  sentAll(): void {
    for (const [partition, offset] of this.#taken.entries()) this.#sent[partition] = offset
  }

  /** Time goes on in partitions that nothing is written to: what is old there need not be kept for its layouts. */
  age(nowMs: number, ends: readonly number[]): void {
    for (const [partition, notes] of this.#notes.entries()) {
      if (notes.length === 0 || this.#sent[partition]! < ends[partition]!) continue
      this.#forget(partition, nowMs - LAYOUT_REPEAT_MS)
      if (this.#lastMs[partition]! > nowMs - LAYOUT_REPEAT_MS) continue
      notes.length = 0
      this.#layouts[partition] = this.#sent[partition]!
    }
  }

  #forget(partition: number, beforeMs: number): void {
    const notes = this.#notes[partition]!
    while (notes.length > 1 && notes[1]!.appendedMs <= beforeMs) notes.shift()
    this.#layouts[partition] = notes[0]!.offset
  }

  /** A read begins anew: what was taken and not sent is taken again. */
  restart(): void {
    for (const [partition, offset] of this.#sent.entries()) this.#taken[partition] = offset
    for (const notes of this.#notes) notes.length = 0
  }

  /** Where to read from. */
  from(partition: number): number {
    return Math.min(this.#layouts[partition]!, this.#sent[partition]!)
  }

  /** Records of a journal that ends at `ends` which were not sent. */
  lag(ends: readonly number[]): number {
    return ends.reduce((sum, end, partition) => sum + Math.max(0, end - this.#sent[partition]!), 0)
  }

  place(): ShipPlace {
    return { sent: [...this.#sent], layouts: this.#sent.map((_, partition) => this.from(partition)) }
  }
}
