/**
 * A shard on the calling thread: partitions, their stores, and the scheduler between them. The worker shard runs one of these on a thread of
 * its own; tests and single-core machines run it directly.
 */
import { join } from 'node:path'
import { partitionKey, type JournalRecord, type Mark, type PartitionKey, type ProducerState } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { ElasticSettings } from '../elastic/index.ts'
import type { PartitionStore, StoreLimits, StoreOpenOptions, Task } from '../store/index.ts'
import { DATA_SIGNALS, type AnyFragmentKind, type DataSignal, type FragmentKind } from './fragment.ts'
import type { PartitionLedger } from './manifest.ts'
import { Partition, type CommitMark, type OwnedFrom, type PartitionPlace } from './partition.ts'
import type { ProducerCounts } from './producer-ledger.ts'
import { Scheduler } from './scheduler.ts'

/** What a signal brings to a shard: how its store is opened, and the fragments it answers. */
export interface SignalHost {
  readonly signal: DataSignal
  openStore(options: StoreOpenOptions, place: PartitionPlace): Promise<PartitionStore>
  readonly kinds: readonly AnyFragmentKind[]
}

export interface ShardOptions {
  /** Holds `<signal>/<partition>/`. */
  readonly dir: string
  readonly journal: string
  /** Partition numbers of this shard, of each signal. In a group they are history until they are given to this node. */
  readonly partitions: readonly number[]
  /** This node's name in a group; absent: this node is alone and owns what it opens. */
  readonly node?: string
  readonly limits: StoreLimits
  readonly checkpointIntervalMs: number
  readonly checkpointBytes: number
  /** Where logs are kept, if not here. */
  readonly elastic?: ElasticSettings | undefined
}

export interface PartitionStatus {
  readonly key: PartitionKey
  /** False: another node applies it, what is here is history. */
  readonly isOwned: boolean
  readonly nextOffset: number
  readonly checkpointOffset: number
  readonly memoryBytes: number
  readonly ledger: PartitionLedger
  /** What its store counts beside. */
  readonly counters: Readonly<Record<string, number>>
}

/** A partition as it was opened, with what it knows of producers. */
export interface OpenedPartition extends PartitionStatus {
  readonly producers: readonly ProducerState[]
}

/** Times of the metrics that are held of one partition, ascending; the last may reach to Infinity. */
export interface Holding {
  readonly partition: number
  readonly ranges: readonly (readonly [startMs: number, endMs: number])[]
}

/** Data older than these is forgotten, Unix milliseconds. */
export type Cutoffs = Readonly<Record<DataSignal, number>>

/** How often the shard looks whether a partition is due. */
const TICK_MS = 1000
/** Compaction is looked for this often, in ticks. */
const COMPACT_TICKS = 30
/** What a last checkpoint may take where a store elsewhere has to answer. */
const DRAIN_MS = 10_000

export class LocalShard {
  readonly #options: ShardOptions
  readonly #kinds = new Map<string, AnyFragmentKind>()
  readonly #partitions = new Map<PartitionKey, Partition>()
  readonly #scheduler = new Scheduler()
  readonly #callbacks: ShardCallbacks
  #lastCheckpointMs = new Map<PartitionKey, number>()
  #timer: NodeJS.Timeout | undefined
  #ticks = 0
  #tending = false
  readonly #settling = new Set<PartitionKey>()

  private constructor(options: ShardOptions, callbacks: ShardCallbacks) {
    this.#options = options
    this.#callbacks = callbacks
  }

  static async open(options: ShardOptions, hosts: readonly SignalHost[], callbacks: ShardCallbacks): Promise<LocalShard> {
    const shard = new LocalShard(options, callbacks)
    for (const host of hosts) {
      for (const kind of host.kinds) shard.#kinds.set(kind.name, kind)
      for (const number of options.partitions) await shard.#openPartition(host, number)
    }
    shard.#timer = setInterval(() => void shard.#tend(), TICK_MS)
    shard.#timer.unref()
    return shard
  }

