/** One `remote_write` entry at work: from the journal to a receiver. What it promises is in `index.ts`. */
import type { RemoteWriteConfig } from '../../../lib/config/index.ts'
import { createHttpClient, DEFAULT_TENANT, type HttpClient } from '../../../lib/http/index.ts'
import { partitionKey, type Cursor, type Journal, type JournalRecord, type ReadFrom } from '../../../lib/journal/index.ts'
import { createRelabeler } from '../../../lib/relabel/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import { messageOf } from '../../../lib/runtime/errors.ts'
import { counter, gauge, type Log } from '../../../lib/telemetry/index.ts'
import { LAYOUT_REPEAT_MS, walkRows } from '../../../lib/wire/rows/index.ts'
import { Progress } from './progress.ts'
import { sendWrite, type SenderOptions } from './sender.ts'
import { SeriesMemory } from './series-memory.ts'
import type { ShipSettings } from './settings.ts'
import { shipPath, writePlace, type ShipPlace } from './ship-state.ts'
import { WriteBatch } from './write-batch.ts'

/** The part of a journal that shippers need. */
export type ShipJournal = Pick<Journal, 'epoch' | 'partitions' | 'endOffset' | 'startOffset' | 'read' | 'cursor' | 'stats'>

export interface ShipperOptions {
  readonly config: RemoteWriteConfig
  readonly settings: ShipSettings
  readonly dir: string
  readonly journal: ShipJournal
  readonly cursor: Cursor
  readonly place: ShipPlace
  /** The entry is new: layouts are read back, but none older than writers repeat them. */
  readonly isNew: boolean
  /** Above this many bytes of journal the cursor holds nothing. */
  readonly holdBytesMax: number
  readonly clock: Clock
  readonly log: Log
}

const SERIES_MAX = 1_000_000
const SAVE_EVERY_MS = 1000
const REREAD_AFTER_MS = 1000
const WARN_EVERY_MS = 30_000

const samplesTotal = counter('sightline_remote_write_samples_total', 'Samples by what became of them on their way to a remote.', [
  'remote',
  'result',
])
const retriesTotal = counter('sightline_remote_write_retries_total', 'Requests that were to be sent once more.', ['remote'])
const lostTotal = counter('sightline_remote_write_records_lost_total', 'Journal records that were gone or damaged before they were sent.', [
  'remote',
])
const lagRecords = gauge('sightline_remote_write_lag_records', 'Records of the journal that were not sent to a remote yet.', ['remote'])

export class RemoteWriteShipper {
  readonly #options: ShipperOptions
  readonly #client: HttpClient
  readonly #sender: SenderOptions
  readonly #memory: SeriesMemory
  readonly #progress: Progress
  readonly #stopping = new AbortController()
  readonly #layoutsFromMs: number
  #running: Promise<void> | undefined
  #saving: Promise<void> = Promise.resolve()
  #saveTimer: NodeJS.Timeout | undefined
  #savedText = ''
  /** What a start would read from: the cursor holds everything after it. */
  #savedPlace: ShipPlace
  #warnedMs = 0

