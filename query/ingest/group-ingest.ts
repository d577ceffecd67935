/**
 * Many nodes around one journal of topics: appends go into the topics, and this node applies the partitions that the group gave it. What is applied and not
 * in an accepted checkpoint yet is read again by whoever has the partition next, so the topics are the only truth.
 *
 * Everything that changes who owns what runs one after another (`#inTurn`): given, to be given up, lost.
 */
import {
  partitionKey,
  type AppendRecord,
  type Cursor,
  type Journal,
  type JournalRecord,
  type Mark,
  type PartitionGroup,
  type PartitionKey,
  type ReadFrom,
  type Signal,
} from '../../lib/journal/index.ts'
import { AppendCounts, type Appender, type MarkedAppender, type MarkedOutcome, type ProducedBatch } from '../../lib/producer/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { kindOf, messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter, gauge, type Log } from '../../lib/telemetry/index.ts'
import { wasAccepted, type Shards } from '../shard/index.ts'
import type { LostRange, QueryIngest, ReplayProgress } from './query-ingest.ts'
import { TenantRates } from './rates.ts'

/** A journal that can be asked where its topics end now. */
export type SharedJournal = Journal & { refreshOffsets(): Promise<void> }

export interface GroupIngestOptions {
  readonly journal: SharedJournal
  readonly group: PartitionGroup
  /** This node's name in the group. */
  readonly node: string
  readonly shards: Shards
  readonly clock: Clock
  readonly log: Log
  /** Payload bytes a second a tenant may append at this node; 0 = no limit. */
  readonly bytesPerSecond: (tenant: string) => number
  readonly onFatal: (error: SightlineError) => void
  /** This node has the control partition from now on, or has it no longer. The group waits until it resolves. */
  readonly onControl: (isOurs: boolean) => Promise<void>
}

const DATA: readonly Exclude<Signal, 'control'>[] = ['metrics', 'logs', 'traces']
const RETRY_MS = 500
const POLL_MS = 20
/** Ranges that were gone, the newest. */
const LOST_MAX = 1000

const lostRecords = counter('sightline_ingest_lost_records_total', 'Records that were gone from the topics before they were applied.', [
  'signal',
])
const ownedPartitions = gauge('sightline_owned_partitions', 'Partition numbers this node applies.', [])
const handOvers = counter('sightline_partition_moves_total', 'Partition numbers that came to this node or left it.', ['move'])

export class GroupIngest implements QueryIngest, Appender, MarkedAppender {
  readonly counts = new AppendCounts()
  readonly #options: GroupIngestOptions
  readonly #rates: TenantRates
  readonly #controlCursor: Cursor
  /** The next record to apply, of each partition that is ours. */
  readonly #next = new Map<PartitionKey, number>()
  /** Where reading goes on: before `#next` while layouts are learnt. */
  readonly #readFrom = new Map<PartitionKey, number>()
  readonly #numbers = new Set<number>()
  /** Numbers that the group took without asking: their commits are refused, ours needn't be tried again. */
  readonly #gone = new Set<number>()
  readonly #handingOver = new Set<number>()
  readonly #lost: LostRange[] = []
  #turn: Promise<void> = Promise.resolve()
  #reading: { readonly stop: AbortController; readonly done: Promise<unknown> } | undefined
  #isClosing = false

  constructor(options: GroupIngestOptions) {
    this.#options = options
    this.#rates = new TenantRates(options.bytesPerSecond, options.clock)
    this.#controlCursor = options.journal.cursor('control')
  }

  partitionCount(signal: Signal): number {
    return this.#options.journal.partitions[signal]
  }

