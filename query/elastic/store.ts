/**
 * The logs of one partition on their way to Elasticsearch. Nothing of them lies in the partition's folder: a checkpoint is the offset up to which every line is stored there, or counted as
 * rejected.
 *
 * `append` decodes a record as the embedded store does, and queues a document a line. What becomes of it is known later: it is `pending` until a checkpoint says.
 */
import { createHash } from 'node:crypto'
import { decodeLabels, decodeMetadata, walkStreams } from '../../lib/wire/otlp/logs/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { AppendOutcome, CheckpointFiles, PartitionStore, StoreOpenOptions, StoreRecord, Task } from '../store/index.ts'
import type { BulkItem, ItemOwner, ItemResult } from './bulk-item.ts'
import type { BulkCounters, BulkWriter } from './bulk-writer.ts'
import { encodeDocument, encodeMetadata, encodeStream, TimestampWriter, type DocumentPlace } from './document.ts'
import type { LogIndices } from './indices.ts'
import { EncodedTexts, StreamCount } from './streams-seen.ts'

export interface ElasticLogStoreOptions extends StoreOpenOptions {
  readonly journal: string
  readonly partition: number
  readonly writer: BulkWriter
  readonly indices: LogIndices
  /** One partition of all looks after rollover and retention. */
  readonly keepsIndices: boolean
  /** One partition of a thread tells the writer's counters. */
  readonly tellsCounters: (store: object) => boolean
  readonly onTrouble: (error: unknown, where: string) => void
  readonly onClose: (store: object) => Promise<void>
}

interface SavedState {
  readonly store: 'elasticsearch'
  readonly offset: number
}

/** Items between two checkpoints. */
class Round {
  pending = 0
  stored = 0
  readonly dropped: Record<string, number> = {}
  #whenDone: (() => void)[] = []

  settle(result: ItemResult): void {
    this.pending--
    if (result === 'stored') this.stored++
    else this.dropped[result] = (this.dropped[result] ?? 0) + 1
    this.wake()
  }

