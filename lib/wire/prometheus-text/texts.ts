/**
 * The texts of lines (series without their values, comments), each with its ref, found by their bytes. A text is known by its number, 0 on.
 *
 *   bytes   up{a="1"}up{a="2"}…       one after another
 *   starts  0        9        18
 *
 * All of it is a handful of typed arrays: with a string and a map's entry a text, every garbage collection would walk all series of all targets.
 */
const NONE = -1

export class LineTexts {
  #bytes = Buffer.allocUnsafeSlow(4096)
  #view = viewOf(this.#bytes)
  #starts = new Uint32Array(65)
  #refs = new Int32Array(64)
  /** Numbers + 1 by hash, the next free place where it is taken; at most half full. */
  #table = new Int32Array(128)
  #size = 0

  get size(): number {
    return this.#size
  }

  ref(text: number): number {
    return this.#refs[text]!
  }

  /** Where a text ends in a body if it stands at `at`, −1 where other bytes do. */
  endIn(body: DataView, at: number, text: number): number {
    const from = this.#starts[text]!
    const length = this.#starts[text + 1]! - from
    if (at + length > body.byteLength) return NONE
    const view = this.#view
    let i = 0
    for (; i + 4 <= length; i += 4) if (view.getInt32(from + i) !== body.getInt32(at + i)) return NONE
    for (; i < length; i++) if (view.getUint8(from + i) !== body.getUint8(at + i)) return NONE
    return at + length
  }

  /** The number of the text in [from, to), −1 where it is not known. */
  find(bytes: Buffer, from: number, to: number): number {
    const found = this.#table[this.#place(bytes, from, to)]!
    return found - 1
  }

  /** A text that `find` didn't find. */
  add(bytes: Buffer, from: number, to: number, ref: number): number {
    this.#room(to - from)
    const text = this.#size++
    const start = this.#starts[text]!
    this.#table[this.#place(bytes, from, to)] = text + 1
    bytes.copy(this.#bytes, start, from, to)
    this.#starts[text + 1] = start + to - from
    this.#refs[text] = ref
    return text
  }

  /** The texts but for some, and the new number of each, −1 where it is gone. */
  without(isGone: (text: number) => boolean): { texts: LineTexts; numbers: Int32Array } {
    const texts = new LineTexts()
    const numbers = new Int32Array(this.#size).fill(NONE)
    for (let text = 0; text < this.#size; text++) {
      if (!isGone(text)) numbers[text] = texts.add(this.#bytes, this.#starts[text]!, this.#starts[text + 1]!, this.#refs[text]!)
    }
    return { texts, numbers }
  }

  /** Where the text lies in the table, or would. */
  #place(bytes: Buffer, from: number, to: number): number {
    const mask = this.#table.length - 1
    let place = hashOf(bytes, from, to) & mask
    for (let text = this.#table[place]!; text !== 0; text = this.#table[place]!) {
      if (this.#isAt(text - 1, bytes, from, to)) return place
      place = (place + 1) & mask
    }
    return place
  }

  #isAt(text: number, bytes: Buffer, from: number, to: number): boolean {
    const start = this.#starts[text]!
    const end = this.#starts[text + 1]!
    return end - start === to - from && this.#bytes.compare(bytes, from, to, start, end) === 0
  }

  #room(bytes: number): void {
    const end = this.#starts[this.#size]!
    if (end + bytes > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, end + bytes))
      this.#bytes.copy(grown, 0, 0, end)
      this.#bytes = grown
      this.#view = viewOf(grown)
    }
    if (this.#size < this.#refs.length) return
    const size = this.#size * 2
    this.#refs = grownTo(this.#refs, new Int32Array(size))
    this.#starts = grownTo(this.#starts, new Uint32Array(size + 1))
    this.#table = new Int32Array(size * 2)
    const mask = this.#table.length - 1
    for (let text = 0; text < this.#size; text++) {
      let place = hashOf(this.#bytes, this.#starts[text]!, this.#starts[text + 1]!) & mask
      while (this.#table[place] !== 0) place = (place + 1) & mask
      this.#table[place] = text + 1
    }
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function grownTo<T extends Int32Array | Uint32Array>(old: T, grown: T): T {
  grown.set(old)
  return grown
}

/** FNV-1a, its high bits mixed into the low ones. */
function hashOf(bytes: Buffer, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}
