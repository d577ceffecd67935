/**
 * From producers to journal to shards, in this process: the record is made durable first, then its buffer moves to the worker that owns the
 * partition. The answer to the sender follows the fsync, not the apply.
 */
import {
  partitionKey,
  type Cursor,
  type Journal,
  type JournalRecord,
  type ProducerMark,
  type ReadFrom,
  type Signal,
} from '../../lib/journal/index.ts'
import type { Appender, ProducedBatch } from '../../lib/producer/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Shards } from '../shard/index.ts'
import { TenantRates } from './rates.ts'

export interface IngestOptions {
  readonly journal: Journal
  readonly shards: Shards
  readonly clock: Clock
  readonly producer: string
  /** Payload bytes a second a tenant may append; 0 = no limit. */
  readonly bytesPerSecond: (tenant: string) => number
}

/** What came in through this process since it started, by signal. */
export interface IngestCounters {
  readonly records: number
  readonly items: number
  readonly bytes: number
  readonly refused: Readonly<Record<string, number>>
}

/** Records of data behind the checkpoints; control records are read at every start and not counted. */
export interface ReplayProgress {
  readonly totalRecords: number
  readonly doneRecords: number
}

export class Ingest implements Appender {
  readonly #options: IngestOptions
  readonly #rates: TenantRates
  readonly #cursor: Cursor
  readonly #controls: JournalRecord[] = []
  readonly #counters = new Map<Signal, { records: number; items: number; bytes: number; refused: Record<string, number> }>()
  #progress = { totalRecords: 0, doneRecords: 0 }
  #isOpen = false

  constructor(options: IngestOptions) {
    this.#options = options
    this.#rates = new TenantRates(options.bytesPerSecond, options.clock)
    this.#cursor = options.journal.cursor('checkpoints')
    for (const { key, offset } of options.shards.replayFrom()) this.#cursor.advance(key, offset)
    this.#cursor.advance(partitionKey('control', 0), options.journal.startOffset('control', 0))
  }

  partitionCount(signal: Signal): number {
    return this.#options.journal.partitions[signal]
  }

  /** Applies everything behind the checkpoints. Receivers start after it: a live record must not overtake a replayed one. */
  async replay(): Promise<void> {
    const { journal, shards } = this.#options
    const from: ReadFrom[] = shards.replayFrom().map(({ key, offset }) => {
      const [signal, partition] = key.split('/') as [Signal, string]
      return { signal, partition: Number(partition), fromOffset: offset }
    })
    for (const { signal, partition, fromOffset } of from) this.#progress.totalRecords += journal.endOffset(signal, partition) - fromOffset
    from.push({ signal: 'control', partition: 0, fromOffset: journal.startOffset('control', 0) })
    for await (const batch of journal.read(from)) {
      for (const record of batch) {
        if (record.signal === 'control') {
          this.#controls.push(record)
          continue
        }
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

  /** Control records found by the replay, oldest first; handed out once. */
  takeControls(): JournalRecord[] {
    return this.#controls.splice(0)
  }

  async append(signal: Signal, tenant: string, batches: readonly ProducedBatch[]): Promise<void> {
    try {
      if (!this.#isOpen) throw new SightlineError('unavailable', 'cannot append yet: the journal is being replayed', { retryAfterMs: 1000 })
      let bytes = 0
      for (const batch of batches) {
        if (signal !== 'control') this.#options.shards.checkRoom(signal, batch.partition)
        bytes += batch.payload.length
      }
      this.#rates.take(tenant, bytes)
      const results = await Promise.allSettled(batches.map((batch) => this.#appendOne(signal, tenant, batch)))
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    } catch (error) {
      const reason = error instanceof SightlineError ? error.kind : 'internal'
      const { refused } = this.#countersOf(signal)
      refused[reason] = (refused[reason] ?? 0) + batches.reduce((sum, batch) => sum + batch.items, 0)
      throw error
    }
  }

  /** The record goes to its shard in the reaction of the journal's promise, so in the order of offsets. */
  #appendOne(signal: Signal, tenant: string, batch: ProducedBatch): Promise<void> {
    const { journal, shards, producer } = this.#options
    const { partition, encoding, payload, items, position, mark } = batch
    const record = {
      encoding,
      tenant,
      items,
      payload,
      ...(position === undefined ? {} : { position }),
      ...(mark === undefined ? {} : { mark }),
    }
    return journal.append(signal, partition, record).then(({ offset, appendedMs }) => {
      const counters = this.#countersOf(signal)
      counters.records++
      counters.items += items
      counters.bytes += payload.length
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

  counters(signal: Signal): IngestCounters {
    return this.#countersOf(signal)
  }

  #countersOf(signal: Signal): { records: number; items: number; bytes: number; refused: Record<string, number> } {
    let counters = this.#counters.get(signal)
    if (counters === undefined) this.#counters.set(signal, (counters = { records: 0, items: 0, bytes: 0, refused: {} }))
    return counters
  }
}

type JournalRecordKey = Parameters<Cursor['advance']>[0]
