/**
 * All shards of this process behind one front: appends go to the owner of their partition, queries to every owner, answers are merged.
 */
import type { JournalRecord, PartitionKey } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { DATA_SIGNALS, type DataSignal, type FragmentKind, type FragmentRunner } from './fragment.ts'
import type { Cutoffs, PartitionStatus, ShardOptions } from './local-shard.ts'
import { WorkerShard, type WorkerCallbacks } from './worker-shard.ts'

export interface ShardsOptions extends Omit<ShardOptions, 'partitions'> {
  readonly partitionCount: number
  readonly workers: number
  /** Bytes of one signal on the way to one worker; more is refused. */
  readonly queueBytesMax: number
}

export class Shards implements FragmentRunner {
  readonly #shards: readonly WorkerShard[]
  readonly #queueBytesMax: number

  private constructor(shards: readonly WorkerShard[], queueBytesMax: number) {
    this.#shards = shards
    this.#queueBytesMax = queueBytesMax
  }

  static async open(options: ShardsOptions, callbacks: WorkerCallbacks): Promise<Shards> {
    const workers = Math.max(1, Math.min(options.workers, options.partitionCount))
    const opening = Array.from({ length: workers }, (_, worker) => {
      const partitions = Array.from({ length: options.partitionCount }, (__, p) => p).filter((p) => p % workers === worker)
      const { dir, journal, limits, checkpointIntervalMs, checkpointBytes, elastic } = options
      return WorkerShard.open({ dir, journal, limits, checkpointIntervalMs, checkpointBytes, elastic, partitions }, callbacks)
    })
    return new Shards(await Promise.all(opening), options.queueBytesMax)
  }

  #ownerOf(partition: number): WorkerShard {
    return this.#shards[partition % this.#shards.length]!
  }

  /** Offsets to replay from, as the partitions' checkpoints say. */
  replayFrom(): { key: PartitionKey; offset: number }[] {
    return this.#shards.flatMap((shard) => shard.opened.map((status) => ({ key: status.key, offset: status.nextOffset })))
  }

  /** Errors: too_many where the owner of a partition has too much on the way already. Asked before a record goes into the journal. */
  checkRoom(signal: DataSignal, partition: number): void {
    const waiting = this.#ownerOf(partition).inFlightBytes(signal)
    if (waiting > this.#queueBytesMax) {
      throw new SightlineError('too_many', `cannot append: the shard of partition ${partition} has ${waiting} bytes of ${signal} waiting`, {
        retryAfterMs: 1000,
      })
    }
  }

  append(record: JournalRecord): void {
    this.#ownerOf(record.partition).append(record)
  }

  async appendWhenRoom(record: JournalRecord): Promise<void> {
    const owner = this.#ownerOf(record.partition)
    await owner.below(this.#queueBytesMax, record.signal as DataSignal)
    owner.append(record)
  }

  /** Resolves once everything appended so far has been applied. */
  async settled(): Promise<void> {
    await Promise.all(this.#shards.flatMap((shard) => DATA_SIGNALS.map((signal) => shard.below(1, signal))))
  }

  async query<Store, Request, Answer>(
    kind: FragmentKind<Store, Request, Answer>,
    tenant: string,
    request: Request,
    signal: AbortSignal,
  ): Promise<Answer> {
    const answers = await Promise.all(this.#shards.map((shard) => shard.query(kind.name, tenant, request, signal)))
    return answers.length === 1 ? (answers[0] as Answer) : kind.merge(answers as Answer[], request)
  }

  async retain(cutoffs: Cutoffs): Promise<number> {
    const freed = await Promise.all(this.#shards.map((shard) => shard.retain(cutoffs)))
    return freed.reduce((sum, bytes) => sum + bytes, 0)
  }

  async status(): Promise<PartitionStatus[]> {
    return (await Promise.all(this.#shards.map((shard) => shard.status()))).flat()
  }

  /** What the stores count beside the ledger, all together. */
  async counters(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {}
    for (const { counters } of await this.status()) {
      for (const [name, value] of Object.entries(counters)) sums[name] = (sums[name] ?? 0) + value
    }
    return sums
  }

  async checkpoint(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.checkpoint()))
  }

  async close(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close()))
  }
}