  /** Joins the group; resolves once this node has what it was given first. */
  async start(): Promise<void> {
    await this.#options.group.join({
      assigned: (numbers) => void this.#inTurn(() => this.#assigned(numbers)),
      revoked: (numbers) => this.#inTurn(() => this.#revoked(numbers)),
      lost: (numbers) => {
        for (const number of numbers) this.#gone.add(number)
        // A hand-over that took too long may wait for a store that is away: this ends it.
        const late = numbers.filter((number) => this.#handingOver.has(number))
        if (late.length > 0) void this.#options.shards.lose(late)
        void this.#inTurn(() => this.#lose(numbers))
      },
    })
    await this.#inTurn(async () => {
      const all = Array.from({ length: this.partitionCount('metrics') }, (_, number) => number)
      await this.#options.shards.decide(await this.#marksOf(all))
    })
  }

  /** A node that can't take a partition or give it up must not go on as if it had: it ends, and the next start sorts it out. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch((error: unknown) => {
      if (this.#isClosing) return
      const what = `cannot change the partitions of this node: ${messageOf(error)}`
      this.#options.onFatal(new SightlineError(kindOf(error), what, { cause: error }))
    })
    return this.#turn
  }

  async #assigned(numbers: readonly number[]): Promise<void> {
    const { shards, journal, onControl } = this.#options
    const fresh = numbers.filter((number) => !this.#numbers.has(number))
    if (fresh.length === 0) return
    for (const number of fresh) this.#gone.delete(number)
    const marks = await this.#marksOf(fresh)
    await this.#stopReading()
    for (const { key, offset, readFrom } of await shards.own(fresh, marks)) {
      const [signal, partition] = parts(key)
      // Nobody ever had it: what went before we came was never to be ours.
      const start = marks.has(key) || offset > 0 ? offset : Math.max(offset, journal.startOffset(signal, partition))
      this.#next.set(key, start)
      this.#readFrom.set(key, Math.max(Math.min(readFrom, start), Math.min(start, journal.startOffset(signal, partition))))
    }
    for (const number of fresh) this.#numbers.add(number)
    this.#moved('came', fresh)
    this.#startReading()
    if (fresh.includes(0)) await onControl(true)
  }

  /** Errors: none; asks until Kafka answers. */
  async #marksOf(numbers: readonly number[]): Promise<ReadonlyMap<PartitionKey, Mark>> {
    const keys = numbers.flatMap((number) => DATA.map((signal) => partitionKey(signal, number)))
    for (;;) {
      try {
        await this.#options.journal.refreshOffsets()
        return await this.#options.group.committed(keys)
      } catch (error) {
        if (kindOf(error) !== 'unavailable' || this.#isClosing) throw error
        this.#options.log.warn({ error: messageOf(error) }, 'cannot read the marks of our partitions, asking again')
        await this.#options.clock.sleep(RETRY_MS)
      }
    }
  }

  async #revoked(numbers: readonly number[]): Promise<void> {
    const ours = numbers.filter((number) => this.#numbers.has(number))
    if (ours.length === 0) return
    await this.#giveUp(ours)
    for (const number of ours) this.#handingOver.add(number)
    try {
      await this.#options.shards.handOver(ours)
      this.#moved('left', ours)
    } catch (error) {
      // Taken away meanwhile: what it could not finish is another's.
      if (!ours.every((number) => this.#gone.has(number))) throw error
      this.#moved('lost', ours)
    } finally {
      for (const number of ours) this.#handingOver.delete(number)
      this.#startReading()
    }
  }

  async #lose(numbers: readonly number[]): Promise<void> {
    const ours = numbers.filter((number) => this.#numbers.has(number))
    if (ours.length === 0) return
    await this.#giveUp(ours)
    await this.#options.shards.lose(ours)
    this.#moved('lost', ours)
    this.#startReading()
  }

  /** Nothing of them is applied after it. */
  async #giveUp(numbers: readonly number[]): Promise<void> {
    if (numbers.includes(0)) await this.#options.onControl(false)
    await this.#stopReading()
    for (const number of numbers) {
      this.#numbers.delete(number)
      for (const signal of DATA) {
        this.#next.delete(partitionKey(signal, number))
        this.#readFrom.delete(partitionKey(signal, number))
      }
    }
  }

  #moved(move: 'came' | 'left' | 'lost', numbers: readonly number[]): void {
    handOvers.inc({ move }, numbers.length)
    ownedPartitions.set(this.#numbers.size)
    this.#options.log.info({ move, partitions: numbers, owned: this.#numbers.size }, 'partitions moved')
  }

  /** The shards' side of `commit`: asks until the group answers, or the process ends (undefined). */
  async commit(key: PartitionKey, mark: Omit<Mark, 'node'>): Promise<boolean | undefined> {
    const [, number] = parts(key)
    const { group, clock, log } = this.#options
    let isInDoubt = false
    for (;;) {
      try {
        const isAccepted = !this.#gone.has(number) && (await group.commit(key, mark))
        if (isAccepted || !isInDoubt) return isAccepted
        // An attempt before had no answer and may have been accepted before the partition went: the last mark tells.
        return wasAccepted(this.#options.node, mark.offset, (await group.committed([key])).get(key))
      } catch (error) {
        if (!isInDoubt) log.warn({ partition: key, offset: mark.offset, error: messageOf(error) }, 'a mark has no answer yet, asking again')
        isInDoubt = true
        if (this.#isClosing) return undefined
        await clock.sleep(RETRY_MS)
      }
    }
  }

  #startReading(): void {
    if (this.#isClosing || this.#readFrom.size === 0) return
    const stop = new AbortController()
    // Each signal on its own: one whose store pushes back holds up no other.
    this.#reading = { stop, done: Promise.all(DATA.map((one) => this.#read(one, stop.signal))) }
  }

  async #stopReading(): Promise<void> {
    this.#reading?.stop.abort()
    await this.#reading?.done
    this.#reading = undefined
  }

  async #read(one: Signal, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follow(one, signal)
      } catch (error) {
        if (signal.aborted) return
        if (kindOf(error) === 'not_found') await this.#skipLost()
        else this.#options.log.warn({ error: messageOf(error) }, 'cannot read the topics, reading again')
        await this.#options.clock.sleep(RETRY_MS, signal)
      }
    }
  }

  async #follow(one: Signal, signal: AbortSignal): Promise<void> {
    const { journal, shards } = this.#options
    const from = [...this.#readFrom].flatMap(([key, fromOffset]): ReadFrom[] => {
      const [of, partition] = parts(key)
      return of === one ? [{ signal: one, partition, fromOffset }] : []
    })
    for await (const batch of journal.read(from, { follow: true, signal })) {
      for (const record of batch) {
        await shards.appendWhenRoom(record, signal)
        if (signal.aborted) return
        const key = partitionKey(record.signal, record.partition)
        this.#readFrom.set(key, record.offset + 1)
        if (record.offset >= this.#next.get(key)!) this.#next.set(key, record.offset + 1)
      }
      if (signal.aborted) return
    }
  }

  /** What the topics no longer have is told, and counted; then reading goes on behind it. */
  async #skipLost(): Promise<void> {
    const { journal, log, clock } = this.#options
    await journal.refreshOffsets().catch(() => {})
    for (const [key, from] of this.#readFrom) {
      const [signal, partition] = parts(key)
      const start = journal.startOffset(signal, partition)
      if (start <= from) continue
      const wanted = this.#next.get(key)!
      this.#readFrom.set(key, start)
      if (start <= wanted) continue
      this.#next.set(key, start)
      lostRecords.inc({ signal }, start - wanted)
      log.error({ partition: key, from: wanted, to: start - 1 }, 'records are gone from the topic before they were applied')
      this.#lost.push({ key, from: wanted, to: start, foundMs: clock.now() })
      if (this.#lost.length > LOST_MAX) this.#lost.shift()
    }
  }

  lost(): readonly LostRange[] {
    return this.#lost
  }

  owned(): readonly number[] {
    return [...this.#numbers].sort((a, b) => a - b)
  }

  get progress(): ReplayProgress {
    const { journal } = this.#options
    let left = 0
    for (const [key, next] of this.#next) left += Math.max(0, journal.endOffset(...parts(key)) - next)
    return { totalRecords: left, doneRecords: 0 }
  }

  /** True once everything is applied here that was in the topics when it was asked; false where that took longer. */
  async fresh(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const { journal, clock, shards } = this.#options
    const deadlineMs = clock.now() + timeoutMs
    try {
      await journal.refreshOffsets()
    } catch {
      return false
    }
    const wanted = [...this.#next.keys()].map((key) => ({ key, offset: journal.endOffset(...parts(key)) }))
    while (wanted.some(({ key, offset }) => (this.#next.get(key) ?? Infinity) < offset)) {
      if (clock.now() >= deadlineMs || signal?.aborted === true) return false
      await clock.sleep(POLL_MS, signal)
    }
    await shards.settled()
    return true
  }

  async takeControls(): Promise<JournalRecord[]> {
    const { journal } = this.#options
    await journal.refreshOffsets()
    const fromOffset = journal.startOffset('control', 0)
    const records: JournalRecord[] = []
    for await (const batch of journal.read([{ signal: 'control', partition: 0, fromOffset }])) records.push(...batch)
    return records
  }

  controlCompacted(offset: number): void {
    this.#controlCursor.advance(partitionKey('control', 0), offset)
  }

  async append(signal: Signal, tenant: string, batches: readonly ProducedBatch[]): Promise<void> {
    const results = await Promise.allSettled(batches.map((batch) => this.#append(signal, batch.partition, [{ ...batch, tenant }])))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** Who owns the partition knows its producers: repeats and gaps are found there. */
  async appendMarked(signal: Signal, partition: number, records: readonly JournalRecord[]): Promise<MarkedOutcome> {
    await this.#append(signal, partition, records)
    return { appended: records.length, repeated: 0, gap: undefined }
  }

  #append(signal: Signal, partition: number, records: readonly AppendRecord[]): Promise<void> {
    return this.counts.around(signal, records, () => {
      if (this.#isClosing) throw new SightlineError('unavailable', 'cannot append: the process is ending', { retryAfterMs: 1000 })
      for (const { tenant, payload } of records) this.#rates.take(tenant, payload.length)
      return this.#options.journal.appendAll(signal, partition, records)
    })
  }

  /** Reads no more. The last checkpoints are still to be taken, then `close` ends the membership. */
  async stopReading(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#numbers.has(0)) await this.#options.onControl(false)
      await this.#stopReading()
      this.#readFrom.clear()
    })
  }

  /** The member stays one: a restart finds its partitions where they were. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#options.group.close()
  }
}

function parts(key: PartitionKey): [Signal, number] {
  const slash = key.indexOf('/')
  return [key.slice(0, slash) as Signal, Number(key.slice(slash + 1))]
}
