import type { Labels } from '../../lib/model/index.ts'
import type { Appender, RowsAppender } from '../../lib/producer/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { SeriesBook } from '../../lib/wire/remote-write/index.ts'

/** Where receivers append, and what they add to everything. */
export interface Destination {
  readonly appender: Appender
  readonly rows: RowsAppender
  /** Added to every record that lacks them. The same array until they change. */
  readonly externalLabels: () => Labels
  readonly clock: Clock
  /** Largest decompressed body. */
  readonly bodyBytesMax: number
}

/** Tenants whose series are remembered; the one unused for longest is forgotten. */
const BOOKS_MAX = 256

/** A book of known series a tenant: label sets of one tenant must never be in another's layouts. */
export class TenantBooks {
  readonly #books = new Map<string, SeriesBook>()

  of(tenant: string): SeriesBook {
    const book = this.#books.get(tenant) ?? new SeriesBook()
    this.#books.delete(tenant)
    this.#books.set(tenant, book)
    if (this.#books.size > BOOKS_MAX) this.#books.delete(this.#books.keys().next().value!)
    return book
  }
}
