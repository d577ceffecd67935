/**
 * From producers to journal to shards, in this process: the record is made durable first, then its buffer moves to the worker that owns the
 * partition. The answer to the sender follows the fsync, not the apply.
 */
import {
  partitionKey,
  type Appended,
  type AppendRecord,
  type Cursor,
  type Journal,
  type JournalRecord,
  type ProducerMark,
  type ReadFrom,
  type Signal,
} from '../../lib/journal/index.ts'
import { AppendCounts, MarkedGate, type MarkedOutcome, type ProducedBatch } from '../../lib/producer/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Shards } from '../shard/index.ts'
import type { LostRange, QueryIngest, ReplayProgress } from './query-ingest.ts'
import { TenantRates } from './rates.ts'

export interface IngestOptions {
  readonly journal: Journal
  readonly shards: Shards
  readonly clock: Clock
  readonly producer: string
  /** Payload bytes a second a tenant may append; 0 = no limit. */
  readonly bytesPerSecond: (tenant: string) => number
}

export class Ingest implements QueryIngest {
  readonly #options: IngestOptions
  readonly #rates: TenantRates
  readonly #cursor: Cursor
  readonly #gate: MarkedGate
  readonly #controls: JournalRecord[] = []
  readonly counts = new AppendCounts()
  #progress = { totalRecords: 0, doneRecords: 0 }
  #isOpen = false

  constructor(options: IngestOptions) {
    this.#options = options
    this.#rates = new TenantRates(options.bytesPerSecond, options.clock)
    this.#cursor = options.journal.cursor('checkpoints')
    this.#gate = new MarkedGate((signal, partition, records) => this.#appendShipped(signal, partition, records), { trustsUnknown: false })
    for (const { key, nextOffset, producers } of options.shards.opened()) {
      this.#cursor.advance(key, nextOffset)
      this.#gate.seed(key, producers)
    }
    this.#cursor.advance(partitionKey('control', 0), options.journal.startOffset('control', 0))
  }

  partitionCount(signal: Signal): number {
    return this.#options.journal.partitions[signal]
  }

  /** Applies everything behind the checkpoints. Receivers start after it: a live record must not overtake a replayed one. */
  async start(): Promise<void> {
    const { journal, shards } = this.#options
    const from: ReadFrom[] = shards.opened().map(({ key, nextOffset }) => {
      const [signal, partition] = key.split('/') as [Signal, string]
      return { signal, partition: Number(partition), fromOffset: nextOffset }
    })
    for (const { signal, partition, fromOffset } of from) this.#progress.totalRecords += journal.endOffset(signal, partition) - fromOffset
    from.push({ signal: 'control', partition: 0, fromOffset: journal.startOffset('control', 0) })
    for await (const batch of journal.read(from)) {
      for (const record of batch) {
        if (record.signal === 'control') {
          this.#controls.push(record)
          continue
        }
        this.#gate.observe(record)
        await shards.appendWhenRoom(record)
        this.#progress.doneRecords++
      }
    }
    await shards.settled()
    this.#isOpen = true
  }

  get progress(): ReplayProgress {
    return this.#progress
  }

  /** Handed out once. */
  takeControls(): Promise<JournalRecord[]> {
    return Promise.resolve(this.#controls.splice(0))
  }

  /** Records go to their shard as they are appended, and messages keep their order: what was appended is readable. */
  fresh(): Promise<boolean> {
    return Promise.resolve(true)
  }

  owned(): readonly number[] {
    return Array.from({ length: this.#options.journal.partitions.metrics }, (_, p) => p)
  }

  lost(): readonly LostRange[] {
    return []
  }

  stopReading(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  append(signal: Signal, tenant: string, batches: readonly ProducedBatch[]): Promise<void> {
    const items = batches.reduce((sum, batch) => sum + batch.items, 0)
    return this.#counted(signal, items, async () => {
      for (const { partition } of batches) if (signal !== 'control') this.#options.shards.checkRoom(signal, partition)
      this.#rates.take(
        tenant,
        batches.reduce((sum, { payload }) => sum + payload.length, 0),
      )
      const results = await Promise.allSettled(batches.map((batch) => this.#appendAll(signal, batch.partition, [{ ...batch, tenant }])))
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    })
  }

  appendMarked(signal: Signal, partition: number, records: readonly JournalRecord[], acceptGaps: boolean): Promise<MarkedOutcome> {
    return this.#gate.take(signal, partition, records, acceptGaps)
  }

  #appendShipped(signal: Signal, partition: number, records: readonly JournalRecord[]): Promise<void> {
    const items = records.reduce((sum, record) => sum + record.items, 0)
    return this.#counted(signal, items, async () => {
      if (signal !== 'control') this.#options.shards.checkRoom(signal, partition)
      for (const { tenant, payload } of records) this.#rates.take(tenant, payload.length)
      await this.#appendAll(signal, partition, records)
    })
  }

  /** What is refused is counted with its reason. */
  async #counted(signal: Signal, items: number, append: () => Promise<void>): Promise<void> {
    try {
      if (!this.#isOpen) throw new SightlineError('unavailable', 'cannot append yet: the journal is being replayed', { retryAfterMs: 1000 })
      await append()
    } catch (error) {
      this.counts.refused(signal, items, error)
      throw error
    }
  }

  /** Records go to their shard in the reaction of the journal's promise, so in the order of offsets. */
  #appendAll(signal: Signal, partition: number, records: readonly AppendRecord[]): Promise<void> {
    return this.#options.journal.appendAll(signal, partition, records).then((appended) => {
      this.counts.appended(signal, records)
      for (const [i, record] of records.entries()) this.#appended(signal, partition, record, appended[i]!)
    })
  }

  #appended(signal: Signal, partition: number, record: AppendRecord, { offset, appendedMs }: Appended): void {
    const { journal, shards, producer } = this.#options
    const { encoding, tenant, items, payload, position, mark } = record
    if (signal === 'control') return
    const own: ProducerMark = { producer, epoch: journal.epoch, sequence: offset, previous: offset - 1 }
    shards.append({
      signal,
      partition,
      offset,
      appendedMs,
      encoding,
      tenant,
      items,
      position: position ?? '',
      mark: mark ?? own,
      payload,
    })
  }

  /** A partition's records before `offset` are in files now. */
  checkpointed(key: JournalRecordKey, offset: number): void {
    this.#cursor.advance(key, offset)
  }

  /** Control records before `offset` are contained in a later one. */
  controlCompacted(offset: number): void {
    this.#cursor.advance(partitionKey('control', 0), offset)
  }
}

type JournalRecordKey = Parameters<Cursor['advance']>[0]
