/**
 * One partition: its store, what it knows of producers, and its checkpoints. Owned by one thread.
 *
 * Alone, a checkpoint is done once its manifest is durable. In a group it is a candidate until the group accepted it: refused means that another node has
 * the partition, and everything past the last accepted one is dropped (`ownership.ts`). A partition that was given up stays open: its
 * files are history that only this node has.
 */
import { join } from 'node:path'
import {
  partitionKey,
  SequenceTracker,
  type JournalRecord,
  type Mark,
  type PartitionKey,
  type ProducerState,
} from '../../lib/journal/index.ts'
import { kindOf, SightlineError } from '../../lib/runtime/errors.ts'
import type { AppendOutcome, PartitionStore, StoreLimits, StoreOpenOptions } from '../store/index.ts'
import type { DataSignal } from './fragment.ts'
import { LearnNotes } from './learn-notes.ts'
import { acceptCandidate, dropCandidate, readManifest, writeManifest, type Manifest, type PartitionLedger } from './manifest.ts'
import { encodeMark, type Owner } from './mark.ts'
import { takeOver, wasAccepted } from './ownership.ts'
import { ProducerLedger, type ProducerCounts } from './producer-ledger.ts'

/** Asks the group: whether it accepted the mark; undefined where that isn't known, and won't be before the process ends. Never rejects. */
export type CommitMark = (key: PartitionKey, mark: Omit<Mark, 'node'>) => Promise<boolean | undefined>

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
  /** Absent: this node is alone. */
  readonly commit?: CommitMark | undefined
  /** A record was dropped because the store could not take it. */
  readonly onTrouble: (error: unknown, where: string) => void
}

/** Where a partition that was taken over goes on. */
export interface OwnedFrom {
  readonly key: PartitionKey
  /** The first record to be read: for its layouts only where it is before `offset`. */
  readonly readFrom: number
  /** The first record to be applied. */
  readonly offset: number
}

type MutableLedger = { -readonly [K in keyof PartitionLedger]: PartitionLedger[K] } & { dropped: Record<string, number> }

export class Partition {
  readonly key: PartitionKey
  readonly signal: DataSignal
  readonly #options: PartitionOptions
  #store: PartitionStore
  #tracker: SequenceTracker
  #isOwned: boolean
  #isUndecided = false
  #since: number
  #owners: readonly Owner[]
  #learn = new LearnNotes()
  #nextOffset: number
  #checkpointOffset: number
  #ledger: MutableLedger
  #byProducer: ProducerLedger
  #bytesSinceCheckpoint = 0
  #hasNewFiles = false
  #checkpointing: Promise<number> | undefined

  private constructor(options: PartitionOptions, store: PartitionStore, manifest: Manifest | undefined) {
    this.key = partitionKey(options.signal, options.number)
    this.signal = options.signal
    this.#options = options
    this.#store = store
    this.#isOwned = options.commit === undefined
    this.#tracker = new SequenceTracker(manifest?.producers)
    this.#since = manifest?.since ?? 0
    this.#owners = manifest?.owners ?? []
    this.#nextOffset = manifest?.offset ?? 0
    this.#checkpointOffset = this.#nextOffset
    this.#ledger = ledgerOf(manifest)
    this.#byProducer = new ProducerLedger(manifest?.byProducer)
  }

  static async open(options: PartitionOptions): Promise<Partition> {
    const manifest = readChecked(options)
    // A process that ended between candidate and answer: until the group's mark says what it is, its files stay.
    const candidate = options.commit === undefined ? undefined : readManifest(options.dir, 'candidate')
    const kept = candidate?.files.map(({ name }) => name) ?? []
    const partition = new Partition(options, await openStore(options, manifest, kept), manifest)
    partition.#isUndecided = candidate !== undefined
    return partition
  }

