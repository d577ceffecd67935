/**
 * All shards of this process behind one front: appends go to the owner of their partition, queries to every owner, answers are merged.
 */
import type { JournalRecord, Mark, PartitionKey } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { DATA_SIGNALS, type DataSignal, type FragmentKind, type FragmentRunner } from './fragment.ts'
import type { Cutoffs, Holding, OpenedPartition, PartitionStatus, ShardOptions } from './local-shard.ts'
import type { OwnedFrom } from './partition.ts'
import type { ProducerCounts } from './producer-ledger.ts'
import { WorkerShard, type WorkerCallbacks } from './worker-shard.ts'

export interface ShardsOptions extends Omit<ShardOptions, 'partitions' | 'node'> {
  /** In a group: every partition is opened to be read, and owned when the group gives it. */
  readonly node?: string | undefined
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
    const { dir, journal, limits, checkpointIntervalMs, checkpointBytes, node } = options
    const all = Array.from({ length: options.partitionCount }, (_, p) => p)
    const opening = Array.from({ length: workers }, (_, worker) => {
      const partitions = all.filter((p) => p % workers === worker)
      const common = { dir, journal, limits, checkpointIntervalMs, checkpointBytes, elastic: options.elastic, partitions }
      return WorkerShard.open(node === undefined ? common : { ...common, node }, callbacks)
    })
    return new Shards(await Promise.all(opening), options.queueBytesMax)
  }

  #ownerOf(partition: number): WorkerShard {
    return this.#shards[partition % this.#shards.length]!
  }

  /** The partitions as their checkpoints left them: `nextOffset` is where a replay begins. */
  opened(): OpenedPartition[] {
    return this.#shards.flatMap((shard) => shard.opened)
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

  /** Aborted, nothing was appended. */
  async appendWhenRoom(record: JournalRecord, abort?: AbortSignal): Promise<void> {
    const owner = this.#ownerOf(record.partition)
    await owner.below(this.#queueBytesMax, record.signal as DataSignal, abort)
    if (abort?.aborted !== true) owner.append(record)
  }

  /** The group gave these partitions to this node; answers where each goes on. Nothing of them is appended before. */
  async own(numbers: readonly number[], marks: ReadonlyMap<PartitionKey, Mark>): Promise<OwnedFrom[]> {
    return (await this.#ofOwners(numbers, (shard, ours) => shard.own(ours, marks))).flat()
  }

  /** Candidates of earlier processes, of partitions that are not this node's now: kept or dropped, by the last accepted marks of all. */
  async decide(marks: ReadonlyMap<PartitionKey, Mark>): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.decide(marks)))
  }

  /** Nothing of them is appended any more. Resolves once the group answered their last marks. */
  async handOver(numbers: readonly number[]): Promise<void> {
    await this.#ofOwners(numbers, (shard, ours) => shard.handOver(ours))
  }

  async lose(numbers: readonly number[]): Promise<void> {
    await this.#ofOwners(numbers, (shard, ours) => shard.lose(ours))
  }

  #ofOwners<T>(numbers: readonly number[], ask: (shard: WorkerShard, numbers: readonly number[]) => Promise<T>): Promise<T[]> {
    const owners = new Set(numbers.map((number) => this.#ownerOf(number)))
    return Promise.all(
      [...owners].map((owner) =>
        ask(
          owner,
          numbers.filter((number) => this.#ownerOf(number) === owner),
        ),
      ),
    )
  }

  /** Of the metrics, by partition. */
  async holdings(): Promise<Holding[]> {
    return (await Promise.all(this.#shards.map((shard) => shard.holdings()))).flat()
  }

  /** What became of each producer's records, by partition. */
  async producerCounts(): Promise<{ key: PartitionKey; producers: ProducerCounts[] }[]> {
    return (await Promise.all(this.#shards.map((shard) => shard.producerCounts()))).flat()
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
