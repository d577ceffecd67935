/**
 * Reading the input topics `<prefix>.in.<signal>`, into which others write. The nodes share their partitions through a group of its own, `<group_id>.in`. Each partition's records are
 * handed over in order, a batch at a time; only when the batch was taken is its end committed, fenced, and the next one handed over. A batch that is refused is offered
 * again until it is taken: nothing is skipped. After a crash or a move a batch may come twice, and its offsets say so.
 */
import type { KafkaConfig } from '../../config/index.ts'
import { systemClock, type Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { Cluster } from './cluster.ts'
import type { Connections } from './connections.ts'
import { FetchSession, ownBytes, type Fetched, type FetchedRecord, type Position } from './fetch.ts'
import { Membership } from './membership.ts'
import { listOffsets } from './offsets.ts'
import { ensureTopics, INPUT_SIGNALS, inputTopicOf, type InputSignal } from './topics.ts'

export interface InputRecord {
  readonly signal: InputSignal
  readonly inputPartition: number
  readonly offset: number
  /** As the producer set it, or the topic's append time. */
  readonly timestampMs: number
  /** Names and values as UTF-8 text; of a name that comes twice the last. */
  readonly headers: ReadonlyMap<string, string>
  /** The receiver's own; empty where the message had none. */
  readonly value: Uint8Array
}

export interface InputsLost {
  readonly signal: InputSignal
  readonly inputPartition: number
  readonly fromOffset: number
  /** The first that is still there. */
  readonly toOffset: number
}

export interface KafkaInputsOptions {
  readonly config: KafkaConfig
  /** Of input topics that are made; those that exist keep theirs. */
  readonly partitions: number
  readonly node: string
  /** Records of one partition, in order. Rejected, it is called with the same records again after a while. */
  readonly handle: (batch: readonly InputRecord[]) => Promise<void>
  /** Records went by the topic's retention before they were read; reading goes on behind them. */
  readonly onLost: (lost: InputsLost) => void
  /** Reading ended for good: another process has this node's name, we are not allowed, or a topic was made anew. */
  readonly onFatal: (error: SightlineError) => void
  readonly clock?: Clock
}

export interface KafkaInputsStats {
  readonly records: number
  readonly batches: number
  /** How often a batch was refused and offered again, or a request of ours failed. */
  readonly refused: number
  readonly lostRecords: number
  /** For how long no broker has answered, and why. */
  readonly failingMs: number
  readonly lastFailure: string
}

export interface KafkaInputs {
  stats(): KafkaInputsStats
  /** Hands its partitions to the other nodes: what is under way is finished first. */
  leave(): Promise<void>
  /** Ends; the group keeps the partitions for this node until its session times out. */
  close(): Promise<void>
}

interface Source {
  readonly signal: InputSignal
  readonly topic: string
  readonly partition: number
}

/** A partition for as long as this node has it. */
interface Intake {
  readonly unit: number
  readonly source: Source
  readonly stop: AbortController
  position: Position | undefined
  working: Promise<void>
}

const WAIT_MS = 500
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 5000

/** Resolves with the first assignment. Errors: as `openKafkaJournal`. */
export async function openKafkaInputs(options: KafkaInputsOptions): Promise<KafkaInputs> {
  const { config, partitions, node } = options
  const clock = options.clock ?? systemClock
  const cluster = new Cluster(config, node)
  try {
    await ensureTopics(cluster, partitions, clock)
    const sources = INPUT_SIGNALS.flatMap((signal): Source[] => {
      const topic = inputTopicOf(config.topic_prefix, signal)
      return cluster.topic(topic)!.leaders.map((_, partition) => ({ signal, topic, partition }))
    })
    const inputs = new TopicInputs(options, cluster, sources, clock)
    try {
      await inputs.join()
    } catch (error) {
      await inputs.close()
      throw error
    }
    return inputs
  } catch (error) {
    await cluster.close()
    throw error
  }
}

class TopicInputs implements KafkaInputs {
  readonly #options: KafkaInputsOptions
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #sources: readonly Source[]
  readonly #membership: Membership
  readonly #session: FetchSession
  readonly #connections: Connections
  readonly #intakes = new Map<number, Intake>()
  readonly #ending = new Map<number, Promise<void>>()
  #pumping: Promise<void> = Promise.resolve()
  #isClosed = false
  #stats = { records: 0, batches: 0, refused: 0, lostRecords: 0 }

  constructor(options: KafkaInputsOptions, cluster: Cluster, sources: readonly Source[], clock: Clock) {
    this.#options = options
    this.#cluster = cluster
    this.#clock = clock
    this.#sources = sources
    this.#session = new FetchSession(cluster, clock, WAIT_MS)
    this.#connections = cluster.connections(options.config.request_timeout)
    this.#membership = new Membership({
      cluster,
      groupId: `${options.config.group_id}.in`,
      node: options.node,
      units: sources.map((source) => [source]),
      clock,
      onFatal: options.onFatal,
    })
  }

  async join(): Promise<void> {
    this.#pumping = this.#pump().catch((error: unknown) => this.#fail(error))
    await this.#membership.join({
      assigned: (units) => {
        for (const unit of units) this.#begin(unit)
      },
      revoked: async (units) => {
        await Promise.all(units.map((unit) => this.#end(unit)))
      },
      lost: (units) => {
        for (const unit of units) void this.#end(unit)
      },
    })
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return
    const failure = error instanceof SightlineError ? error : new SightlineError('internal', 'cannot read input topics', { cause: error })
    for (const unit of this.#intakes.keys()) void this.#end(unit)
    this.#options.onFatal(failure)
  }

  #begin(unit: number): void {
    const source = this.#sources[unit]!
    const intake: Intake = { unit, source, stop: new AbortController(), position: undefined, working: Promise.resolve() }
    this.#intakes.set(unit, intake)
    // Lost and had again: what the last time left in hand comes to its end first.
    const before = this.#ending.get(unit) ?? Promise.resolve()
    intake.working = before.then(() => this.#place(intake)).catch((error: unknown) => this.#fail(error))
  }

  /** Sets the intake behind what is committed; at the start of the topic where nothing is. Tried until it works. */
  async #place(intake: Intake): Promise<void> {
    const { topic, partition } = intake.source
    const offset = await this.#untilDone(intake, async () => {
      const committed = (await this.#membership.committed([intake.source])).get(`${topic}/${partition}`)
      if (committed !== undefined) return committed.offset
      const [range] = await listOffsets(this.#cluster, this.#connections, [intake.source], this.#clock)
      return range!.start
    })
    if (offset === undefined) return
    intake.position = { topic, partition, offset, isPaused: false }
    this.#session.add(intake.position)
  }

  /** What is under way is waited for; a batch that is only offered again and again is left to the next owner. */
  async #end(unit: number): Promise<void> {
    const intake = this.#intakes.get(unit)
    if (intake === undefined) return
    this.#intakes.delete(unit)
    intake.stop.abort()
    if (intake.position !== undefined) this.#session.remove(intake.position)
    this.#ending.set(unit, intake.working)
    await intake.working
  }

  async #pump(): Promise<void> {
    while (!this.#isClosed) {
      for (const fetched of await this.#session.poll()) {
        const intake = [...this.#intakes.values()].find(({ position }) => position === fetched.position)
        if (intake !== undefined) this.#take(intake, fetched)
      }
    }
  }

  #take(intake: Intake, { position, records, range, isGone }: Fetched): void {
    if (isGone) {
      const { signal, partition: inputPartition } = intake.source
      if (position.offset > range.end) {
        const what = `cannot read input topic ${position.topic}/${inputPartition} from offset ${position.offset}`
        throw new SightlineError(
          'conflict',
          `${what}: it ends at ${range.end}; reset the offsets of group ${this.#options.config.group_id}.in`,
        )
      }
      this.#stats.lostRecords += range.start - position.offset
      this.#options.onLost({ signal, inputPartition, fromOffset: position.offset, toOffset: range.start })
      position.offset = range.start
    } else if (records.length > 0) {
      position.isPaused = true
      intake.working = this.#deliver(intake, position, records).catch((error: unknown) => this.#fail(error))
    }
  }

  async #deliver(intake: Intake, position: Position, records: readonly FetchedRecord[]): Promise<void> {
    const batch = records.map((record) => inputOf(intake.source, record))
    const isTaken = await this.#untilDone(intake, async () => {
      await this.#options.handle(batch)
      return true
    })
    if (isTaken === undefined) return
    this.#stats.batches++
    this.#stats.records += batch.length
    // Also while it is being given up: the next owner then needn't take it again.
    const isOurs = await this.#untilDone(intake, () => this.#membership.commit(intake.unit, intake.source, position.offset, ''))
    if (isOurs !== true) return
    position.isPaused = false
    this.#session.wake()
  }

  /** Again and again, with growing pauses, until it works; undefined once the intake is given up. Each failure is counted. */
  async #untilDone<T>(intake: Intake, attempt: () => Promise<T>): Promise<T | undefined> {
    for (let pauseMs = BACKOFF_MIN_MS; ; pauseMs = Math.min(BACKOFF_MAX_MS, pauseMs * 2)) {
      try {
        return await attempt()
      } catch {
        this.#stats.refused++
        await this.#clock.sleep(pauseMs, intake.stop.signal)
        if (intake.stop.signal.aborted) return undefined
      }
    }
  }

  stats(): KafkaInputsStats {
    return { ...this.#stats, failingMs: this.#session.failingMs, lastFailure: this.#session.lastFailure }
  }

  async leave(): Promise<void> {
    await this.#membership.leave()
    await this.close()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#intakes.keys()].map((unit) => this.#end(unit)))
    await this.#membership.close()
    await this.#session.close()
    await this.#pumping
    await this.#connections.close()
    await this.#cluster.close()
  }
}

function inputOf({ signal, partition }: Source, { offset, timestampMs, headers, value }: FetchedRecord): InputRecord {
  const texts = new Map<string, string>()
  for (const [name, text] of headers) if (name !== null) texts.set(name.toString(), text?.toString() ?? '')
  return {
    signal,
    inputPartition: partition,
    offset,
    timestampMs,
    headers: texts,
    value: value === null ? new Uint8Array() : ownBytes(value),
  }
}
