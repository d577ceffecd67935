/**
 * A member as a query node will be one: applies the records of its partitions of `logs`, commits marks, hands over, and keeps only what an accepted mark covers.
 */
import type { GroupHandlers, Journal, Mark, PartitionGroup, PartitionKey } from '../index.ts'

export type GroupEvent =
  | { readonly event: 'assigned' | 'revoked' | 'given' | 'lost'; readonly partitions: readonly number[] }
  | { readonly event: 'mark'; readonly partition: number; readonly offset: number; readonly node: string; readonly state: string }
  | { readonly event: 'applied' | 'accepted' | 'refused'; readonly partition: number; readonly offset: number }

interface Tenure {
  readonly stop: AbortController
  readonly rows: { readonly offset: number; readonly text: string }[]
  next: number
  accepted: number
  from: string
  running: Promise<void>
}

export interface GroupReaderOptions {
  readonly commitEveryMs: number
  readonly onEvent?: (event: GroupEvent) => void
  /** Runs in each hand-over, before its last commit. */
  readonly handOver?: () => Promise<void>
}

const keyOf = (partition: number): PartitionKey => `logs/${partition}`

export class GroupReader implements GroupHandlers {
  /** What accepted marks cover, of all tenures that ended. */
  readonly kept: string[] = []
  readonly events: GroupEvent[] = []
  readonly failures: unknown[] = []
  readonly #journal: Journal
  readonly #group: PartitionGroup
  readonly #options: GroupReaderOptions
  readonly #tenures = new Map<number, Tenure>()

  constructor(journal: Journal, group: PartitionGroup, options: GroupReaderOptions) {
    this.#journal = journal
    this.#group = group
    this.#options = options
  }

  get owned(): number[] {
    return [...this.#tenures.keys()].sort((a, b) => a - b)
  }

  /** Where applying stands, the partitions it has. */
  get next(): Map<number, number> {
    return new Map([...this.#tenures].map(([partition, { next }]) => [partition, next]))
  }

  #tell(event: GroupEvent): void {
    this.events.push(event)
    this.#options.onEvent?.(event)
  }

  assigned(partitions: readonly number[]): void {
    this.#tell({ event: 'assigned', partitions })
    for (const partition of partitions) {
      const tenure: Tenure = { stop: new AbortController(), rows: [], next: -1, accepted: -1, from: '', running: Promise.resolve() }
      this.#tenures.set(partition, tenure)
      tenure.running = this.#apply(partition, tenure).catch((error: unknown) => {
        if (!tenure.stop.signal.aborted) this.failures.push(error)
      })
    }
  }

  async #apply(partition: number, tenure: Tenure): Promise<void> {
    const mark: Mark | undefined = (await this.#group.committed([keyOf(partition)])).get(keyOf(partition))
    tenure.next = tenure.accepted = mark?.offset ?? 0
    tenure.from = mark?.node ?? ''
    const state = Buffer.from(mark?.state ?? []).toString()
    this.#tell({ event: 'mark', partition, offset: tenure.next, node: tenure.from, state })
    const from = [{ signal: 'logs' as const, partition, fromOffset: tenure.next }]
    let committedMs = Date.now()
    for await (const batch of this.#journal.read(from, { follow: true, signal: tenure.stop.signal })) {
      for (const { offset, payload } of batch) {
        tenure.rows.push({ offset, text: Buffer.from(payload).toString() })
        tenure.next = offset + 1
      }
      this.#tell({ event: 'applied', partition, offset: tenure.next })
      if (Date.now() - committedMs < this.#options.commitEveryMs) continue
      if (!(await this.commit(partition, tenure))) return
      committedMs = Date.now()
    }
  }

  /** The mark of where applying stands. */
  async commit(partition: number, tenure = this.#tenures.get(partition)!): Promise<boolean> {
    const offset = tenure.next
    const state = Buffer.from(JSON.stringify({ rows: tenure.rows.length, from: tenure.from, at: offset }))
    const isAccepted = await this.#group.commit(keyOf(partition), { offset, state })
    if (isAccepted) tenure.accepted = offset
    this.#tell({ event: isAccepted ? 'accepted' : 'refused', partition, offset })
    return isAccepted
  }

  async revoked(partitions: readonly number[]): Promise<void> {
    this.#tell({ event: 'revoked', partitions })
    await this.#options.handOver?.()
    await Promise.all(
      partitions.map(async (partition) => {
        const tenure = this.#tenures.get(partition)
        if (tenure === undefined) return
        tenure.stop.abort()
        await tenure.running
        if (tenure.next >= 0) await this.commit(partition, tenure)
        this.#finish(partition, tenure)
      }),
    )
    this.#tell({ event: 'given', partitions })
  }

  lost(partitions: readonly number[]): void {
    this.#tell({ event: 'lost', partitions })
    for (const partition of partitions) {
      const tenure = this.#tenures.get(partition)
      tenure?.stop.abort()
      if (tenure !== undefined) this.#finish(partition, tenure)
    }
  }

  /** Stops applying, as a crash would. */
  stop(): void {
    this.lost(this.owned)
  }

  #finish(partition: number, tenure: Tenure): void {
    if (this.#tenures.get(partition) !== tenure) return
    this.#tenures.delete(partition)
    for (const { offset, text } of tenure.rows) if (offset < tenure.accepted) this.kept.push(text)
  }
}
