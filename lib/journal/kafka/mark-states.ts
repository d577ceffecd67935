/**
 * The state bytes of marks, in the compacted topic `<prefix>.checkpoints`. A commit can carry no more than a few kilobytes, so it names node and mark, and the state lies here.
 *
 * Each node has two **slots** for a partition and writes a new mark's state into the one that does not hold its last accepted mark; then it commits. So whoever is refused,
 * dies between the two, or was no owner any longer, has overwritten nothing that a committed mark names: a state is found by (partition, node, mark id) of the commit.
 */
import { systemClock, type Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import type { PartitionKey } from '../partition.ts'
import type { Cluster } from './cluster.ts'
import { FetchSession, type FetchedRecord, type Position } from './fetch.ts'
import type { Producer } from './producer.ts'

export type Slot = 0 | 1

export interface StateEntry {
  readonly key: PartitionKey
  readonly node: string
  readonly slot: Slot
  readonly mark: string
  readonly state: Uint8Array
}

const MARK_HEADER = Buffer.from('mark')
/** Headers and frame of a message here. */
const FRAME_BYTES = 256

export class MarkStates {
  readonly #cluster: Cluster
  readonly #producer: Producer
  readonly #topic: string
  readonly #clock: Clock
  readonly #entries = new Map<string, StateEntry>()
  #nextOffset = 0
  #reading: Promise<void> = Promise.resolve()

  constructor(cluster: Cluster, producer: Producer, topic: string, clock: Clock = systemClock) {
    this.#cluster = cluster
    this.#producer = producer
    this.#topic = topic
    this.#clock = clock
  }

  /** Resolves once it is durable. Errors: unavailable (whether it was written is not known), too_many. */
  async write(entry: StateEntry): Promise<void> {
    await this.#send(entry, entry.state)
  }

  /** Deletes what is in a slot. */
  async remove(entry: StateEntry): Promise<void> {
    await this.#send(entry, null)
  }

  async #send(entry: StateEntry, value: Uint8Array | null): Promise<void> {
    const key = nameOf(entry)
    await this.#producer.send({
      topic: this.#topic,
      partition: 0,
      bytes: key.length + (value?.length ?? 0) + FRAME_BYTES,
      isNumbered: false,
      encode: () => ({ key: Buffer.from(key), value, headers: new Map([[MARK_HEADER, Buffer.from(entry.mark)]]) }),
    })
  }

  /** Takes in what was written since the last call. Errors: unavailable. */
  refresh(): Promise<void> {
    const next = this.#reading.then(() => this.#readToEnd())
    this.#reading = next.catch(() => undefined)
    return next
  }

  async #readToEnd(): Promise<void> {
    const session = new FetchSession(this.#cluster, this.#clock, 0)
    const position: Position = { topic: this.#topic, partition: 0, offset: this.#nextOffset, isPaused: false }
    session.add(position)
    try {
      for (;;) {
        for (const { records, range, isGone } of await session.poll()) {
          if (isGone) position.offset = range.start
          for (const record of records) this.#take(record)
          if (!isGone && position.offset >= range.end) return
        }
        if (session.failingMs > this.#cluster.config.request_timeout) {
          throw new SightlineError('unavailable', `cannot read topic ${this.#topic}: no broker answers`, { retryAfterMs: 1000 })
        }
      }
    } finally {
      this.#nextOffset = position.offset
      await session.close()
    }
  }

  #take({ key, value, headers }: FetchedRecord): void {
    const [signal, number, slot, ...node] = key?.toString().split('/') ?? []
    const name = key?.toString() ?? ''
    const mark = headers.find(([header]) => header?.equals(MARK_HEADER) === true)?.[1]?.toString()
    if (value === null || mark === undefined) this.#entries.delete(name)
    else {
      const at = { key: `${signal}/${number}` as PartitionKey, node: node.join('/'), slot: Number(slot) as Slot }
      this.#entries.set(name, { ...at, mark, state: new Uint8Array(value) })
    }
  }

  /** As of the last `refresh`. */
  find(key: PartitionKey, node: string, mark: string): StateEntry | undefined {
    return ([0, 1] as const).map((slot) => this.#entries.get(nameOf({ key, node, slot }))).find((entry) => entry?.mark === mark)
  }

  /** Everything a node has in its slots, as of the last `refresh`. */
  of(node: string): StateEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.node === node)
  }
}

function nameOf({ key, node, slot }: Pick<StateEntry, 'key' | 'node' | 'slot'>): string {
  return `${key}/${slot}/${node}`
}