  /** Errors: bad_data for rules and client settings that can't be used. */
  constructor(options: ShipperOptions) {
    const { config, settings, clock } = options
    this.#options = options
    this.#memory = new SeriesMemory(createRelabeler(config.write_relabel_configs), SERIES_MAX)
    this.#progress = new Progress(options.place)
    this.#savedPlace = options.place
    this.#layoutsFromMs = options.isNew ? clock.now() - LAYOUT_REPEAT_MS : 0
    this.#client = createHttpClient(config)
    this.#sender = {
      client: this.#client,
      url: config.url,
      headers: config.headers,
      timeoutMs: config.remote_timeout,
      backoffMinMs: settings.backoffMinMs,
      backoffMaxMs: settings.backoffMaxMs,
      clock,
      onRetry: (cause) => {
        retriesTotal.inc({ remote: settings.name })
        this.#hold()
        this.#warn(cause, 'cannot send to a remote, trying again')
      },
    }
  }

  /** Resolves once its place is durable: what comes after is not forgotten by a kill. */
  async start(): Promise<void> {
    const remote = this.#options.settings.name
    for (const result of ['sent', 'rejected']) samplesTotal.inc({ remote, result }, 0)
    await this.#save()
    this.#running = this.#run()
    this.#saveTimer = setInterval(() => void this.#save(), SAVE_EVERY_MS)
    this.#saveTimer.unref()
  }

  get name(): string {
    return this.#options.settings.name
  }

  /** Where a successor goes on. */
  place(): ShipPlace {
    return this.#progress.place()
  }

  /** Ends what is under way and writes down how far it got. */
  async stop(): Promise<void> {
    clearInterval(this.#saveTimer)
    this.#stopping.abort()
    await this.#running
    await this.#save()
    lagRecords.remove({ remote: this.name })
    this.#client.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#follow(signal)
        return
      } catch (error) {
        if (signal.aborted) return
        // Segments may go while they are read, where the journal was full: the next read begins at what is there.
        this.#warn(messageOf(error), 'cannot read on for a remote, reading again')
        await this.#options.clock.sleep(REREAD_AFTER_MS, signal)
        this.#progress.restart()
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { journal, settings, clock } = this.#options
    const from = this.#ends().map((_, partition): ReadFrom => {
      const fromOffset = Math.max(this.#progress.from(partition), journal.startOffset('metrics', partition))
      return { signal: 'metrics', partition, fromOffset }
    })
    for await (const records of journal.read(from, { follow: true, signal })) {
      let batch = this.#newBatch()
      let items = 0
      for (const record of records) {
        this.#take(record, batch)
        if (batch.items < settings.samplesMax) continue
        items += batch.items
        await this.#send(batch, signal)
        batch = this.#newBatch()
      }
      items += batch.items
      await this.#send(batch, signal)
      if (signal.aborted) return
      if (items < settings.samplesMax) await clock.sleep(settings.waitMs, signal)
    }
  }

  #newBatch(): WriteBatch {
    const { send_exemplars: sendExemplars, send_native_histograms: sendHistograms } = this.#options.config
    return new WriteBatch({ sendExemplars, sendHistograms })
  }

  #take({ partition, offset, appendedMs, tenant, encoding, payload }: JournalRecord, batch: WriteBatch): void {
    const { name: remote, sendMetadata } = this.#options.settings
    const isUnsent = this.#progress.isUnsent(partition, offset)
    lostTotal.inc({ remote }, this.#progress.take(partition, offset, appendedMs))
    if (tenant !== DEFAULT_TENANT || encoding !== 'rows' || (!isUnsent && appendedMs < this.#layoutsFromMs)) return
    try {
      walkRows(payload, {
        layout: (table) => this.#memory.learn(table),
        hasLayout: (id) => this.#memory.has(id),
        row: (view) => {
          if (!isUnsent) return
          const series = this.#memory.get(view.layoutId)
          if (series === undefined) samplesTotal.inc({ remote, result: 'unknown_layout' }, view.items)
          else batch.add(series, view)
        },
        metadata: (families) => {
          if (isUnsent && sendMetadata) batch.addMetadata(families)
        },
      })
    } catch (error) {
      lostTotal.inc({ remote })
      this.#warn(messageOf(error), 'cannot read a journal record for a remote, leaving it out')
    }
  }

  /** Sends all of a batch; then everything taken so far counts as sent. Errors: canceled. */
  async #send(batch: WriteBatch, signal: AbortSignal): Promise<void> {
    const { name: remote, samplesMax } = this.#options.settings
    for (let portion = batch.take(samplesMax); portion !== undefined; portion = batch.take(samplesMax)) {
      const { isTaken, cause } = await sendWrite(this.#sender, portion.body, signal)
      samplesTotal.inc({ remote, result: isTaken ? 'sent' : 'rejected' }, portion.samples)
      if (!isTaken) this.#warn(cause, 'a remote refuses samples for good, they are left out')
    }
    for (const [result, count] of Object.entries(batch.leftOut)) if (count > 0) samplesTotal.inc({ remote, result }, count)
    this.#progress.sentAll()
  }

  #ends(): number[] {
    const { journal } = this.#options
    return Array.from({ length: journal.partitions.metrics }, (_, partition) => journal.endOffset('metrics', partition))
  }

  /** Writes the place down, then lets the journal forget what lies before it. */
  async #save(): Promise<void> {
    const ends = this.#ends()
    this.#progress.age(this.#options.clock.now(), ends)
    lagRecords.set({ remote: this.name }, this.#progress.lag(ends))
    const place = this.#progress.place()
    const text = JSON.stringify(place)
    if (text === this.#savedText) return this.#saving
    this.#savedText = text
    const { dir, journal } = this.#options
    this.#saving = this.#saving
      .then(() => writePlace(shipPath(dir, this.name), journal.epoch, place))
      .then(() => {
        this.#savedPlace = place
        this.#hold()
      })
      .catch((error: unknown) => {
        this.#savedText = ''
        this.#warn(messageOf(error), 'cannot save the place of a remote')
      })
    return this.#saving
  }

  /** Keeps what isn't sent in the journal, unless that is nearly full. */
  #hold(): void {
    const { journal, cursor, holdBytesMax } = this.#options
    const isFull = journal.stats().bytes > holdBytesMax
    for (const [partition, end] of this.#ends().entries()) {
      cursor.advance(partitionKey('metrics', partition), isFull ? end : this.#savedPlace.layouts[partition]!)
    }
  }

  #warn(error: string, message: string): void {
    const nowMs = this.#options.clock.now()
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return
    this.#warnedMs = nowMs
    this.#options.log.warn({ remote: this.name, error }, message)
  }
}
