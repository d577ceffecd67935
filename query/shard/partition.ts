/**
 * One partition: its store, what it knows of producers, and its checkpoints. Owned by one thread.
 */
import { join } from 'node:path'
import { partitionKey, SequenceTracker, type JournalRecord, type PartitionKey } from '../../lib/journal/index.ts'
import { kindOf, SightlineError } from '../../lib/runtime/errors.ts'
import type { AppendOutcome, PartitionStore, StoreLimits, StoreOpenOptions } from '../store/index.ts'
import type { DataSignal } from './fragment.ts'
import { readManifest, writeManifest, type PartitionLedger } from './manifest.ts'

/** What a store that others share must know of its partition. */
export interface PartitionPlace {
  readonly number: number
  readonly journal: string
  readonly onTrouble: (error: unknown, where: string) => void
}

export interface PartitionOptions {
  readonly signal: DataSignal
  readonly number: number
  /** Of this partition alone. */
  readonly dir: string
  /** The journal's epoch: a manifest of another journal is refused. */
  readonly journal: string
  readonly limits: StoreLimits
  readonly openStore: (options: StoreOpenOptions, place: PartitionPlace) => Promise<PartitionStore>
  /** A record was dropped because the store could not take it. */
  readonly onTrouble: (error: unknown, where: string) => void
}

export class Partition {
  readonly key: PartitionKey
  readonly signal: DataSignal
  readonly store: PartitionStore
  readonly #dir: string
  readonly #journal: string
  readonly #tracker: SequenceTracker
  readonly #onTrouble: (error: unknown, where: string) => void
  #nextOffset: number
  #checkpointOffset: number
  #ledger: {
    records: number
    items: number
    stored: number
    repeatedRecords: number
    repeatedItems: number
    gaps: number
    dropped: Record<string, number>
  }
  #bytesSinceCheckpoint = 0
  #hasNewFiles = false
  #checkpointing: Promise<number> | undefined

  private constructor(options: PartitionOptions, store: PartitionStore, manifest: ReturnType<typeof readManifest>) {
    this.key = partitionKey(options.signal, options.number)
    this.signal = options.signal
    this.store = store
    this.#dir = options.dir
    this.#journal = options.journal
    this.#onTrouble = options.onTrouble
    this.#tracker = new SequenceTracker(manifest?.producers)
    this.#nextOffset = manifest?.offset ?? 0
    this.#checkpointOffset = this.#nextOffset
    const ledger = manifest?.ledger ?? { records: 0, items: 0, stored: 0, repeatedRecords: 0, repeatedItems: 0, gaps: 0, dropped: {} }
    this.#ledger = { ...ledger, dropped: { ...ledger.dropped } }
  }

  static async open(options: PartitionOptions): Promise<Partition> {
    const manifest = readManifest(options.dir)
    if (manifest !== undefined && manifest.journal !== options.journal) {
      throw new SightlineError(
        'conflict',
        `cannot open ${options.signal} partition ${options.number}: its checkpoint is of journal ${manifest.journal}, the journal here is ${options.journal}`,
      )
    }
    const { number, journal, onTrouble } = options
    const store = await options.openStore(
      { dir: join(options.dir, 'files'), files: manifest?.files ?? [], state: manifest?.state, limits: options.limits },
      { number, journal, onTrouble },
    )
    return new Partition(options, store, manifest)
  }

  /** The offset of the next record it needs. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Everything before is in files that a durable manifest names. */
  get checkpointOffset(): number {
    return this.#checkpointOffset
  }

  get bytesSinceCheckpoint(): number {
    return this.#bytesSinceCheckpoint
  }

  get ledger(): PartitionLedger {
    return this.#ledger
  }

  /** Applies a record, or drops it as a repeat. Records before `nextOffset` were applied before the start: they are passed over. */
  append(record: JournalRecord): void {
    if (record.offset < this.#nextOffset) return
    this.#nextOffset = record.offset + 1
    this.#ledger.records++
    this.#ledger.items += record.items
    this.#bytesSinceCheckpoint += record.payload.length
    const verdict = this.#tracker.observe(record.mark)
    if (verdict === 'repeat') {
      this.#ledger.repeatedRecords++
      this.#ledger.repeatedItems += record.items
      return
    }
    if (verdict === 'gap') this.#ledger.gaps++
    const outcome = this.#appendToStore(record)
    const accounted = (outcome.pending ?? 0) + countOutcome(this.#ledger, outcome)
    // Items the store could not even find in damaged bytes: the ledger balances all the same.
    if (accounted < record.items) countOutcome(this.#ledger, { stored: 0, dropped: { malformed: record.items - accounted } })
  }

  /** A record the store can't take is dropped whole and counted: thrown on, it would end the process at every replay. */
  #appendToStore(record: JournalRecord): AppendOutcome {
    try {
      return this.store.append(record.tenant, {
        payload: record.payload,
        offset: record.offset,
        appendedMs: record.appendedMs,
        positioned: record.position !== '',
      })
    } catch (error) {
      const reason = kindOf(error) === 'bad_data' ? 'malformed' : 'failed'
      this.#onTrouble(error, `${this.key} offset ${record.offset}`)
      return { stored: 0, dropped: { [reason]: record.items } }
    }
  }

  /** Something changed that no record did: merged files, dropped blocks. The next checkpoint names it. */
  markChanged(): void {
    this.#hasNewFiles = true
  }

  get needsCheckpoint(): boolean {
    return this.#nextOffset > this.#checkpointOffset || this.#hasNewFiles
  }

  /** Resolves with the offset up to which everything is durable in files. At most one runs at a time; a second caller gets the same. */
  checkpoint(): Promise<number> {
    this.#checkpointing ??= this.#takeCheckpoint().finally(() => {
      this.#checkpointing = undefined
    })
    return this.#checkpointing
  }

  async #takeCheckpoint(): Promise<number> {
    if (!this.needsCheckpoint) return this.#checkpointOffset
    const offset = this.#nextOffset
    const producers = this.#tracker.states()
    const ledger = { ...this.#ledger, dropped: { ...this.#ledger.dropped } }
    this.#bytesSinceCheckpoint = 0
    this.#hasNewFiles = false
    const { files, state, outcome } = await this.store.checkpoint()
    if (outcome !== undefined) for (const one of [ledger, this.#ledger]) countOutcome(one, outcome)
    writeManifest(this.#dir, { journal: this.#journal, offset, producers, files, state, ledger })
    this.#checkpointOffset = offset
    await this.store.release()
    return offset
  }
}

/** Adds to the ledger; returns how many items that were. */
function countOutcome(ledger: { stored: number; dropped: Record<string, number> }, { stored, dropped }: AppendOutcome): number {
  ledger.stored += stored
  let counted = stored
  for (const [reason, count] of Object.entries(dropped)) {
    ledger.dropped[reason] = (ledger.dropped[reason] ?? 0) + count
    counted += count
  }
  return counted
}
