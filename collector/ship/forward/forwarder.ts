/** One destination at work: follows the journal and hands its records on, in each partition's order. What it promises is in `index.ts`. */
import type { ShipConfig } from '../../../lib/config/index.ts'
import { partitionKey, type Cursor, type JournalRecord, type PartitionKey } from '../../../lib/journal/index.ts'
import type { MarkedGap } from '../../../lib/producer/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import { kindOf, messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import { counter, gauge, type Log } from '../../../lib/telemetry/index.ts'
import type { ShipJournal } from '../remote-write/index.ts'
import type { Delivery, RecordDestination, ShippedSignal } from './destination.ts'
import { pathOf, writePlace, type Place } from './place.ts'

export interface ForwarderOptions {
  readonly config: ShipConfig
  readonly destination: RecordDestination
  readonly dir: string
  readonly journal: ShipJournal
  readonly cursor: Cursor
  readonly place: Place
  /** Payload bytes of one delivery. */
  readonly batchBytesMax: number
  readonly clock: Clock
  readonly log: Log
}

/** What was sent to a destination, since the process started, and what waits. */
export interface ForwardStatus {
  readonly name: string
  readonly shippedRecords: number
  readonly shippedItems: number
  readonly refusedItems: Readonly<Record<string, number>>
  /** Records that were gone from our journal before they were sent. */
  readonly lostRecords: number
  readonly queuedRecords: number
  /** Of the last failure; '' where the last delivery was taken. */
  readonly lastError: string
}

const SAVE_EVERY_MS = 1000
const REREAD_AFTER_MS = 1000
const WARN_EVERY_MS = 30_000
/** A read with little in it waits so long for more: fewer, larger requests. */
const LINGER_MS = 100
const LINGER_BELOW_BYTES = 256 * 1024
/** Partitions that are delivered to at the same time. */
const LANES_MAX = 8

const itemsTotal = counter('sightline_ship_items_total', 'Samples, lines and spans by what became of them on their way to a destination.', [
  'destination',
  'signal',
  'result',
])
const retriesTotal = counter('sightline_ship_retries_total', 'Deliveries that were to be tried again.', ['destination'])
const lostTotal = counter('sightline_ship_records_lost_total', 'Journal records that were gone before they were shipped.', ['destination'])
const queuedRecords = gauge('sightline_ship_queued_records', 'Journal records that were not shipped yet.', ['destination'])

/** Records of one partition here, and where they go. */
interface Lane {
  readonly key: PartitionKey
  readonly signal: ShippedSignal
  readonly partition: number
  readonly records: JournalRecord[]
}

/** The destination wants records from before what we have in hand. */
class Rewind extends Error {}

export class Forwarder {
  readonly #options: ForwarderOptions
  readonly #sent: Map<PartitionKey, number>
  readonly #stopping = new AbortController()
  /** Where we went back to last, by partition: once for each hole. */
  readonly #rewound = new Map<PartitionKey, number>()
  readonly #counts = { records: 0, items: 0, refused: {} as Record<string, number>, lost: 0 }
  #saved: Place
  #partitionsThere: number
  #running: Promise<void> | undefined
  #saving: Promise<void> = Promise.resolve()
  #saveTimer: NodeJS.Timeout | undefined
  #lastError = ''
  #warnedMs = 0

  constructor(options: ForwarderOptions) {
    this.#options = options
    this.#sent = new Map(options.place.sent)
    this.#saved = options.place
    this.#partitionsThere = options.place.partitions
  }

  get name(): string {
    return this.#options.config.name
  }

  async start(): Promise<void> {
    await this.#save()
    this.#running = this.#run()
    this.#saveTimer = setInterval(() => void this.#save(), SAVE_EVERY_MS)
    this.#saveTimer.unref()
  }

