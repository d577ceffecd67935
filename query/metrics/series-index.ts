/**
 * The series of one tenant (or of one block): id -> labels, label pair -> postings, label name -> values, label set -> id.
 *
 * A pair of name and value has a number, and a series is its pairs in the order of its labels. Ids count from 0 in the order of interning and
 * never change; nothing is removed: a head whose index is mostly dead makes a new one. Cost: about 200 bytes a series of 12 labels.
 */
import type { Labels } from '../../lib/model/index.ts'
import { Postings } from './postings.ts'

export interface LabelName {
  readonly name: string
  /** Value -> number of the pair. */
  readonly values: Map<string, number>
  /** Series that have the label. */
  series: number
}

export const NO_SERIES = 0xffff_ffff

export class SeriesIndex {
  readonly names = new Map<string, LabelName>()
  readonly postings = new Postings()
  readonly #pairNames: LabelName[] = []
  readonly #pairValues: string[] = []
  #starts = new Uint32Array(257)
  #pairs = new Uint32Array(4096)
  #hashes = new Uint32Array(256)
  /** Open addressing, id + 1 or 0, at most half full. */
  #table = new Uint32Array(1024)
  #scratch = new Uint32Array(64)
  size = 0

  get pairCount(): number {
    return this.#pairValues.length
  }

  pairName(pair: number): string {
    return this.#pairNames[pair]!.name
  }

  pairValue(pair: number): string {
    return this.#pairValues[pair]!
  }

  /** The pairs of a series: a view. */
  pairsOf(id: number): Uint32Array {
    return this.#pairs.subarray(this.#starts[id], this.#starts[id + 1])
  }

  labelsOf(id: number): Labels {
    const out: string[] = []
    for (let k = this.#starts[id]!; k < this.#starts[id + 1]!; k++) {
      const pair = this.#pairs[k]!
      out.push(this.#pairNames[pair]!.name, this.#pairValues[pair]!)
    }
    return out
  }

  /** The id of a label set; a new one where `size` is below `sizeMax`, else NO_SERIES. */
  intern(labels: Labels, sizeMax = Infinity): number {
    return this.internFrom(labels, undefined, 0, labels.length, sizeMax)
  }

  /** The same for a label set given as references into a table of strings. */
  internFrom(texts: readonly string[], refs: Uint32Array | undefined, from: number, to: number, sizeMax: number): number {
    const count = (to - from) / 2
    if (count > this.#scratch.length) this.#scratch = new Uint32Array(count * 2)
    const pairs = this.#scratch
    let hash = 0x811c9dc5
    for (let k = 0; k < count; k++) {
      const at = from + k * 2
      const pair = refs === undefined ? this.#pairOf(texts[at]!, texts[at + 1]!) : this.#pairOf(texts[refs[at]!]!, texts[refs[at + 1]!]!)
      pairs[k] = pair
      hash = Math.imul(hash ^ pair, 0x85ebca6b)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0
    const found = this.#find(hash, pairs, count)
    if (found !== NO_SERIES || this.size >= sizeMax) return found
    return this.#insert(hash, pairs, count)
  }

  memoryBytes(): number {
    const arrays = this.#pairs.byteLength + this.#starts.byteLength + this.#hashes.byteLength + this.#table.byteLength
    return arrays + this.postings.memoryBytes() + this.#pairValues.length * 120
  }

  #pairOf(name: string, value: string): number {
    let entry = this.names.get(name)
    if (entry === undefined) {
      entry = { name, values: new Map(), series: 0 }
      this.names.set(name, entry)
    }
    let pair = entry.values.get(value)
    if (pair === undefined) {
      pair = this.postings.add()
      entry.values.set(value, pair)
      this.#pairNames.push(entry)
      this.#pairValues.push(value)
    }
    return pair
  }

  #find(hash: number, pairs: Uint32Array, count: number): number {
    const mask = this.#table.length - 1
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = this.#table[at]!
      if (entry === 0) return NO_SERIES
      const id = entry - 1
      if (this.#hashes[id] === hash && this.#equals(id, pairs, count)) return id
    }
  }

  #equals(id: number, pairs: Uint32Array, count: number): boolean {
    const start = this.#starts[id]!
    if (this.#starts[id + 1]! - start !== count) return false
    for (let k = 0; k < count; k++) if (this.#pairs[start + k] !== pairs[k]) return false
    return true
  }

  #insert(hash: number, pairs: Uint32Array, count: number): number {
    const id = this.size++
    if (id === this.#hashes.length) this.#growSeries()
    const start = this.#starts[id]!
    if (start + count > this.#pairs.length) this.#pairs = grown(this.#pairs, Math.max(start + count, Math.ceil(this.#pairs.length * 1.5)))
    for (let k = 0; k < count; k++) {
      const pair = pairs[k]!
      this.#pairs[start + k] = pair
      this.postings.append(pair, id)
      this.#pairNames[pair]!.series++
    }
    this.#starts[id + 1] = start + count
    this.#hashes[id] = hash
    if (this.size * 2 > this.#table.length) this.#rehash(this.#table.length * 2)
    else this.#place(id)
    return id
  }

  #growSeries(): void {
    const size = Math.ceil(this.#hashes.length * 1.5)
    this.#hashes = grown(this.#hashes, size)
    this.#starts = grown(this.#starts, size + 1)
  }

  #rehash(size: number): void {
    this.#table = new Uint32Array(size)
    for (let id = 0; id < this.size; id++) this.#place(id)
  }

  #place(id: number): void {
    const mask = this.#table.length - 1
    let at = this.#hashes[id]! & mask
    while (this.#table[at] !== 0) at = (at + 1) & mask
    this.#table[at] = id + 1
  }
}

function grown(array: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(size)
  out.set(array)
  return out
}
