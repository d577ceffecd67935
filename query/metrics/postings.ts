/**
 * Postings: for each label pair the ascending ids of the series that have it, all in one arena of 32-bit words.
 *
 * A list lies in a slot of 1, 2, 4, … words; when it is full it moves to one twice as large and its old slot is reused by the next list of
 * that size. Ids only grow, so appending keeps the order. Cost: about 5 bytes an entry.
 */
export class Postings {
  #words = new Uint32Array(1024)
  #end = 0
  #starts = new Uint32Array(256)
  #lengths = new Uint32Array(256)
  #classes = new Uint8Array(256)
  /** Free slots by size class. */
  readonly #free: number[][] = Array.from({ length: 32 }, () => [])
  lists = 0

  /** Makes an empty list and returns its number; they count from 0. */
  add(): number {
    if (this.lists === this.#starts.length) this.#growLists()
    const list = this.lists++
    this.#starts[list] = this.#take(0)
    return list
  }

  append(list: number, id: number): void {
    const length = this.#lengths[list]!
    const sizeClass = this.#classes[list]!
    if (length === 1 << sizeClass) {
      const from = this.#starts[list]!
      const to = this.#take(sizeClass + 1)
      this.#words.copyWithin(to, from, from + length)
      this.#free[sizeClass]!.push(from)
      this.#starts[list] = to
      this.#classes[list] = sizeClass + 1
    }
    this.#words[this.#starts[list]! + length] = id
    this.#lengths[list] = length + 1
  }

  length(list: number): number {
    return this.#lengths[list]!
  }

  /** A view that is good until the next append. */
  of(list: number): Uint32Array {
    const start = this.#starts[list]!
    return this.#words.subarray(start, start + this.#lengths[list]!)
  }

  memoryBytes(): number {
    return this.#words.byteLength + this.#starts.byteLength * 2 + this.#classes.byteLength
  }

  #take(sizeClass: number): number {
    const free = this.#free[sizeClass]!.pop()
    if (free !== undefined) return free
    const size = 1 << sizeClass
    if (this.#end + size > this.#words.length) {
      const grown = new Uint32Array(Math.max(Math.ceil(this.#words.length * 1.5), this.#end + size))
      grown.set(this.#words)
      this.#words = grown
    }
    const start = this.#end
    this.#end += size
    return start
  }

  #growLists(): void {
    const size = this.#starts.length * 2
    const starts = new Uint32Array(size)
    const lengths = new Uint32Array(size)
    const classes = new Uint8Array(size)
    starts.set(this.#starts)
    lengths.set(this.#lengths)
    classes.set(this.#classes)
    this.#starts = starts
    this.#lengths = lengths
    this.#classes = classes
  }
}
