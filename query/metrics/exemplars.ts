import { labelsKey, matchesAll, type Labels, type Matcher } from '../../lib/model/index.ts'

export interface StoredExemplar {
  readonly series: Labels
  readonly labels: Labels
  readonly value: number
  readonly timestampMs: number
}

export interface SeriesExemplars {
  readonly series: Labels
  readonly exemplars: readonly StoredExemplar[]
}

/**
 * The newest exemplars of a tenant, at most `sizeMax`; the oldest makes room. One that equals its series' newest, or is older, is not taken: the rule
 * that Prometheus applies in `tsdb/exemplar.go`.
 */
export class ExemplarRing {
  readonly #sizeMax: number
  readonly #ring: StoredExemplar[] = []
  readonly #newest = new Map<string, StoredExemplar>()
  #next = 0

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }

  add(exemplar: StoredExemplar): void {
    const key = labelsKey(exemplar.series)
    const newest = this.#newest.get(key)
    if (newest !== undefined && exemplar.timestampMs <= newest.timestampMs) return
    const evicted = this.#ring[this.#next]
    if (evicted !== undefined) {
      const evictedKey = labelsKey(evicted.series)
      if (this.#newest.get(evictedKey) === evicted) this.#newest.delete(evictedKey)
    }
    this.#newest.set(key, exemplar)
    this.#ring[this.#next] = exemplar
    this.#next = (this.#next + 1) % this.#sizeMax
  }

  /** From the oldest to the newest. */
  all(): StoredExemplar[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)]
  }

  /** Exemplars in the range of the series that any of the selectors holds for, by series. */
  select(selectors: readonly (readonly Matcher[])[], startMs: number, endMs: number): SeriesExemplars[] {
    const bySeries = new Map<string, { series: Labels; exemplars: StoredExemplar[] }>()
    for (const exemplar of this.all()) {
      if (exemplar.timestampMs < startMs || exemplar.timestampMs > endMs) continue
      if (!selectors.some((matchers) => matchesAll(matchers, exemplar.series))) continue
      const key = labelsKey(exemplar.series)
      const entry = bySeries.get(key) ?? { series: exemplar.series, exemplars: [] }
      entry.exemplars.push(exemplar)
      bySeries.set(key, entry)
    }
    return [...bySeries.values()]
  }
}
