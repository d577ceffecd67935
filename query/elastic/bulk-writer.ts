/**
 * The queue of one worker's thread to Elasticsearch. Items of all its log partitions go together, in requests of at most `bulk_size_max`, `bulk_concurrency` at a time; each item is
 * tried until it is stored, known or refused, and its owner is told. There is no limit on how long: the journal has everything, and a full queue pushes back (`room`).
 *
 * **Nothing twice.** A data stream finds an id only in the index it writes to now. So an item that may be stored already is *in doubt*, and is looked for in all backing indices before it is
 * sent: one whose request got no clear answer; one of a record past the last checkpoint that an earlier run may have sent; and one named by its content that may have come before the last rollover.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { kindOf, messageOf } from '../../lib/runtime/errors.ts'
import { itemBytes, type BulkItem, type ItemOwner, type ItemResult } from './bulk-item.ts'
import { createAll, findExisting, highestOffset, putAside, type ItemAnswer } from './bulk-request.ts'
import { ElasticError, type ElasticConnection } from './connection.ts'
import type { LogIndices } from './indices.ts'

export interface BulkWriterOptions {
  readonly connection: ElasticConnection
  readonly indices: LogIndices
  /** How far back a repeat of a client is recognised. */
  readonly repeatWindowMs: number
  readonly onTrouble: (error: unknown, where: string) => void
}

const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 10_000
/** A few lines wait this long for more. */
const LINGER_MS = 50
/** A trouble that lasts is told again after this long. */
const TROUBLE_EVERY_MS = 30_000

const NO_ANSWER = { reason: 'no answer for a document', isInDoubt: true }

/** Requests by outcome and items by result, since the start. Names: `requests/<outcome>`, `items/<result>`, `retried_items`, `queue_bytes`. */
export type BulkCounters = Record<string, number>

export class BulkWriter {
  readonly #options: BulkWriterOptions
  readonly #stop = new AbortController()
  readonly #lanes: Promise<void>[]
  #queue: BulkItem[] = []
  #taken = 0
  /** Of items not settled, on their way or not. */
  #queueBytes = 0
  #wakeLanes: (() => void)[] = []
  #wakeAppenders: (() => void)[] = []
  readonly #counters: BulkCounters = {}
  /** Owners whose first items were looked for: up to which offset an earlier run has stored something. */
  readonly #storedTo = new WeakMap<ItemOwner, Promise<number>>()
  #lastTroubleMs = -Infinity

  constructor(options: BulkWriterOptions) {
    this.#options = options
    this.#lanes = Array.from({ length: options.connection.settings.bulkConcurrency }, () => this.#runLane())
  }

  get queueBytes(): number {
    return this.#queueBytes
  }

  counters(): BulkCounters {
    return { ...this.#counters, queue_bytes: this.#queueBytes }
  }

  add(item: BulkItem): void {
    this.#queue.push(item)
    this.#queueBytes += itemBytes(item)
    for (const wake of this.#wakeLanes.splice(0)) wake()
  }

  /** undefined while there is room; otherwise resolves when there is. */
  room(): Promise<void> | undefined {
    return this.#isFull() ? this.#waitForRoom() : undefined
  }

  #isFull(): boolean {
    const { queueBytesMax } = this.#options.connection.settings
    return queueBytesMax > 0 && this.#queueBytes > queueBytesMax && !this.#stop.signal.aborted
  }

  async #waitForRoom(): Promise<void> {
    while (this.#isFull()) await new Promise<void>((resolve) => this.#wakeAppenders.push(resolve))
  }

  async #runLane(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (this.#queue.length === this.#taken) {
        await new Promise<void>((resolve) => this.#wakeLanes.push(resolve))
        if (this.#queueBytes < this.#options.connection.settings.bulkBytesMax) await pause(LINGER_MS, signal)
        continue
      }
      await this.#deliver(this.#take())
    }
  }

  #take(): BulkItem[] {
    const { bulkBytesMax } = this.#options.connection.settings
    const from = this.#taken
    let bytes = 0
    while (this.#taken < this.#queue.length && (bytes === 0 || bytes + itemBytes(this.#queue[this.#taken]!) <= bulkBytesMax)) {
      bytes += itemBytes(this.#queue[this.#taken]!)
      this.#taken++
    }
    const batch = this.#queue.slice(from, this.#taken)
    if (this.#taken === this.#queue.length || this.#taken > 10_000) {
      this.#queue = this.#queue.slice(this.#taken)
      this.#taken = 0
    }
    return batch
  }

  /** Until each of them is settled. */
  async #deliver(batch: readonly BulkItem[]): Promise<void> {
    let left = [...batch]
    for (let attempt = 0; left.length > 0 && !this.#stop.signal.aborted; attempt++) {
      if (attempt > 0) await pause(backoffMs(attempt), this.#stop.signal)
      left = this.#withoutClosed(left)
      const before = left.length
      left = await this.#try(left)
      if (left.length < before) attempt = 0
      this.#count('retried_items', left.length)
    }
  }