  async #openPartition(host: SignalHost, number: number): Promise<void> {
    const partition = await Partition.open({
      signal: host.signal,
      number,
      dir: join(this.#options.dir, host.signal, String(number)),
      journal: this.#options.journal,
      limits: this.#options.limits,
      openStore: (options, place) => host.openStore(options, place),
      commit: this.#options.node === undefined ? undefined : this.#callbacks.commit,
      onTrouble: this.#callbacks.onError,
    })
    this.#partitions.set(partition.key, partition)
    this.#lastCheckpointMs.set(partition.key, Date.now())
  }

  /** The group gave these to this node. @param marks the last accepted ones, by partition */
  async own(numbers: readonly number[], marks: ReadonlyMap<PartitionKey, Mark>): Promise<OwnedFrom[]> {
    const from: OwnedFrom[] = []
    for (const partition of this.#ofNumbers(numbers)) {
      from.push(await partition.own(this.#options.node!, marks.get(partition.key)))
      this.#lastCheckpointMs.set(partition.key, Date.now())
    }
    return from
  }

  /** Resolves once all of these were given up with everything that was accepted. */
  async handOver(numbers: readonly number[]): Promise<void> {
    await Promise.all(this.#ofNumbers(numbers).map((partition) => partition.handOver()))
  }

  /** Those that are not this node's: what earlier processes left is kept or dropped. */
  async decide(marks: ReadonlyMap<PartitionKey, Mark>): Promise<void> {
    for (const partition of this.#partitions.values()) await partition.decide(this.#options.node!, marks.get(partition.key))
  }

  async lose(numbers: readonly number[]): Promise<void> {
    await Promise.all(this.#ofNumbers(numbers).map((partition) => partition.lose()))
  }

  #ofNumbers(numbers: readonly number[]): Partition[] {
    const keys = numbers.flatMap((number) => DATA_SIGNALS.map((signal) => partitionKey(signal, number)))
    return keys.map((key) => this.#partitions.get(key)).filter((partition) => partition !== undefined)
  }

  append(record: JournalRecord): void {
    const partition = this.#partitions.get(partitionKey(record.signal, record.partition))
    if (partition === undefined) throw new SightlineError('internal', `BUG: shard has no partition ${record.signal}/${record.partition}`)
    partition.append(record)
  }

  /** undefined while the partition's store can take more, otherwise resolves when it can. */
  room({ signal, partition }: JournalRecord): Promise<void> | undefined {
    return this.#partitions.get(partitionKey(signal, partition))?.store.room?.()
  }

  /** The merged answer of this shard's partitions. Errors: whatever the kind throws; not_found for a kind this version doesn't know. */
  query(kindName: string, tenant: string, request: unknown, signal?: AbortSignal): Promise<unknown> {
    const kind = this.#kinds.get(kindName)
    if (kind === undefined) return Promise.reject(new SightlineError('not_found', `cannot execute fragment ${kindName}: unsupported`))
    return this.#scheduler.run(this.#execute(kind as FragmentKind<PartitionStore, unknown, unknown>, tenant, request), signal)
  }

  *#execute(kind: FragmentKind<PartitionStore, unknown, unknown>, tenant: string, request: unknown): Task<unknown> {
    const answers: unknown[] = []
    for (const partition of this.#partitions.values()) {
      if (partition.signal !== kind.signal) continue
      answers.push(yield* kind.execute(partition.store, tenant, request))
      yield
    }
    return kind.merge(answers, request)
  }

  transferOf(kindName: string, answer: unknown): ArrayBuffer[] {
    return (this.#kinds.get(kindName) as FragmentKind<never, never, unknown> | undefined)?.transfer?.(answer) ?? []
  }

  /** Takes checkpoints that are due, one after another, and merges small files now and then. */
  async #tend(): Promise<void> {
    if (this.#tending) return
    this.#tending = true
    this.#ticks++
    try {
      for (const partition of this.#partitions.values()) {
        if (partition.isUndecided) continue
        const ageMs = Date.now() - (this.#lastCheckpointMs.get(partition.key) ?? 0)
        const isDue = ageMs >= this.#options.checkpointIntervalMs || partition.bytesSinceCheckpoint >= this.#options.checkpointBytes
        if (isDue && partition.needsCheckpoint) await this.#checkpointInTurn(partition)
        if (this.#ticks % COMPACT_TICKS === 0) {
          const merged = await this.#scheduler.runInBackground(partition.store.compact(Date.now()))
          if (merged) partition.markChanged()
        }
      }
    } catch (error) {
      this.#callbacks.onError(error, 'checkpoint or compaction')
    } finally {
      this.#tending = false
    }
  }

  async #checkpoint(partition: Partition): Promise<void> {
    this.#lastCheckpointMs.set(partition.key, Date.now())
    this.#callbacks.onCheckpoint(partition.key, await partition.checkpoint())
  }

  /** One whose store settles later is not waited for: others would wait as long as somebody else is away. */
  async #checkpointInTurn(partition: Partition): Promise<void> {
    if (partition.store.settlesLater !== true) return this.#checkpoint(partition)
    if (this.#settling.has(partition.key)) return
    this.#settling.add(partition.key)
    this.#checkpoint(partition)
      .catch((error: unknown) => this.#callbacks.onError(error, `checkpoint of ${partition.key}`))
      .finally(() => this.#settling.delete(partition.key))
  }

  async checkpointAll(): Promise<void> {
    await this.#checkpointLocal()
    await Promise.all(this.#settlingLater().map((partition) => this.#checkpoint(partition)))
  }

  async #checkpointLocal(): Promise<void> {
    for (const partition of this.#partitions.values()) if (partition.store.settlesLater !== true) await this.#checkpoint(partition)
  }

  #settlingLater(): Partition[] {
    return [...this.#partitions.values()].filter(({ store }) => store.settlesLater === true)
  }

  /** Forgets what is older than the cut-offs; returns bytes freed. */
  retain(cutoffs: Cutoffs): number {
    let freed = 0
    for (const partition of this.#partitions.values()) {
      if (partition.isUndecided) continue
      const bytes = partition.store.dropBefore(() => cutoffs[partition.signal])
      if (bytes > 0) partition.markChanged()
      freed += bytes
    }
    return freed
  }

  status(): PartitionStatus[] {
    return [...this.#partitions.values()].map((partition) => ({
      key: partition.key,
      isOwned: partition.isOwned,
      nextOffset: partition.nextOffset,
      checkpointOffset: partition.checkpointOffset,
      memoryBytes: partition.store.memoryBytes(),
      ledger: partition.ledger,
      counters: partition.store.counters?.() ?? {},
    }))
  }

  opened(): OpenedPartition[] {
    const status = this.status()
    return [...this.#partitions.values()].map((partition, i) => ({ ...status[i]!, producers: partition.producers() }))
  }

  /** Of the metrics: where parts of a series may lie. */
  holdings(): Holding[] {
    const metrics = [...this.#partitions.values()].filter(({ signal }) => signal === 'metrics')
    return metrics.map(({ key, store }) => ({ partition: Number(key.slice('metrics/'.length)), ranges: store.timeRanges?.() ?? [] }))
  }

  producerCounts(): { key: PartitionKey; producers: ProducerCounts[] }[] {
    return [...this.#partitions.values()].map((partition) => ({ key: partition.key, producers: partition.producerCounts() }))
  }

  /** With a last checkpoint, so that the next start replays nothing. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    while (this.#tending) await new Promise((resolve) => setTimeout(resolve, 5))
    await this.#checkpointLocal()
    const settled = this.#settlingLater().map((partition) => this.#settle(partition))
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, DRAIN_MS)))
    if (settled.length > 0) await Promise.race([Promise.all(settled), enough])
    clearTimeout(timer)
    for (const partition of this.#partitions.values()) await partition.store.close()
    await Promise.all(settled)
  }

  /** Until nothing is left to settle. What a store elsewhere doesn't take is in the journal, and replayed at the next start. */
  async #settle(partition: Partition): Promise<void> {
    try {
      while (partition.needsCheckpoint) await this.#checkpoint(partition)
    } catch (error) {
      this.#callbacks.onError(error, `last checkpoint of ${partition.key}`)
    }
  }
}

export interface ShardCallbacks {
  readonly onCheckpoint: (key: PartitionKey, offset: number) => void
  readonly onError: (error: unknown, where: string) => void
  /** In a group only. */
  readonly commit?: CommitMark
}