  /** Where a successor goes on. */
  place(): Place {
    return { sent: new Map(this.#sent), partitions: this.#partitionsThere }
  }

  status(): ForwardStatus {
    const { records, items, refused, lost } = this.#counts
    return {
      name: this.name,
      shippedRecords: records,
      shippedItems: items,
      refusedItems: { ...refused },
      lostRecords: lost,
      queuedRecords: this.#queued(),
      lastError: this.#lastError,
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#saveTimer)
    this.#stopping.abort()
    await this.#running
    await this.#save()
    queuedRecords.remove({ destination: this.name })
    this.#options.destination.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#meet(signal)
        await this.#follow(signal)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof Rewind) continue
        this.#failed(error, 'cannot ship on, reading again')
        await this.#options.clock.sleep(REREAD_AFTER_MS, signal)
      }
    }
  }

  /** Learns the partition count over there, and refuses to go on where it changed: data would lie in two places. */
  async #meet(signal: AbortSignal): Promise<void> {
    const there = await this.#retried(() => this.#options.destination.partitions(signal), signal)
    if (there === undefined) return
    const here = this.#options.journal.partitions.logs
    const remedy = `set journal.partitions of this process to ${there}, or a multiple of it, and give it a new data folder`
    if (here % there !== 0) {
      throw new SightlineError('conflict', `cannot ship from ${here} partitions to ${there}: ${remedy}`)
    }
    if (this.#partitionsThere !== 0 && this.#partitionsThere !== there) {
      throw new SightlineError(
        'conflict',
        `cannot ship to ${there} partitions: it were ${this.#partitionsThere} so far; series and streams would lie in two places`,
      )
    }
    this.#partitionsThere = there
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { journal, clock } = this.#options
    for await (const records of journal.read(this.#from(), { follow: true, signal })) {
      const lanes = this.#lanesOf(records)
      for (let i = 0; i < lanes.length; i += LANES_MAX) {
        await Promise.all(lanes.slice(i, i + LANES_MAX).map((lane) => this.#deliverLane(lane, signal)))
      }
      if (signal.aborted) return
      const bytes = records.reduce((sum, { payload }) => sum + payload.length, 0)
      if (bytes < LINGER_BELOW_BYTES) await clock.sleep(LINGER_MS, signal)
    }
  }

  /** Where to read on; what is gone from the journal by then is counted. */
  #from(): { signal: ShippedSignal; partition: number; fromOffset: number }[] {
    const { journal, config } = this.#options
    return config.signals.flatMap((signal) =>
      Array.from({ length: journal.partitions[signal] }, (_, partition) => {
        const key = partitionKey(signal, partition)
        const start = journal.startOffset(signal, partition)
        const sent = this.#sent.get(key) ?? start
        if (start > sent) this.#lost(start - sent)
        this.#sent.set(key, Math.max(start, sent))
        return { signal, partition, fromOffset: Math.max(start, sent) }
      }),
    )
  }

  #lanesOf(records: readonly JournalRecord[]): Lane[] {
    const lanes = new Map<PartitionKey, Lane>()
    for (const record of records) {
      const { signal, partition } = record
      if (signal === 'control') continue
      const key = partitionKey(signal, partition)
      const lane = lanes.get(key) ?? { key, signal, partition, records: [] }
      lanes.set(key, lane)
      lane.records.push(record)
    }
    return [...lanes.values()]
  }

  /** Errors: canceled, Rewind. */
  async #deliverLane({ key, signal, partition, records }: Lane, abort: AbortSignal): Promise<void> {
    const { destination, batchBytesMax } = this.#options
    const there = this.#partitionsThere === 0 ? partition : partition % this.#partitionsThere
    const outgoing = records.map((record) => addressed(record, there, there !== partition || this.#isMerged()))
    let at = 0
    let acceptGaps = false
    while (at < records.length) {
      const batch = batchFrom(outgoing, at, batchBytesMax)
      const delivery = await this.#retried(() => destination.deliver(signal, there, batch, acceptGaps, abort), abort)
      this.#count(signal, records.slice(at, at + delivery.taken), delivery)
      at += delivery.taken
      if (delivery.taken > 0) this.#sentUpTo(key, records[at - 1]!.offset + 1, delivery.taken)
      acceptGaps = delivery.gap !== undefined
      if (delivery.gap !== undefined) this.#rewind(key, delivery.gap, records[at]!)
    }
  }

  #sentUpTo(key: PartitionKey, end: number, records: number): void {
    const missing = end - (this.#sent.get(key) ?? end - records) - records
    if (missing > 0) this.#lost(missing)
    this.#sent.set(key, end)
  }

  /** More than one partition of ours goes into one over there. */
  #isMerged(): boolean {
    return this.#partitionsThere !== 0 && this.#partitionsThere !== this.#options.journal.partitions.logs
  }

  /** Goes back where what is missing over there is still in our journal. Errors: Rewind. */
  #rewind(key: PartitionKey, gap: MarkedGap, next: JournalRecord): void {
    const { journal } = this.#options
    const isOurs = gap.epoch === journal.epoch
    const wanted = Math.max(gap.lastSequence + 1, journal.startOffset(next.signal, next.partition))
    if (!isOurs || wanted >= next.offset || this.#rewound.get(key) === wanted) return
    this.#rewound.set(key, wanted)
    this.#sent.set(key, wanted)
    this.#warn(`${gap.lastSequence}`, 'a destination lost what it had taken, sending it again')
    throw new Rewind()
  }

  #count(signal: ShippedSignal, taken: readonly JournalRecord[], { refused }: Delivery): void {
    const destination = this.name
    const items = taken.reduce((sum, record) => sum + record.items, 0)
    let left = 0
    for (const [reason, count] of Object.entries(refused)) {
      left += count
      itemsTotal.inc({ destination, signal, result: reason }, count)
      this.#counts.refused[reason] = (this.#counts.refused[reason] ?? 0) + count
      this.#warn(reason, 'a destination refuses records for good, they are left out')
    }
    itemsTotal.inc({ destination, signal, result: 'shipped' }, items - left)
    this.#counts.records += taken.length
    this.#counts.items += items - left
  }