  #withoutClosed(items: BulkItem[]): BulkItem[] {
    const open = items.filter((item) => !item.owner.isClosed)
    if (open.length < items.length) for (const item of items) if (item.owner.isClosed) this.#free(item)
    return open
  }

  /** What is left to try again. */
  async #try(items: BulkItem[]): Promise<BulkItem[]> {
    const { connection, indices } = this.#options
    let sent = items
    let isSending = false
    try {
      await indices.prepared()
      sent = await this.#settleKnown(items)
      if (sent.length === 0) return []
      isSending = true
      const { results, index } = await createAll(connection, indices.names.logs, sent)
      this.#count('requests/ok', 1)
      indices.noteWrittenTo(index)
      return await this.#settleAnswered(sent, results)
    } catch (error) {
      const status = error instanceof ElasticError ? error.status : 0
      if (status === 404) indices.forget()
      if (isSending) {
        this.#count(`requests/${status === 429 ? 'rejected' : kindOf(error)}`, 1)
        if (status === 400 || status === 413) return this.#divide(sent, messageOf(error))
        // Refused before anything of it was read; any other failure may have come after the documents were stored.
        if (status !== 429) for (const item of sent) item.isInDoubt = true
      }
      this.#tellTrouble(error, 'index logs')
      return sent
    }
  }

  /** A request that is refused as a whole goes in halves, so that one document holds up no other. */
  async #divide(items: readonly BulkItem[], reason: string): Promise<BulkItem[]> {
    if (items.length === 1) return this.#settleAnswered(items, [{ kind: 'refused', reason }])
    const middle = items.length >> 1
    return [...(await this.#try(items.slice(0, middle))), ...(await this.#try(items.slice(middle)))]
  }

  async #settleKnown(items: BulkItem[]): Promise<BulkItem[]> {
    const { connection, indices, repeatWindowMs } = this.#options
    for (const item of items) if (item.offset <= (await this.#storedToOf(item.owner))) item.isInDoubt = true
    // Older indices were made visible when the rollover was noticed; what is in doubt may be of a moment ago.
    if (items.some((item) => item.isInDoubt)) await indices.refresh()
    const maybeOlder = (item: BulkItem): boolean => item.isByContent && item.appendedMs - repeatWindowMs < indices.rolledOverMs
    const doubtful = items.filter((item) => item.isInDoubt || maybeOlder(item))
    if (doubtful.length === 0) return items
    const known = await findExisting(connection, indices.names.logs, doubtful)
    for (const [item, result] of known) this.#settle(item, result)
    // Not there now: only a next failure makes it doubtful again.
    for (const item of doubtful) item.isInDoubt = false
    return known.size === 0 ? items : items.filter((item) => !known.has(item))
  }

  #storedToOf(owner: ItemOwner): Promise<number> {
    let asked = this.#storedTo.get(owner)
    if (asked === undefined) {
      const { connection, indices } = this.#options
      asked = indices
        .refresh()
        .then(() => highestOffset(connection, indices.names.logs, owner))
        .catch((error: unknown) => {
          this.#storedTo.delete(owner)
          throw error
        })
      this.#storedTo.set(owner, asked)
    }
    return asked
  }

  async #settleAnswered(sent: readonly BulkItem[], answers: readonly ItemAnswer[]): Promise<BulkItem[]> {
    const later: BulkItem[] = []
    const refused: [BulkItem, string][] = []
    for (const [i, item] of sent.entries()) {
      const answer = answers[i]
      if (answer?.kind === 'created') this.#settle(item, 'stored')
      else if (answer?.kind === 'exists') this.#settle(item, item.isByContent ? 'duplicate' : 'stored')
      else if (answer?.kind === 'refused') refused.push([item, answer.reason])
      else {
        const { reason, isInDoubt } = answer?.kind === 'later' ? answer : NO_ANSWER
        item.isInDoubt ||= isInDoubt
        later.push(item)
        this.#tellTrouble(reason, 'index logs')
      }
    }
    for (const [item, reason] of refused) await this.#putAside(item, reason)
    return later
  }

  async #putAside(item: BulkItem, reason: string): Promise<void> {
    const { connection, indices } = this.#options
    for (let attempt = 1; !this.#stop.signal.aborted && !item.owner.isClosed; attempt++) {
      try {
        await putAside(connection, indices.names, item, reason)
        this.#tellTrouble(reason, `a document of partition ${item.owner.partition} offset ${item.offset} is refused`)
        return this.#settle(item, 'refused')
      } catch (error) {
        this.#tellTrouble(error, 'put a refused document aside')
        await pause(backoffMs(attempt), this.#stop.signal)
      }
    }
  }

  #settle(item: BulkItem, result: ItemResult): void {
    this.#count(`items/${result}`, 1)
    this.#free(item)
    item.owner.settle(item, result)
  }

  #free(item: BulkItem): void {
    this.#queueBytes -= itemBytes(item)
    if (!this.#isFull()) for (const wake of this.#wakeAppenders.splice(0)) wake()
  }

  #count(name: string, by: number): void {
    this.#counters[name] = (this.#counters[name] ?? 0) + by
  }

  #tellTrouble(error: unknown, where: string): void {
    const nowMs = performance.now()
    if (nowMs - this.#lastTroubleMs < TROUBLE_EVERY_MS) return
    this.#lastTroubleMs = nowMs
    this.#options.onTrouble(error, where)
  }

  /** Gives up what is not stored: the journal has it. */
  async close(): Promise<void> {
    this.#stop.abort()
    for (const wake of [...this.#wakeLanes.splice(0), ...this.#wakeAppenders.splice(0)]) wake()
    await Promise.all(this.#lanes)
  }
}

function backoffMs(attempt: number): number {
  const ms = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(attempt - 1, 10))
  return ms * (0.75 + Math.random() / 2)
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
}
