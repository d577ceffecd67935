/** The streams of one tenant: labels to number and back, and which streams a list of matchers means. */
import { labelsKey, matchesAll, type Labels, type Matcher } from '../../lib/model/index.ts'

export class StreamIndex {
  readonly #byKey = new Map<string, number>()
  readonly #labels: Labels[] = []
  /** Label name -> value -> stream numbers, ascending. */
  readonly #postings = new Map<string, Map<string, number[]>>()

  get size(): number {
    return this.#labels.length
  }

  labelsOf(stream: number): Labels {
    return this.#labels[stream]!
  }

  find(labels: Labels): number | undefined {
    return this.#byKey.get(labelsKey(labels))
  }

  add(labels: Labels): number {
    const key = labelsKey(labels)
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const stream = this.#labels.length
    this.#labels.push(labels)
    this.#byKey.set(key, stream)
    for (let i = 0; i < labels.length; i += 2) {
      const values = this.#postings.get(labels[i]!) ?? new Map<string, number[]>()
      this.#postings.set(labels[i]!, values)
      const streams = values.get(labels[i + 1]!)
      if (streams === undefined) values.set(labels[i + 1]!, [stream])
      else streams.push(stream)
    }
    return stream
  }

  /** 1 for each stream that all matchers hold for. Cost: the shortest posting list of a literal matcher, or all streams. */
  select(matchers: readonly Matcher[]): Uint8Array {
    const out = new Uint8Array(this.#labels.length)
    for (const stream of this.#candidates(matchers)) if (matchesAll(matchers, this.#labels[stream]!)) out[stream] = 1
    return out
  }

  #candidates(matchers: readonly Matcher[]): Iterable<number> {
    let best: number[] | undefined
    for (const { name, literals } of matchers) {
      // The empty value also means streams without the label: they are in no posting list.
      if (literals === undefined || literals.includes('')) continue
      const values = this.#postings.get(name)
      const streams = literals.flatMap((value) => values?.get(value) ?? [])
      if (best === undefined || streams.length < best.length) best = streams
    }
    return best ?? this.#labels.keys()
  }

  memoryBytes(): number {
    return this.#labels.reduce((sum, labels) => sum + labels.length * 40 + 100, 0)
  }
}
