/** The layouts a shipper knows, each with its series' labels after relabeling; the one unused for longest is forgotten at the limit. */
import type { Labels } from '../../../lib/model/index.ts'
import type { Relabeler } from '../../../lib/relabel/index.ts'
import { layoutOfTable, type LayoutTable } from '../../../lib/wire/rows/index.ts'
import type { ShippedSeries } from './write-batch.ts'

export class SeriesMemory {
  readonly #relabeler: Relabeler
  readonly #seriesMax: number
  readonly #byId = new Map<string, ShippedSeries>()
  #count = 0

  constructor(relabeler: Relabeler, seriesMax: number) {
    this.#relabeler = relabeler
    this.#seriesMax = seriesMax
  }

  has(id: string): boolean {
    return this.#byId.has(id)
  }

  learn(table: LayoutTable): void {
    const series = layoutOfTable(table).series.map((labels): Labels | undefined => this.#relabeler.apply(labels))
    this.#byId.set(table.id, series)
    this.#count += series.length
    for (const [id, oldest] of this.#byId) {
      if (this.#count <= this.#seriesMax || id === table.id) break
      this.#byId.delete(id)
      this.#count -= oldest.length
    }
  }

  /** Marks it used. */
  get(id: string): ShippedSeries | undefined {
    const series = this.#byId.get(id)
    if (series === undefined) return undefined
    this.#byId.delete(id)
    this.#byId.set(id, series)
    return series
  }
}