  #lost(records: number): void {
    lostTotal.inc({ destination: this.name }, records)
    this.#counts.lost += records
    this.#warn(`${records}`, 'records were gone from the journal before they were shipped')
  }

  /** Tries for ever, with growing pauses. Errors: canceled, and what is no question of time. */
  async #retried<T>(attempt: () => Promise<T>, abort: AbortSignal): Promise<T> {
    const { config, clock } = this.#options
    let backoffMs = config.min_backoff
    for (;;) {
      try {
        const result = await attempt()
        this.#lastError = ''
        return result
      } catch (error) {
        if (abort.aborted) throw new SightlineError('canceled', 'cannot ship: stopped', { cause: error })
        const kind = kindOf(error)
        const canBeTried = (error instanceof SightlineError && error.retriable) || kind === 'unauthenticated' || kind === 'forbidden'
        if (!canBeTried) throw error
        retriesTotal.inc({ destination: this.name })
        this.#failed(error, 'cannot ship, trying again')
        const wantedMs = error instanceof SightlineError ? (error.retryAfterMs ?? 0) : 0
        await clock.sleep(Math.min(Math.max(backoffMs, wantedMs), config.max_backoff), abort)
        if (abort.aborted) throw new SightlineError('canceled', 'cannot ship: stopped')
        backoffMs = Math.min(backoffMs * 2, config.max_backoff)
      }
    }
  }

  #queued(): number {
    const { journal, config } = this.#options
    let records = 0
    for (const signal of config.signals) {
      for (let p = 0; p < journal.partitions[signal]; p++) {
        const end = journal.endOffset(signal, p)
        records += Math.max(0, end - (this.#sent.get(partitionKey(signal, p)) ?? end))
      }
    }
    return records
  }

  /** Writes the place down, then lets the journal forget what lies before it. */
  #save(): Promise<void> {
    queuedRecords.set({ destination: this.name }, this.#queued())
    const place = this.place()
    const isSame = place.partitions === this.#saved.partitions && [...place.sent].every(([key, at]) => this.#saved.sent.get(key) === at)
    if (isSame && place.sent.size === this.#saved.sent.size) return this.#saving
    const { dir, journal } = this.#options
    this.#saving = this.#saving
      .then(() => writePlace(pathOf(dir, this.name), journal.epoch, place))
      .then(() => {
        this.#saved = place
        for (const [key, offset] of place.sent) this.#options.cursor.advance(key, offset)
      })
      .catch((error: unknown) => this.#failed(error, 'cannot save the place of a destination'))
    return this.#saving
  }

  #failed(error: unknown, message: string): void {
    this.#lastError = messageOf(error)
    this.#warn(this.#lastError, message)
  }

  #warn(error: string, message: string): void {
    const nowMs = this.#options.clock.now()
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return
    this.#warnedMs = nowMs
    this.#options.log.warn({ destination: this.name, error }, message)
  }
}

/**
 * The record as it travels. Where several partitions of ours become one, each is a producer of its own: their sequences are counted apart.
 */
function addressed(record: JournalRecord, partition: number, isMerged: boolean): JournalRecord {
  if (!isMerged) return record
  return { ...record, partition, mark: { ...record.mark, producer: `${record.mark.producer}/${record.partition}` } }
}

/** As many records from `at` on as fit, at least one. */
function batchFrom(records: readonly JournalRecord[], at: number, bytesMax: number): JournalRecord[] {
  let end = at
  let bytes = 0
  while (end < records.length && (end === at || bytes + records[end]!.payload.length <= bytesMax)) bytes += records[end++]!.payload.length
  return records.slice(at, end)
}
