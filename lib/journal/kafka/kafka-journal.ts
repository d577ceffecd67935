/**
 * The journal in Kafka: a topic a signal, the record's payload as message value, the rest as headers (`headers.ts`, docs/formats/kafka.md). Kafka's brokers hold, replicate and
 * delete; here are the producer (`producer.ts`), readers (`fetch.ts`), and what is known of each partition's range.
 */
import { createHash, randomBytes } from 'node:crypto'
import { deleteRecordsV2 } from '@platformatic/kafka'
import type { KafkaConfig } from '../../config/index.ts'
import { systemClock, type Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import type { Appended, Cursor, Journal, JournalStats, ReadFrom } from '../journal.ts'
import { partitionKey, SIGNALS, type PartitionKey, type Signal } from '../partition.ts'
import { RECORD_BYTES_MAX, type AppendRecord, type JournalRecord, type ProducerMark } from '../record.ts'
import { Cluster } from './cluster.ts'
import type { Connections } from './connections.ts'
import { answerOf, CODE, codeError, requestError } from './errors.ts'
import { FetchSession, type Fetched, type Position } from './fetch.ts'
import { decodeRecord, encodeHeaders, messageBytesMax } from './headers.ts'
import { listOffsets, type OffsetRange } from './offsets.ts'
import { Producer, type Outgoing } from './producer.ts'
import { ensureTopics, topicOf } from './topics.ts'

export interface KafkaJournalOptions {
  readonly config: KafkaConfig
  /** Partitions of metrics, logs and traces each; control has one. Topics with another number are refused. */
  readonly partitions: number
  /** Of records without a mark: this node's name. */
  readonly producer: string
  /** A message in our topics that none of us wrote, or that is damaged; it is skipped. */
  readonly onForeign?: (topic: string, partition: number, offset: number, why: string) => void
  readonly clock?: Clock
}

export interface KafkaJournalStats {
  readonly queueBytes: number
  readonly produceRequests: number
  readonly produceRetries: number
  /** Records whose append was rejected after it had been tried: they may be in the log. */
  readonly givenUpRecords: number
  readonly foreignRecords: number
}

export interface KafkaJournal extends Journal {
  /** What is unwise about the topics' settings, found at the start. */
  readonly warnings: readonly string[]
  /** Asks the brokers for every partition's range; between, own appends and reads keep it fresh. Errors: unavailable. */
  refreshOffsets(): Promise<void>
  kafkaStats(): KafkaJournalStats
}

const FOLLOW_WAIT_MS = 500
const EPOCH_BYTES = 8

/**
 * Errors: unavailable (no broker), unauthenticated, forbidden, conflict (topics that can't be used, with what to do), not_found (topics are missing and not to be made).
 */
export async function openKafkaJournal(options: KafkaJournalOptions): Promise<KafkaJournal> {
  const clock = options.clock ?? systemClock
  const cluster = new Cluster(options.config, options.producer)
  try {
    const { warnings, messageBytesMax: bytesMax } = await ensureTopics(cluster, options.partitions, clock)
    const journal = new TopicJournal(options, cluster, clock, warnings, bytesMax)
    await journal.refreshOffsets().catch(async (error: unknown) => {
      await journal.close()
      throw error
    })
    return journal
  } catch (error) {
    await cluster.close()
    throw error
  }
}

class TopicJournal implements KafkaJournal {
  readonly epoch: string
  readonly partitions: Readonly<Record<Signal, number>>
  readonly warnings: readonly string[]
  readonly #options: KafkaJournalOptions
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #producer: Producer
  readonly #connections: Connections
  readonly #ranges = new Map<PartitionKey, OffsetRange>()
  readonly #cursors = new Set<Map<PartitionKey, number>>()
  readonly #closing = new AbortController()
  /** Of records without a mark: this life of the writer. */
  readonly #ownEpoch = `${Date.now().toString(36)}-${randomBytes(EPOCH_BYTES).toString('hex')}`
  #stats = { appendedRecords: 0, appendedItems: 0, appendedBytes: 0, foreignRecords: 0 }

  constructor(
    options: KafkaJournalOptions,
    cluster: Cluster,
    clock: Clock,
    warnings: readonly string[],
    bytesMax: ReadonlyMap<string, number>,
  ) {
    this.#options = options
    this.#cluster = cluster
    this.#clock = clock
    this.warnings = warnings
    this.partitions = { metrics: options.partitions, logs: options.partitions, traces: options.partitions, control: 1 }
    this.#connections = cluster.connections(options.config.request_timeout)
    this.#producer = new Producer(cluster, {
      clock,
      queueBytesMax: options.config.queue_size_max,
      batchBytesMax: (topic) => bytesMax.get(topic)!,
    })
    // Topics made anew under the same names are another journal.
    const ids = SIGNALS.map((signal) => cluster.topic(this.#topicOf(signal))!.id)
    this.epoch = createHash('sha256')
      .update([cluster.clusterId, ...ids].join('\n'))
      .digest('hex')
      .slice(0, 32)
  }

  #topicOf(signal: Signal): string {
    return topicOf(this.#options.config.topic_prefix, signal)
  }

  async append(signal: Signal, partition: number, record: AppendRecord): Promise<Appended> {
    const [appended] = await this.appendAll(signal, partition, [record])
    return appended!
  }

  async appendAll(signal: Signal, partition: number, records: readonly AppendRecord[]): Promise<readonly Appended[]> {
    if (!(partition >= 0 && partition < this.partitions[signal])) {
      throw new SightlineError('internal', `BUG: journal has no partition ${signal}/${partition}`)
    }
    const large = records.find(({ payload }) => payload.length > RECORD_BYTES_MAX)
    if (large !== undefined) {
      const what = `cannot append ${large.payload.length} bytes to the journal: a record has at most ${RECORD_BYTES_MAX}`
      throw new SightlineError('too_large', what)
    }
    if (records.length === 0) return []
    const sent = await this.#producer.sendAll(records.map((record) => this.#outgoing(signal, partition, record)))
    for (const [i, { items, payload }] of records.entries()) {
      this.#stats.appendedRecords++
      this.#stats.appendedItems += items
      this.#stats.appendedBytes += payload.length
      this.#noteRange(partitionKey(signal, partition), { start: sent[i]!.startOffset, end: sent[i]!.offset + 1 })
    }
    return sent.map(({ offset, appendedMs }) => ({ offset, appendedMs }))
  }

  #outgoing(signal: Signal, partition: number, record: AppendRecord): Outgoing {
    const { producer } = this.#options
    return {
      topic: this.#topicOf(signal),
      partition,
      bytes: messageBytesMax(record, producer, this.#ownEpoch),
      isNumbered: record.mark === undefined,
      encode: (sequence, previous) => {
        const mark: ProducerMark = record.mark ?? { producer, epoch: this.#ownEpoch, sequence, previous }
        return { value: record.payload, headers: encodeHeaders(record, mark) }
      },
    }
  }

  /** Answers may come out of order: a range only grows at its end and shrinks at its start. */
  #noteRange(key: PartitionKey, { start, end }: OffsetRange): void {
    const known = this.#ranges.get(key) ?? { start: 0, end: 0 }
    this.#ranges.set(key, { start: Math.max(known.start, start), end: Math.max(known.end, end) })
  }

  async *read(from: readonly ReadFrom[], options: { follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<JournalRecord[]> {
    const isFollowing = options.follow === true
    const stop = AbortSignal.any([this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])])
    const session = new FetchSession(this.#cluster, this.#clock, isFollowing ? FOLLOW_WAIT_MS : 0)
    const wake = (): void => session.wake()
    stop.addEventListener('abort', wake)
    const open = new Map<Position, Signal>()
    for (const { signal, partition, fromOffset } of from) {
      const position = { topic: this.#topicOf(signal), partition, offset: fromOffset, isPaused: false }
      open.set(position, signal)
      session.add(position)
    }
    try {
      while (open.size > 0 && !stop.aborted) {
        const answers = await session.poll()
        if (!isFollowing && session.failingMs > this.#options.config.delivery_timeout) {
          throw new SightlineError('unavailable', 'cannot read the journal: no broker answers', { retryAfterMs: 1000 })
        }
        const batches: JournalRecord[][] = []
        for (const answer of answers) {
          const signal = open.get(answer.position)!
          batches.push(this.#take(signal, answer))
          if (!isFollowing && answer.position.offset >= answer.range.end) {
            open.delete(answer.position)
            session.remove(answer.position)
          }
        }
        // The next request is under way while the reader works on this answer.
        session.start()
        for (const batch of batches) if (batch.length > 0 && !stop.aborted) yield batch
      }
    } finally {
      stop.removeEventListener('abort', wake)
      await session.close()
    }
  }

  #take(signal: Signal, { position, records, range, isGone }: Fetched): JournalRecord[] {
    const { topic, partition, offset } = position
    const key = partitionKey(signal, partition)
    this.#noteRange(key, range)
    if (isGone) {
      const why =
        offset < range.start
          ? `records ${offset} to ${range.start - 1} are gone`
          : `the topic ends at ${range.end}: records were lost, or it was made anew`
      throw new SightlineError('not_found', `cannot read ${key} from offset ${offset}: ${why}`)
    }
    const out: JournalRecord[] = []
    for (const record of records) {
      const decoded = decodeRecord(signal, partition, record)
      if (typeof decoded !== 'string') out.push(decoded)
      else {
        this.#stats.foreignRecords++
        this.#options.onForeign?.(topic, partition, record.offset, decoded)
      }
    }
    return out
  }

  endOffset(signal: Signal, partition: number): number {
    return this.#ranges.get(partitionKey(signal, partition))?.end ?? 0
  }

  startOffset(signal: Signal, partition: number): number {
    return this.#ranges.get(partitionKey(signal, partition))?.start ?? 0
  }

  async refreshOffsets(): Promise<void> {
    const keys = SIGNALS.flatMap((signal) => Array.from({ length: this.partitions[signal] }, (_, partition) => ({ signal, partition })))
    const partitions = keys.map(({ signal, partition }) => ({ topic: this.#topicOf(signal), partition }))
    const ranges = await listOffsets(this.#cluster, this.#connections, partitions, this.#clock)
    for (const [i, { signal, partition }] of keys.entries()) this.#noteRange(partitionKey(signal, partition), ranges[i]!)
  }

  /** Kafka deletes by its own retention: a cursor holds nothing in the data topics. In control, which Kafka keeps, it says what `deletePassed` may take. */
  cursor(_name: string): Cursor {
    const positions = new Map<PartitionKey, number>()
    this.#cursors.add(positions)
    return {
      advance: (key, offset) => positions.set(key, offset),
      remove: () => this.#cursors.delete(positions),
    }
  }

  /** Control only, up to what every cursor on it has passed. How many bytes that were, the broker doesn't tell: always 0. */
  async deletePassed(): Promise<number> {
    const key = partitionKey('control', 0)
    const passed = [...this.#cursors].map((positions) => positions.get(key)).filter((offset) => offset !== undefined)
    const offset = Math.min(...passed, this.endOffset('control', 0))
    if (passed.length === 0 || offset <= this.startOffset('control', 0)) return 0
    const topic = this.#topicOf('control')
    const what = `delete records of ${topic}`
    try {
      const leader = this.#cluster.leaderOf(topic, 0)
      const broker = leader === undefined ? undefined : this.#cluster.broker(leader)
      if (broker === undefined) throw new SightlineError('unavailable', `cannot ${what}: it has no leader`)
      const topics = [{ name: topic, partitions: [{ partitionIndex: 0, offset: BigInt(offset) }] }]
      const connection = await this.#connections.get(broker)
      const answer = await answerOf(deleteRecordsV2.api.async(connection, topics, this.#options.config.request_timeout))
      const { errorCode } = answer.topics[0]!.partitions[0]!
      if (errorCode !== CODE.none) throw codeError(what, errorCode)
    } catch (error) {
      throw requestError(what, error)
    }
    this.#noteRange(key, { start: offset, end: offset })
    return 0
  }

  /** `bytes` is what waits for the brokers; segments and full disks are theirs. */
  stats(): JournalStats {
    const { appendedRecords, appendedItems, appendedBytes } = this.#stats
    return {
      bytes: this.#producer.queueBytes,
      segments: 0,
      appendedRecords,
      appendedItems,
      appendedBytes,
      rejectedFull: this.#producer.stats.rejectedFull,
      droppedRecords: 0,
      syncs: this.#producer.stats.requests,
      tornBytes: 0,
    }
  }

  kafkaStats(): KafkaJournalStats {
    const { requests, retries, givenUp } = this.#producer.stats
    return {
      queueBytes: this.#producer.queueBytes,
      produceRequests: requests,
      produceRetries: retries,
      givenUpRecords: givenUp,
      foreignRecords: this.#stats.foreignRecords,
    }
  }

  async close(): Promise<void> {
    await this.#producer.close()
    this.#closing.abort()
    await this.#connections.close()
    await this.#cluster.close()
  }
}