  get store(): PartitionStore {
    return this.#store
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

  get isOwned(): boolean {
    return this.#isOwned
  }

  /** Its files are not to be touched: a candidate of an earlier process is neither accepted nor dropped yet. */
  get isUndecided(): boolean {
    return this.#isUndecided
  }

  get ledger(): PartitionLedger {
    return this.#ledger
  }

  producers(): ProducerState[] {
    return this.#tracker.states()
  }

  producerCounts(): ProducerCounts[] {
    return this.#byProducer.counts()
  }

  /** The group gave it to this node. @param mark the last accepted one, whoever's. */
  async own(node: string, mark: Mark | undefined): Promise<OwnedFrom> {
    const { dir } = this.#options
    const candidate = readManifest(dir, 'candidate')
    const plan = takeOver(node, mark, readChecked(this.#options), candidate)
    if (candidate !== undefined) {
      if (plan.candidate === 'accept') acceptCandidate(dir)
      else dropCandidate(dir)
    }
    // A store that others share must not go by what it knew of them when this node had the partition last.
    if (candidate !== undefined || this.#store.settlesLater === true) await this.#reopen()
    this.#since = plan.since
    this.#owners = plan.owners
    this.#nextOffset = plan.offset
    this.#checkpointOffset = plan.offset
    this.#learn = new LearnNotes(plan.learnFrom)
    if (plan.producers !== undefined) this.#tracker = new SequenceTracker(plan.producers)
    this.#isOwned = true
    return { key: this.key, readFrom: plan.readFrom, offset: plan.offset }
  }

  /** Another node has it: what an earlier process left as a candidate is kept or dropped, by the last accepted mark. */
  async decide(node: string, mark: Mark | undefined): Promise<void> {
    const { dir } = this.#options
    const candidate = readManifest(dir, 'candidate')
    if (!this.#isUndecided || this.#isOwned || candidate === undefined) return
    if (wasAccepted(node, candidate.offset, mark)) acceptCandidate(dir)
    else dropCandidate(dir)
    await this.#reopen()
  }

  /** Gives it up with a last checkpoint; what it holds stays to be read. */
  async handOver(): Promise<void> {
    await this.checkpoint()
    // Records came in while the last one was under way.
    if (this.#isOwned && this.#nextOffset > this.#checkpointOffset) await this.checkpoint()
    this.#isOwned = false
  }

  /** The group went on without this node: what no accepted checkpoint holds is not ours. */
  async lose(): Promise<void> {
    // Its checkpoint may wait for somebody who is away.
    if (this.#store.settlesLater === true) await this.#store.close()
    await this.#checkpointing?.catch(() => {})
    if (this.#isOwned) await this.#rollBack()
  }

  async #rollBack(): Promise<void> {
    this.#isOwned = false
    dropCandidate(this.#options.dir)
    await this.#reopen()
  }

  /** From the manifest on disk, as after a start. */
  async #reopen(): Promise<void> {
    await this.#store.close()
    const manifest = readChecked(this.#options)
    this.#store = await openStore(this.#options, manifest)
    this.#tracker = new SequenceTracker(manifest?.producers)
    this.#nextOffset = manifest?.offset ?? 0
    this.#checkpointOffset = this.#nextOffset
    this.#ledger = ledgerOf(manifest)
    this.#byProducer = new ProducerLedger(manifest?.byProducer)
    this.#bytesSinceCheckpoint = 0
    this.#hasNewFiles = false
    this.#isUndecided = false
  }

  /** Applies a record, or drops it as a repeat. Of records before `nextOffset` only the layouts are of interest. */
  append(record: JournalRecord): void {
    this.#learn.note(record.offset, record.appendedMs)
    if (record.offset < this.#nextOffset) {
      this.#store.learn?.(record.tenant, storeRecordOf(record))
      return
    }
    this.#nextOffset = record.offset + 1
    this.#ledger.records++
    this.#ledger.items += record.items
    this.#bytesSinceCheckpoint += record.payload.length
    const gap = this.#tracker.gapBefore(record.mark)
    const verdict = this.#tracker.observe(record.mark)
    if (verdict === 'repeat') {
      this.#ledger.repeatedRecords++
      this.#ledger.repeatedItems += record.items
      this.#byProducer.note(record, verdict, undefined, undefined)
      return
    }
    if (verdict === 'gap') this.#ledger.gaps++
    const outcome = this.#appendToStore(record)
    const accounted = (outcome.pending ?? 0) + countOutcome(this.#ledger, outcome)
    // Items the store could not even find in damaged bytes: the ledger balances all the same.
    if (accounted < record.items) countOutcome(this.#ledger, { stored: 0, dropped: { malformed: record.items - accounted } })
    this.#byProducer.note(record, verdict, gap, outcome)
  }

  /** A record the store can't take is dropped whole and counted: thrown on, it would end the process at every replay. */
  #appendToStore(record: JournalRecord): AppendOutcome {
    try {
      return this.#store.append(record.tenant, storeRecordOf(record))
    } catch (error) {
      const reason = kindOf(error) === 'bad_data' ? 'malformed' : 'failed'
      this.#options.onTrouble(error, `${this.key} offset ${record.offset}`)
      return { stored: 0, dropped: { [reason]: record.items } }
    }
  }

  /** Something changed that no record did: merged files, dropped blocks. The next checkpoint names it. */
  markChanged(): void {
    this.#hasNewFiles = true
  }

  get needsCheckpoint(): boolean {
    if (this.#isUndecided) return false
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
    const { dir, journal, commit } = this.#options
    const offset = this.#nextOffset
    const producers = this.#tracker.states()
    const ledger = { ...this.#ledger, dropped: { ...this.#ledger.dropped } }
    const byProducer = this.#byProducer.counts()
    const learnFrom = this.#learn.from(offset)
    this.#bytesSinceCheckpoint = 0
    this.#hasNewFiles = false
    const { files, state, outcome } = await this.#store.checkpoint()
    if (outcome !== undefined) for (const one of [ledger, this.#ledger]) countOutcome(one, outcome)
    const manifest: Manifest = { journal, offset, producers, files, state, ledger, byProducer, since: this.#since, owners: this.#owners }
    if (commit === undefined || offset === this.#checkpointOffset) {
      // Alone, or the same records in other files: nobody needs to agree.
      writeManifest(dir, manifest)
    } else {
      writeManifest(dir, manifest, 'candidate')
      const mark = { offset, state: encodeMark({ since: this.#since, learnFrom, producers, owners: this.#owners }) }
      const isAccepted = await commit(this.key, mark)
      if (isAccepted === false) await this.#rollBack()
      // Not known: the candidate stays, and the next start learns from the group's mark what it is.
      if (isAccepted !== true) return this.#checkpointOffset
      acceptCandidate(dir)
    }
    this.#checkpointOffset = offset
    await this.#store.release()
    return offset
  }
}

function readChecked({ dir, journal, signal, number }: PartitionOptions): Manifest | undefined {
  const manifest = readManifest(dir)
  if (manifest === undefined || manifest.journal === journal) return manifest
  throw new SightlineError(
    'conflict',
    `cannot open ${signal} partition ${number}: its checkpoint is of journal ${manifest.journal}, the journal here is ${journal}`,
  )
}

function openStore(options: PartitionOptions, manifest: Manifest | undefined, kept: readonly string[] = []): Promise<PartitionStore> {
  const { dir, limits, number, journal, onTrouble } = options
  const files = { dir: join(dir, 'files'), files: manifest?.files ?? [], state: manifest?.state, limits, kept }
  return options.openStore(files, { number, journal, onTrouble })
}

function ledgerOf(manifest: Manifest | undefined): MutableLedger {
  const ledger = manifest?.ledger ?? { records: 0, items: 0, stored: 0, repeatedRecords: 0, repeatedItems: 0, gaps: 0, dropped: {} }
  return { ...ledger, dropped: { ...ledger.dropped } }
}

function storeRecordOf(record: JournalRecord): Parameters<PartitionStore['append']>[1] {
  const { payload, offset, appendedMs, position } = record
  return { payload, offset, appendedMs, positioned: position !== '' }
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
