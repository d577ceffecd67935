/**
 * From which record of a partition somebody must read to know every layout in use: writers repeat theirs within `LAYOUT_REPEAT_MS`, so it is the first
 * one of the last such span.
 */
import { LAYOUT_REPEAT_MS } from '../../lib/wire/rows/index.ts'

const NOTE_EVERY_MS = 30_000

export class LearnNotes {
  readonly #notes: { readonly offset: number; readonly appendedMs: number }[] = []

  /** @param from what a reader had to go back to so far */
  constructor(from?: number) {
    if (from !== undefined) this.#notes.push({ offset: from, appendedMs: 0 })
  }

  note(offset: number, appendedMs: number): void {
    const last = this.#notes.at(-1)
    if (last === undefined || appendedMs - last.appendedMs >= NOTE_EVERY_MS) this.#notes.push({ offset, appendedMs })
    while (this.#notes.length > 1 && this.#notes[1]!.appendedMs <= appendedMs - LAYOUT_REPEAT_MS) this.#notes.shift()
  }

  /** @param offset where nothing was noted */
  from(offset: number): number {
    return this.#notes[0]?.offset ?? offset
  }
}
