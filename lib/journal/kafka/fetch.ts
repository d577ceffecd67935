/**
 * Reading partitions: one request in flight per broker, each over all partitions that it leads and that aren't paused. A caller may start the next request before it works on an
 * answer: then one answer a broker is read ahead. Whatever fails is tried again; only what trying can't mend is thrown.
 */
import { fetchV13, IS_CONTROL, type RecordsBatch } from '@platformatic/kafka'
import type { Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import type { Cluster } from './cluster.ts'
import type { Connections } from './connections.ts'
import { answerOf, causeOf, CODE, codeError, isRetriable, offsetOf, requestError } from './errors.ts'
import { listOffsets, type OffsetRange, type TopicPartition } from './offsets.ts'

/** Where reading of a partition stands. The session moves `offset`; who owns the position sets `isPaused`. */
export interface Position extends TopicPartition {
  offset: number
  isPaused: boolean
}

export interface FetchedRecord {
  readonly offset: number
  /** The append time where the topic keeps that, else the producer's. */
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[]
}

export interface Fetched {
  readonly position: Position
  /** In order; views of one buffer. */
  readonly records: readonly FetchedRecord[]
  readonly range: OffsetRange
  /** True where the position's offset is not in the range: nothing was read, and nothing will be until the position is moved. */
  readonly isGone: boolean
}

type FetchAnswer = ReturnType<typeof fetchV13.parseResponse>
type PartitionAnswer = FetchAnswer['responses'][number]['partitions'][number]

const RETRY_MS = 200
const LOG_APPEND_TIME = 1 << 3
/** One partition's share of an answer; a larger batch comes whole all the same. */
const PARTITION_BYTES_MAX = 2 * 1024 * 1024
/** What may wait at the broker beside the answer itself. */
const ANSWER_SLACK_MS = 5000

export class FetchSession {
  readonly #cluster: Cluster
  readonly #connections: Connections
  readonly #clock: Clock
  readonly #waitMs: number
  readonly #positions = new Set<Position>()
  readonly #topicIds = new Map<string, string>()
  readonly #retryAtMs = new Map<Position, number>()
  readonly #pending = new Map<number, Promise<{ node: number; fetched: Fetched[] }>>()
  #mending: Promise<undefined> | undefined
  #wake: () => void = () => {}
  #closed = false
  #failingSinceMs: number | undefined
  #turn = 0

  /** @param waitMs how long a broker holds a request for which it has nothing */
  constructor(cluster: Cluster, clock: Clock, waitMs: number) {
    this.#cluster = cluster
    this.#clock = clock
    this.#waitMs = waitMs
    this.#connections = cluster.connections(cluster.config.request_timeout + waitMs + ANSWER_SLACK_MS)
  }

  /** Why the last request failed, for whoever looks; '' if none did. */
  lastFailure = ''

  /** How long nothing has been answered; 0 while something is. */
  get failingMs(): number {
    return this.#failingSinceMs === undefined ? 0 : this.#clock.now() - this.#failingSinceMs
  }

  add(position: Position): void {
    const id = this.#cluster.topic(position.topic)?.id
    if (id !== undefined && !this.#topicIds.has(position.topic)) this.#topicIds.set(position.topic, id)
    this.#positions.add(position)
    this.wake()
  }

  remove(position: Position): void {
    this.#positions.delete(position)
    this.#retryAtMs.delete(position)
  }

  /** Ends a `poll` that waits: positions were added or go on. */
  wake(): void {
    this.#wake()
  }

  /**
   * The next answer of a broker; empty where there was nothing, or something failed and will be tried again.
   * Errors: conflict (a topic was made anew), forbidden, internal.
   */
  async poll(): Promise<Fetched[]> {
    this.start()
    const woken = new Promise<undefined>((resolve) => (this.#wake = () => resolve(undefined)))
    if (this.#retryAtMs.size > 0) this.#mending ??= this.#mend()
    const first = await Promise.race([...this.#pending.values(), woken, ...(this.#mending === undefined ? [] : [this.#mending])])
    if (first === undefined) return []
    this.#pending.delete(first.node)
    return first.fetched
  }

  /** Asks every broker that has no request of ours; `poll` does so too, but a caller with work to do may start ahead of it. */
  start(): void {
    for (const [node, positions] of this.#eligible()) {
      if (this.#pending.has(node)) continue
      const fetching = this.#fetch(node, positions)
      // Its error is `poll`'s, whenever that is called.
      fetching.catch(() => undefined)
      this.#pending.set(node, fetching)
    }
  }

  /** Positions to ask for, by leader; the first to be asked for changes, so that one full partition can't keep the others waiting. */
  #eligible(): Map<number, Position[]> {
    const nowMs = this.#clock.now()
    const all = [...this.#positions]
    const turn = all.length === 0 ? 0 : this.#turn++ % all.length
    const out = new Map<number, Position[]>()
    for (const position of [...all.slice(turn), ...all.slice(0, turn)]) {
      if (position.isPaused || (this.#retryAtMs.get(position) ?? 0) > nowMs) continue
      const leader = this.#cluster.leaderOf(position.topic, position.partition)
      if (leader === undefined) this.#retryLater(position)
      else out.set(leader, [...(out.get(leader) ?? []), position])
    }
    return out
  }

  /** Ends when what failed may be tried again, with leaders asked for anew. */
  async #mend(): Promise<undefined> {
    await this.#clock.sleep(RETRY_MS)
    await this.#cluster.refresh().catch(() => undefined)
    this.#mending = undefined
  }

  #retryLater(position: Position): void {
    this.#failingSinceMs ??= this.#clock.now()
    this.#retryAtMs.set(position, this.#clock.now() + RETRY_MS)
  }

  async #fetch(node: number, positions: readonly Position[]): Promise<{ node: number; fetched: Fetched[] }> {
    const asked = new Map<string, Map<number, { position: Position; offset: number }>>()
    for (const position of positions) {
      const id = this.#idOf(position.topic)
      if (!asked.has(id)) asked.set(id, new Map())
      asked.get(id)!.set(position.partition, { position, offset: position.offset })
    }
    const topics = [...asked].map(([topicId, partitions]) => ({
      topicId,
      partitions: [...partitions].map(([partition, { offset }]) => ({
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(offset),
        lastFetchedEpoch: -1,
        partitionMaxBytes: PARTITION_BYTES_MAX,
      })),
    }))
    let answer: FetchAnswer
    try {
      const connection = await this.#connections.get(this.#cluster.broker(node)!)
      const request = fetchV13.api.async(connection, this.#waitMs, 1, this.#cluster.config.fetch_size_max, 0, 0, -1, topics, [], '')
      answer = await answerOf(request)
      if (answer.errorCode !== CODE.none) throw codeError('fetch', answer.errorCode)
    } catch (error) {
      if (this.#closed) return { node, fetched: [] }
      if (!isWorthRetrying(error)) throw requestError('fetch records', error)
      this.lastFailure = causeOf(error)
      for (const position of positions) this.#retryLater(position)
      return { node, fetched: [] }
    }
    const fetched: Fetched[] = []
    for (const { topicId, partitions } of answer.responses) {
      for (const partition of partitions) {
        const { position, offset } = asked.get(topicId)?.get(partition.partitionIndex) ?? {}
        // Meanwhile the position may have gone, or gone elsewhere.
        if (position === undefined || !this.#positions.has(position) || position.offset !== offset) continue
        const one = await this.#take(position, partition)
        if (one !== undefined) fetched.push(one)
      }
    }
    return { node, fetched }
  }

  #idOf(topic: string): string {
    const id = this.#cluster.topic(topic)!.id
    const known = this.#topicIds.get(topic)
    if (known === undefined) this.#topicIds.set(topic, id)
    else if (known !== id) {
      throw new SightlineError('conflict', `cannot read topic ${topic} on: it was deleted and made anew; restart to begin with it`)
    }
    return id
  }

  async #take(position: Position, answer: PartitionAnswer): Promise<Fetched | undefined> {
    const { errorCode } = answer
    if (errorCode === CODE.offsetOutOfRange) {
      const range = await this.#rangeOf(position)
      // A leader that has just taken over may lag behind what it will have.
      const isThere = range === undefined || (position.offset >= range.start && position.offset <= range.end)
      if (!isThere) return { position, records: [], range, isGone: true }
      this.#retryLater(position)
      return undefined
    }
    if (errorCode !== CODE.none) {
      const error = codeError(`read ${position.topic}/${position.partition}`, errorCode)
      if (!isRetriable(errorCode)) throw error
      this.lastFailure = error.message
      this.#retryLater(position)
      return undefined
    }
    this.#failingSinceMs = undefined
    this.#retryAtMs.delete(position)
    const range = { start: offsetOf(answer.logStartOffset), end: offsetOf(answer.highWatermark) }
    const records: FetchedRecord[] = []
    for (const batch of answer.records ?? []) takeBatch(batch, position, records)
    return { position, records, range, isGone: false }
  }

  /** undefined where it can't be learnt now. */
  async #rangeOf(position: Position): Promise<OffsetRange | undefined> {
    try {
      return (await listOffsets(this.#cluster, this.#connections, [position], this.#clock))[0]
    } catch (error) {
      if (this.#closed) return undefined
      if (!isWorthRetrying(error)) throw error
      this.lastFailure = causeOf(error)
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.wake()
    await this.#connections.close()
    await Promise.allSettled(this.#pending.values())
  }
}

function isWorthRetrying(error: unknown): boolean {
  return !(error instanceof SightlineError) || (error.retriable && error.kind !== 'conflict')
}

/** The records of a batch at or past the position, which then stands behind the batch: offsets inside may be missing, where Kafka compacted. */
function takeBatch(batch: RecordsBatch, position: Position, out: FetchedRecord[]): void {
  const first = offsetOf(batch.firstOffset)
  const next = first + batch.lastOffsetDelta + 1
  if (next <= position.offset) return
  if ((batch.attributes & IS_CONTROL) === 0) {
    const isAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0
    for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
      const offset = first + offsetDelta
      if (offset < position.offset) continue
      const timestampMs = Number(isAppendTime ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta)
      out.push({ offset, timestampMs, key, value, headers })
    }
  }
  position.offset = next
}

/** The bytes in a buffer of exactly their size, the receiver's own. A value that came in several pieces has been put together into such a one already. */
export function ownBytes(value: Buffer): Uint8Array {
  const isOwn = value.byteOffset === 0 && value.buffer.byteLength === value.length
  return isOwn ? new Uint8Array(value.buffer) : new Uint8Array(value)
}
