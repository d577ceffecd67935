/** What waits to be indexed, and who wants to know what became of it. */
export type ItemResult = 'stored' | 'duplicate' | 'refused'

/** One partition's store, as the writer sees it. */
export interface ItemOwner {
  readonly journal: string
  readonly partition: number
  /** Records before it are durable: they never come again. */
  readonly fromOffset: number
  /** Its items are given up; the journal has them. */
  readonly isClosed: boolean
  settle(item: BulkItem, result: ItemResult): void
}

export interface BulkItem {
  readonly owner: ItemOwner
  /** The checkpoint it belongs to: its owner's affair. */
  readonly round: unknown
  readonly id: string
  /** The id is of what is inside, so that a client's repeat has the same; otherwise it is of the place. */
  readonly isByContent: boolean
  readonly tenant: string
  readonly offset: number
  readonly position: number
  /** When the record was appended to the journal. */
  readonly appendedMs: number
  readonly document: string
  /** It may be stored already, by us: look before it is sent (again). */
  isInDoubt: boolean
}

/** What an item takes of the queue: its text and what is around it. */
const ITEM_BYTES = 200

export function itemBytes(item: BulkItem): number {
  return item.document.length + ITEM_BYTES
}
