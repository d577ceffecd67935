/** A group over Kafka's group protocol: membership (`membership.ts`) says who owns a partition, the group's offsets and a compacted topic (`mark-states.ts`) keep its marks. */
import { randomBytes } from 'node:crypto'
import type { KafkaConfig } from '../../config/index.ts'
import { systemClock, type Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { MARK_STATE_BYTES_MAX, type GroupHandlers, type Mark, type PartitionGroup } from '../group.ts'
import type { PartitionKey, Signal } from '../partition.ts'
import { Cluster } from './cluster.ts'
import type { CommittedOffset } from './coordinator.ts'
import { MarkStates, type Slot, type StateEntry } from './mark-states.ts'
import { Membership } from './membership.ts'
import type { TopicPartition } from './offsets.ts'
import { Producer } from './producer.ts'
import { checkpointsTopicOf, ensureTopics, topicOf } from './topics.ts'

export interface KafkaGroupOptions {
  readonly config: KafkaConfig
  /** As the journal's. */
  readonly partitions: number
  /** This node's name: no other member may have it, and it stays the same over restarts. */
  readonly node: string
  /** Membership ended for good (another process has this name, or we are not allowed): `lost` was called, the process should end. */
  readonly onFatal: (error: SightlineError) => void
  readonly clock?: Clock
}

/** What a commit carries beside the offset. */
interface MarkName {
  readonly node: string
  readonly mark: string
}

interface Pending {
  readonly entry: StateEntry
  readonly offset: number
}

/** What this member knows of its own marks of a partition in one tenure. */
interface Slots {
  readonly tenure: number
  accepted: Slot | undefined
  /** Committed without an answer: asked again before anything else, so that no slot is written over that may be accepted. */
  pending: Pending | undefined
}

/** Errors: as `openKafkaJournal`. */
export async function openKafkaGroup(options: KafkaGroupOptions): Promise<PartitionGroup> {
  const clock = options.clock ?? systemClock
  const cluster = new Cluster(options.config, options.node)
  try {
    const { messageBytesMax } = await ensureTopics(cluster, options.partitions, clock)
    const producer = new Producer(cluster, {
      clock,
      queueBytesMax: options.config.queue_size_max,
      batchBytesMax: (topic) => messageBytesMax.get(topic)!,
    })
    return new KafkaGroup(options, cluster, producer, clock)
  } catch (error) {
    await cluster.close()
    throw error
  }
}

class KafkaGroup implements PartitionGroup {
  readonly #options: KafkaGroupOptions
  readonly #cluster: Cluster
  readonly #producer: Producer
  readonly #membership: Membership
  readonly #states: MarkStates
  readonly #slots = new Map<PartitionKey, Slots>()
  readonly #committing = new Map<PartitionKey, Promise<unknown>>()
  /** Makes mark ids of this process unlike those of any other. */
  readonly #life = randomBytes(8).toString('hex')
  #marks = 0

  constructor(options: KafkaGroupOptions, cluster: Cluster, producer: Producer, clock: Clock) {
    const { config, partitions, node, onFatal } = options
    this.#options = options
    this.#cluster = cluster
    this.#producer = producer
    this.#states = new MarkStates(cluster, producer, checkpointsTopicOf(config.topic_prefix), clock)
    const units = Array.from({ length: partitions }, (_, partition) => {
      const signals: Signal[] = partition === 0 ? ['metrics', 'logs', 'traces', 'control'] : ['metrics', 'logs', 'traces']
      return signals.map((signal) => ({ topic: topicOf(config.topic_prefix, signal), partition }))
    })
    this.#membership = new Membership({ cluster, groupId: config.group_id, node, units, clock, onFatal })
  }

  async join(handlers: GroupHandlers): Promise<void> {
    await this.#membership.join(handlers)
    await this.#sweep().catch((error: unknown) => {
      // The next start sweeps again.
      if (!(error instanceof SightlineError && error.retriable)) throw error
    })
  }

  /** Deletes states of this node that no mark names. Only now: with our name taken, nobody else writes or commits them. */
  async #sweep(): Promise<void> {
    await this.#states.refresh()
    const entries = this.#states.of(this.#options.node)
    const offsets = await this.#membership.committed(entries.map(({ key }) => this.#partitionOf(key)))
    const unused = entries.filter((entry) => nameIn(offsets.get(this.#idOf(entry.key)))?.mark !== entry.mark)
    // A partition that is ours by now has its slots in use.
    const removed = unused.filter(({ key }) => this.#membership.tenureOf(unitOf(key)) === undefined)
    await Promise.all(removed.map((entry) => this.#states.remove(entry)))
  }

  async committed(keys: readonly PartitionKey[]): Promise<ReadonlyMap<PartitionKey, Mark>> {
    // Offsets first: the state of a mark was durable before it was committed.
    const offsets = await this.#membership.committed(keys.map((key) => this.#partitionOf(key)))
    await this.#states.refresh()
    const out = new Map<PartitionKey, Mark>()
    for (const key of keys) {
      const found = offsets.get(this.#idOf(key))
      if (found === undefined) continue
      const name = nameIn(found)
      const entry = name === undefined ? undefined : this.#states.find(key, name.node, name.mark)
      if (name !== undefined && entry === undefined) {
        const topic = checkpointsTopicOf(this.#options.config.topic_prefix)
        throw new SightlineError(
          'corruption',
          `cannot read the mark of ${key}: topic ${topic} has no state ${name.mark} of node ${name.node}`,
        )
      }
      out.set(key, { offset: found.offset, node: name?.node ?? '', state: entry?.state ?? new Uint8Array() })
    }
    return out
  }

  commit(key: PartitionKey, mark: Omit<Mark, 'node'>): Promise<boolean> {
    if (mark.state.length > MARK_STATE_BYTES_MAX) {
      const what = `cannot commit a mark of ${key} with ${mark.state.length} bytes of state: at most ${MARK_STATE_BYTES_MAX}`
      return Promise.reject(new SightlineError('too_large', what))
    }
    // One after another: a slot is free only once the commit before is answered.
    const before = this.#committing.get(key) ?? Promise.resolve()
    const done = before.then(() => this.#commit(key, mark))
    const settled = done.catch(() => undefined)
    this.#committing.set(key, settled)
    return done
  }

  async #commit(key: PartitionKey, { offset, state }: Omit<Mark, 'node'>): Promise<boolean> {
    const slots = await this.#slotsOf(key)
    if (slots === undefined) return false
    if (slots.pending !== undefined && !(await this.#decide(key, slots, slots.pending))) return false
    const slot: Slot = slots.accepted === 0 ? 1 : 0
    const entry = { key, node: this.#options.node, slot, mark: `${this.#life}-${++this.#marks}`, state }
    await this.#states.write(entry)
    return this.#decide(key, slots, { entry, offset })
  }

  async #decide(key: PartitionKey, slots: Slots, pending: Pending): Promise<boolean> {
    const unit = unitOf(key)
    if (this.#membership.tenureOf(unit) !== slots.tenure) return false
    const name: MarkName = { node: this.#options.node, mark: pending.entry.mark }
    slots.pending = pending
    const isAccepted = await this.#membership.commit(unit, this.#partitionOf(key), pending.offset, JSON.stringify(name))
    slots.pending = undefined
    if (isAccepted) slots.accepted = pending.entry.slot
    return isAccepted
  }

  /** undefined: not ours. In a new tenure, what was accepted is asked for: another may have committed since. */
  async #slotsOf(key: PartitionKey): Promise<Slots | undefined> {
    const tenure = this.#membership.tenureOf(unitOf(key))
    if (tenure === undefined) return undefined
    const known = this.#slots.get(key)
    if (known?.tenure === tenure) return known
    const offsets = await this.#membership.committed([this.#partitionOf(key)])
    const name = nameIn(offsets.get(this.#idOf(key)))
    await this.#states.refresh()
    const { node } = this.#options
    const slots: Slots = { tenure, accepted: undefined, pending: undefined }
    if (name?.node === node) slots.accepted = this.#states.find(key, node, name.mark)?.slot
    this.#slots.set(key, slots)
    return slots
  }

  #partitionOf(key: PartitionKey): TopicPartition {
    const [signal, partition] = key.split('/')
    return { topic: topicOf(this.#options.config.topic_prefix, signal as Signal), partition: Number(partition) }
  }

  #idOf(key: PartitionKey): string {
    const { topic, partition } = this.#partitionOf(key)
    return `${topic}/${partition}`
  }

  async leave(): Promise<void> {
    await this.#membership.leave()
    await this.#end()
  }

  async close(): Promise<void> {
    await this.#membership.close()
    await this.#end()
  }

  async #end(): Promise<void> {
    await this.#producer.close()
    await this.#cluster.close()
  }
}

function unitOf(key: PartitionKey): number {
  return Number(key.split('/')[1])
}

/** undefined where the offset was committed by something else, such as an operator's tool. */
function nameIn(committed: CommittedOffset | undefined): MarkName | undefined {
  if (committed === undefined || !committed.metadata.startsWith('{')) return undefined
  try {
    const name = JSON.parse(committed.metadata) as Partial<MarkName>
    return typeof name.node === 'string' && typeof name.mark === 'string' ? { node: name.node, mark: name.mark } : undefined
  } catch {
    return undefined
  }
}