  wake(): void {
    if (this.pending === 0) for (const done of this.#whenDone.splice(0)) done()
  }

  async done(): Promise<void> {
    if (this.pending > 0) await new Promise<void>((resolve) => this.#whenDone.push(resolve))
  }

  /** Nobody will settle what is left. */
  giveUp(): void {
    for (const done of this.#whenDone.splice(0)) done()
  }
}

export class ElasticLogStore implements PartitionStore, ItemOwner {
  readonly settlesLater = true
  readonly journal: string
  readonly partition: number
  readonly fromOffset: number
  readonly #options: ElasticLogStoreOptions
  readonly #idPrefix = new Map<string, string>()
  readonly #streams = new EncodedTexts()
  readonly #metadata = new EncodedTexts()
  readonly #count: StreamCount
  readonly #timestamps = new TimestampWriter()
  #round = new Round()
  #closing: Round | undefined
  #nextOffset: number
  #isClosed = false
  #tending = false

  constructor(options: ElasticLogStoreOptions) {
    const saved = options.state as Partial<SavedState> | undefined
    if (options.files.length > 0) {
      throw new SightlineError(
        'conflict',
        `cannot open logs partition ${options.partition} for Elasticsearch: its data folder holds ${options.files.length} files of the embedded store; logs.store is chosen when a data folder is new`,
      )
    }
    this.#options = options
    this.journal = options.journal
    this.partition = options.partition
    this.fromOffset = saved?.offset ?? 0
    this.#nextOffset = this.fromOffset
    this.#count = new StreamCount(options.limits.streamsMax)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  append(tenant: string, record: StoreRecord): AppendOutcome {
    // A first walk that only looks: bytes that are no protobuf are refused before anything of them is stored.
    walkStreams(record.payload, { stream: () => {}, record: () => {} })
    const { limits, journal, partition } = this.#options
    const latestMs = limits.futureMaxMs > 0 ? record.appendedMs + limits.futureMaxMs : Infinity
    const isByContent = !record.positioned && limits.repeatWindowMs > 0
    const { payload: bytes, offset } = record
    const dropped: Record<string, number> = {}
    const drop = (reason: string): void => {
      dropped[reason] = (dropped[reason] ?? 0) + 1
    }
    const equals = new Map<string, number>()
    const idPrefix = this.#idPrefixOf(tenant)
    let stream: string | undefined
    let pending = 0
    let position = 0
    walkStreams(bytes, {
      stream: (from, to) => {
        stream = this.#count.admits(tenant, bytes, from, to)
          ? this.#streams.of(`${tenant}\n`, bytes, from, to, () => encodeStream(tenant, decodeLabels(bytes, from, to)))
          : undefined
      },
      record: (timeMs, subNs, lineFrom, lineTo, metaFrom, metaTo) => {
        const place: DocumentPlace = { journal, partition, offset, position: position++ }
        if (stream === undefined) return drop('limit_streams')
        if (timeMs > latestMs) return drop('future')
        const line = bytes.subarray(lineFrom, lineTo)
        const metadata = this.#metadata.of('', bytes, metaFrom, metaTo, () => encodeMetadata(decodeMetadata(bytes, metaFrom, metaTo)))
        const timestamp = this.#timestamps.write(timeMs, subNs)
        const id = isByContent
          ? contentId(equals, stream, timestamp, metadata, line)
          : `${idPrefix}-${offset.toString(36)}-${place.position.toString(36)}`
        const document = encodeDocument(stream, timestamp, line, metadata, place)
        const { appendedMs } = record
        const item: BulkItem = {
          owner: this,
          round: this.#round,
          id,
          isByContent,
          tenant,
          offset,
          position: place.position,
          appendedMs,
          document,
          isInDoubt: false,
        }
        pending++
        this.#round.pending++
        this.#options.writer.add(item)
      },
    })
    this.#nextOffset = offset + 1
    return { stored: 0, dropped, pending }
  }

  #idPrefixOf(tenant: string): string {
    let prefix = this.#idPrefix.get(tenant)
    if (prefix === undefined) {
      const { journal, partition } = this.#options
      prefix = createHash('sha256')
        .update(JSON.stringify([tenant, journal, partition]))
        .digest('base64url')
        .slice(0, ID_LENGTH)
      this.#idPrefix.set(tenant, prefix)
    }
    return prefix
  }

  settle(item: BulkItem, result: ItemResult): void {
    ;(item.round as Round).settle(result)
  }

  room(): Promise<void> | undefined {
    return this.#options.writer.room()
  }

  async checkpoint(): Promise<CheckpointFiles> {
    const round = this.#round
    const offset = this.#nextOffset
    this.#round = new Round()
    this.#closing = round
    await round.done()
    this.#closing = undefined
    if (round.pending > 0) {
      throw new SightlineError(
        'unavailable',
        `cannot take a checkpoint of logs partition ${this.partition}: ${round.pending} lines are not stored yet, the journal keeps them`,
      )
    }
    if (this.#options.keepsIndices) await this.#tend('roll over', () => this.#options.indices.rollOver())
    return {
      files: [],
      state: { store: 'elasticsearch', offset } satisfies SavedState,
      outcome: { stored: round.stored, dropped: round.dropped },
    }
  }

  async release(): Promise<void> {}

  // eslint-disable-next-line require-yield
  *compact(): Task<boolean> {
    return false
  }

  /** Retention of all partitions: whole backing indices, in the background. It is one for all tenants. Where this partition has no checkpoints, rollover is seen to here. */
  dropBefore(cutoffMs: (tenant: string) => number): number {
    if (this.#options.keepsIndices && !this.#tending && !this.#isClosed) {
      void this.#tend('roll over or delete old indices', async () => {
        await this.#options.indices.rollOver()
        await this.#options.indices.deleteBefore(cutoffMs('default'))
      })
    }
    return 0
  }

  async #tend(what: string, work: () => Promise<unknown>): Promise<void> {
    this.#tending = true
    try {
      await work()
    } catch (error) {
      if (!this.#isClosed) this.#options.onTrouble(error, what)
    } finally {
      this.#tending = false
    }
  }

  /** The queue is the thread's, and bounded there. */
  memoryBytes(): number {
    return this.#streams.bytes + this.#metadata.bytes + this.#count.bytes
  }

  counters(): BulkCounters {
    return this.#options.tellsCounters(this) ? this.#options.writer.counters() : {}
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closing?.giveUp()
    await this.#options.onClose(this)
  }
}

/** Characters of a SHA-256 in base64url: 132 bits. */
const ID_LENGTH = 22

/** Of what is inside, and how many equal ones stand before it in its record: a client's repeat has the same, whatever its offset. */
function contentId(equals: Map<string, number>, stream: string, timestamp: string, metadata: string, line: Uint8Array): string {
  const hash = createHash('sha256').update(`${stream}\n${timestamp}\n${metadata}\n`).update(line).digest('base64url').slice(0, ID_LENGTH)
  const before = equals.get(hash) ?? 0
  equals.set(hash, before + 1)
  return before === 0 ? hash : `${hash}-${before.toString(36)}`
}
