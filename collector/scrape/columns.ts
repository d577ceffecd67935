/**
 * The columns of a target's layout: which label set each has, and which column a label set is.
 *
 *   symbols  __name__  up  instance  a:9100  …      each string once, in the order of first use
 *   refs     0 1 2 3 | 0 4 2 3 | …                  name and value by turns
 *   starts   0         4         8
 *
 * Label sets are kept as numbers, and handed out as arrays only when they are asked for: a process scrapes many series, and an array and its strings for each
 * would be walked by every garbage collection.
 */
import type { Labels } from '../../lib/model/index.ts'
import { packLayout, type Layout } from '../../lib/wire/rows/index.ts'

export class Columns {
  readonly #group: string
  readonly #symbols: string[] = []
  readonly #symbolOf = new Map<string, number>()
  #refs = new Uint32Array(256)
  #starts = new Uint32Array(33)
  /** Columns + 1 by hash, the next free place where it is taken; at most half full. */
  #table = new Int32Array(64)
  #layout: Layout | undefined
  #length = 0

  /** @param group of the store, see `groupOf` */
  constructor(group: string) {
    this.#group = group
  }

  get length(): number {
    return this.#length
  }

  /** The column of a label set, a new one where it has none yet. */
  add(labels: Labels): number {
    this.#room(labels.length)
    // Written behind the last column, where they stay if they are new.
    const start = this.#starts[this.#length]!
    for (let i = 0; i < labels.length; i++) this.#refs[start + i] = this.#symbol(labels[i]!)
    this.#starts[this.#length + 1] = start + labels.length
    const place = this.#place(this.#length)
    const known = this.#table[place]!
    if (known !== 0) return known - 1
    this.#layout = undefined
    this.#table[place] = ++this.#length
    return this.#length - 1
  }

  labelsOf(column: number): Labels {
    const labels: string[] = []
    for (let i = this.#starts[column]!; i < this.#starts[column + 1]!; i++) labels.push(this.#symbols[this.#refs[i]!]!)
    return labels
  }

  /** The same object until a column comes. It shares memory with the columns: what is there never changes, there is only more behind it. */
  layout(): Layout {
    this.#layout ??= packLayout({
      group: this.#group,
      symbols: this.#symbols,
      starts: this.#starts.subarray(0, this.#length + 1),
      refs: this.#refs.subarray(0, this.#starts[this.#length]!),
    })
    return this.#layout
  }

  /** The columns but for some, in the same order. */
  without(isGone: (column: number) => boolean): Columns {
    const kept = new Columns(this.#group)
    for (let column = 0; column < this.#length; column++) if (!isGone(column)) kept.add(this.labelsOf(column))
    return kept
  }

  #symbol(text: string): number {
    let symbol = this.#symbolOf.get(text)
    if (symbol === undefined) {
      symbol = this.#symbols.push(text) - 1
      this.#symbolOf.set(text, symbol)
    }
    return symbol
  }

  /** Where a column lies in the table, or would. */
  #place(column: number): number {
    const mask = this.#table.length - 1
    let place = this.#hash(column) & mask
    for (let other = this.#table[place]!; other !== 0; other = this.#table[place]!) {
      if (this.#isSame(other - 1, column)) return place
      place = (place + 1) & mask
    }
    return place
  }

  #isSame(a: number, b: number): boolean {
    const [from, other] = [this.#starts[a]!, this.#starts[b]!]
    const length = this.#starts[a + 1]! - from
    if (this.#starts[b + 1]! - other !== length) return false
    for (let i = 0; i < length; i++) if (this.#refs[from + i] !== this.#refs[other + i]) return false
    return true
  }

  #hash(column: number): number {
    let hash = 0x811c9dc5
    for (let i = this.#starts[column]!; i < this.#starts[column + 1]!; i++) hash = Math.imul(hash ^ this.#refs[i]!, 0x9e3779b1)
    return hash ^ (hash >>> 15)
  }

  /** For one more column. */
  #room(labels: number): void {
    const end = this.#starts[this.#length]! + labels
    if (end > this.#refs.length) this.#refs = grownTo(this.#refs, Math.max(end, this.#refs.length * 2))
    if (this.#length + 2 <= this.#starts.length) return
    this.#starts = grownTo(this.#starts, this.#length * 2 + 1)
    this.#table = new Int32Array(this.#table.length * 2)
    for (let column = 0; column < this.#length; column++) this.#table[this.#place(column)] = column + 1
  }
}

function grownTo(old: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(length)
  grown.set(old)
  return grown
}
