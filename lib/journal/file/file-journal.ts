/**
 * The journal on local disk. See `../index.ts` for what it promises and `segment.ts` for the bytes.
 *
 * One loop writes: it takes everything that waits, writes it with one writev, syncs once, and resolves all of it. While one sync runs
 * the next batch collects, so no timer is needed and a lone appender waits for nothing but its own sync.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, type Clock } from '../../runtime/clock.ts'
import { messageOf, SightlineError } from '../../runtime/errors.ts'
import { lockFolder, type FolderLock } from '../../runtime/lock.ts'
import { encodeFrame } from '../frame.ts'
import type { Appended, Cursor, Journal, JournalStats, ReadFrom } from '../journal.ts'
import { partitionKey, SIGNALS, type PartitionKey, type Signal } from '../partition.ts'
import { RECORD_BYTES_MAX, type AppendRecord, type JournalRecord, type ProducerMark } from '../record.ts'
import { realDisk, type AppendFile, type JournalDisk } from './disk.ts'
import { readRecords, type ReadableSegment } from './read.ts'
import {
  decodeSegmentHead,
  encodeSegmentHead,
  indexName,
  noteFrame,
  readIndex,
  scanSegment,
  segmentName,
  segmentNumber,
  writeIndex,
  type SegmentIndex,
} from './segment.ts'

export interface FileJournalOptions {
  readonly dir: string
  /** Partitions of metrics, logs and traces each; control has one. Kept with the folder: another number later is refused. */
  readonly partitions: number
  readonly segmentBytes: number
  /** At this many bytes of segments appends push back, or the oldest go. */
  readonly bytesMax: number
  readonly onFull: 'push_back' | 'drop_oldest'
  /** Bytes that may wait for the writer. */
  readonly queueBytesMax: number
  readonly producer: string
  readonly clock?: Clock
  readonly disk?: JournalDisk
  /** A sync failed: what is on disk is unknown, so the process must end. The journal takes nothing more. */
  readonly onFatal: (error: SightlineError) => void
}

interface Waiting {
  readonly key: PartitionKey
  readonly signalIndex: number
  readonly partition: number
  /** Written together or not at all. */
  readonly records: readonly AppendRecord[]
  readonly bytes: number
  readonly resolve: (appended: readonly Appended[]) => void
  readonly reject: (error: SightlineError) => void
}

interface Segment {
  readonly number: number
  readonly path: string
  readonly index: SegmentIndex
}

const BATCH_BYTES_MAX = 16 * 1024 * 1024
/** 30,000 partitions' offsets fit. */
const HEAD_BYTES_MAX = 1024 * 1024

/** Opens or makes the journal in `dir`. Errors: conflict (another process has it, other partition count), corruption (unknown format version). */
export async function openFileJournal(options: FileJournalOptions): Promise<Journal> {
  mkdirSync(options.dir, { recursive: true })
  const lock = lockFolder(options.dir)
  try {
    const journal = new FileJournal(options, lock)
    await journal.open()
    return journal
  } catch (error) {
    lock.release()
    throw error
  }
}

class FileJournal implements Journal {
  epoch = ''
  readonly partitions: Readonly<Record<Signal, number>>
  readonly #options: FileJournalOptions
  readonly #clock: Clock
  readonly #disk: JournalDisk
  readonly #lock: FolderLock
  readonly #next = new Map<PartitionKey, number>()
  readonly #start = new Map<PartitionKey, number>()
  readonly #cursors = new Set<Map<PartitionKey, number>>()
  readonly #followers = new Set<() => void>()
  #segments: Segment[] = []
  #file: AppendFile | undefined
  #queue: Waiting[] = []
  #queueBytes = 0
  #running: Promise<void> | undefined
  #closing = false
  #poisoned: SightlineError | undefined
  #stats = { appendedRecords: 0, appendedItems: 0, appendedBytes: 0, rejectedFull: 0, droppedRecords: 0, syncs: 0, tornBytes: 0 }

  constructor(options: FileJournalOptions, lock: FolderLock) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#disk = options.disk ?? realDisk
    this.#lock = lock
    this.partitions = { metrics: options.partitions, logs: options.partitions, traces: options.partitions, control: 1 }
  }

  async open(): Promise<void> {
    for (const signal of SIGNALS) {
      for (let p = 0; p < this.partitions[signal]; p++) {
        this.#next.set(partitionKey(signal, p), 0)
        this.#start.set(partitionKey(signal, p), 0)
      }
    }
    const numbers = readdirSync(this.#options.dir)
      .map(segmentNumber)
      .filter((n) => n !== undefined)
      .sort((a, b) => a - b)
    for (const [i, number] of numbers.entries()) this.#load(number, i === 0, i === numbers.length - 1)
    if (this.epoch === '') this.epoch = newEpoch()
    const last = this.#segments.at(-1)
    if (last === undefined) await this.#roll(0)
    else {
      this.#file = await this.#disk.openAppend(last.path, last.index.bytes)
      await this.#file.sync()
    }
  }

  /** Takes a segment in: from its index where it is finished and whole, else by a scan. */
  #load(number: number, isFirst: boolean, isLast: boolean): void {
    const path = join(this.#options.dir, segmentName(number))
    const fileBytes = statSync(path).size
    const cached = isLast ? undefined : readIndex(join(this.#options.dir, indexName(number)), fileBytes)
    const bytes = cached === undefined ? readFileSync(path) : readHead(path)
    const decoded = decodeSegmentHead(bytes, segmentName(number))
    if (decoded === undefined) {
      if (!isLast) throw new SightlineError('corruption', `cannot read journal segment ${segmentName(number)}: it ends within its head`)
      // A crash came between making the file and its first sync: nothing in it was ever acknowledged.
      this.#stats.tornBytes += fileBytes
      unlinkSync(path)
      return
    }
    this.#takeOffsets(decoded.head.epoch, decoded.head.offsets, isFirst)
    let index = cached
    if (index === undefined) {
      const scan = scanSegment(bytes, decoded.headBytes)
      index = scan.index
      this.#stats.tornBytes += scan.tornBytes + scan.damagedBytes
      if (!isLast) writeIndex(join(this.#options.dir, indexName(number)), index)
    }
    for (const [key, range] of index.ranges) this.#next.set(key, Math.max(range.end, this.#next.get(key) ?? 0))
    this.#segments.push({ number, path, index })
  }

  #takeOffsets(epoch: string, offsets: Readonly<Record<PartitionKey, number>>, isFirst: boolean): void {
    if (this.epoch !== '' && this.epoch !== epoch) {
      throw new SightlineError(
        'corruption',
        `cannot open journal ${this.#options.dir}: its segments are of two journals (${this.epoch}, ${epoch})`,
      )
    }
    this.epoch = epoch
    const keys = Object.keys(offsets) as PartitionKey[]
    if (keys.length !== this.#next.size || keys.some((key) => !this.#next.has(key))) {
      throw new SightlineError(
        'conflict',
        `cannot open journal ${this.#options.dir} with ${this.#next.size} partitions: it was made with ${keys.length}; keep the number or start a new folder`,
      )
    }
    for (const key of keys) {
      this.#next.set(key, Math.max(offsets[key]!, this.#next.get(key)!))
      if (isFirst) this.#start.set(key, offsets[key]!)
    }
  }

  async append(signal: Signal, partition: number, record: AppendRecord): Promise<Appended> {
    const [appended] = await this.appendAll(signal, partition, [record])
    return appended!
  }

  appendAll(signal: Signal, partition: number, records: readonly AppendRecord[]): Promise<readonly Appended[]> {
    if (records.length === 0) return Promise.resolve([])
    const bytes = records.reduce((sum, record) => sum + record.payload.length, 0)
    const refused = this.#refusal(signal, partition, records, bytes)
    if (refused !== undefined) return Promise.reject(refused)
    return new Promise((resolve, reject) => {
      const key = partitionKey(signal, partition)
      this.#queue.push({ key, signalIndex: SIGNALS.indexOf(signal), partition, records, bytes, resolve, reject })
      this.#queueBytes += bytes
      this.#running ??= this.#run()
    })
  }

  #refusal(signal: Signal, partition: number, records: readonly AppendRecord[], bytes: number): SightlineError | undefined {
    if (this.#poisoned !== undefined) return this.#poisoned
    if (this.#closing) return new SightlineError('canceled', 'cannot append to the journal: it is closing')
    if (!(partition >= 0 && partition < this.partitions[signal])) {
      return new SightlineError('internal', `BUG: journal has no partition ${signal}/${partition}`)
    }
    const large = records.find(({ payload }) => payload.length > RECORD_BYTES_MAX)
    if (large !== undefined) {
      return new SightlineError(
        'too_large',
        `cannot append ${large.payload.length} bytes to the journal: a record has at most ${RECORD_BYTES_MAX}`,
      )
    }
    if (this.#queueBytes + bytes > this.#options.queueBytesMax || this.#isFull(bytes)) {
      this.#stats.rejectedFull++
      return new SightlineError(
        'too_many',
        `cannot append to the journal: it is full (${this.#bytes()} bytes of ${this.#options.bytesMax})`,
        {
          retryAfterMs: 1000,
        },
      )
    }
    return undefined
  }

  #isFull(bytes: number): boolean {
    if (this.#bytes() + this.#queueBytes + bytes <= this.#options.bytesMax) return false
    if (this.#options.onFull === 'push_back' || this.#segments.length < 2) return true
    this.#dropOldest()
    return false
  }

  #dropOldest(): void {
    const oldest = this.#segments[0]!
    for (const range of oldest.index.ranges.values()) this.#stats.droppedRecords += range.end - range.first
    this.#delete(1)
  }

  async #run(): Promise<void> {
    // One turn of the event loop's microtasks, so that appends of the same tick share a sync.
    await Promise.resolve()
    while (this.#queue.length > 0 && this.#poisoned === undefined) await this.#writeBatch(this.#takeBatch())
    this.#running = undefined
  }

  #takeBatch(): Waiting[] {
    let bytes = 0
    let n = 0
    while (n < this.#queue.length && (n === 0 || bytes + this.#queue[n]!.bytes <= BATCH_BYTES_MAX)) {
      bytes += this.#queue[n]!.bytes
      n++
    }
    this.#queueBytes -= bytes
    return this.#queue.splice(0, n)
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    if (this.#segments.at(-1)!.index.bytes >= this.#options.segmentBytes) {
      try {
        await this.#roll(this.#segments.at(-1)!.number + 1)
      } catch (error) {
        return rejectAll(
          batch,
          new SightlineError('unavailable', `cannot start a journal segment: ${messageOf(error)}`, { cause: error, retryAfterMs: 1000 }),
        )
      }
    }
    const { index } = this.#segments.at(-1)!
    const appendedMs = this.#clock.now()
    const next = new Map<PartitionKey, number>()
    const buffers: Uint8Array[] = []
    const places: { key: PartitionKey; offset: number; at: number }[] = []
    let at = index.bytes
    for (const { key, signalIndex, partition, records } of batch) {
      for (const record of records) {
        const offset = next.get(key) ?? this.#next.get(key)!
        next.set(key, offset + 1)
        const mark = record.mark ?? this.#ownMark(offset)
        const [head, payload] = encodeFrame(record, { signalIndex, partition, offset, appendedMs, mark })
        buffers.push(head, payload)
        places.push({ key, offset, at })
        at += head.length + payload.length
      }
    }
    if (!(await this.#write(buffers, index.bytes, batch))) return
    for (const place of places) noteFrame(index, place.key, place.offset, place.at)
    index.bytes = at
    for (const [key, offset] of next) this.#next.set(key, offset)
    let placed = 0
    for (const { records, bytes, resolve } of batch) {
      this.#stats.appendedRecords += records.length
      this.#stats.appendedItems += records.reduce((sum, { items }) => sum + items, 0)
      this.#stats.appendedBytes += bytes
      resolve(records.map(() => ({ offset: places[placed++]!.offset, appendedMs })))
    }
    for (const wake of this.#followers) wake()
  }

  /** True once durable. A failed write leaves the file as it was and rejects the batch; a failed sync is the end. */
  async #write(buffers: readonly Uint8Array[], bytesBefore: number, batch: readonly Waiting[]): Promise<boolean> {
    const file = this.#file!
    try {
      await file.write(buffers)
    } catch (error) {
      try {
        await file.truncate(bytesBefore)
      } catch (truncateError) {
        this.#poison(truncateError, batch)
        return false
      }
      rejectAll(
        batch,
        new SightlineError('unavailable', `cannot write to the journal: ${messageOf(error)}`, { cause: error, retryAfterMs: 1000 }),
      )
      return false
    }
    try {
      await file.sync()
      this.#stats.syncs++
      return true
    } catch (error) {
      this.#poison(error, batch)
      return false
    }
  }

  /** After a failed fsync the kernel may have dropped the pages: trying again would lie. */
  #poison(error: unknown, batch: readonly Waiting[]): void {
    const fatal = new SightlineError('unavailable', `cannot sync the journal, its state on disk is unknown: ${messageOf(error)}`, {
      cause: error,
    })
    this.#poisoned = fatal
    rejectAll(batch, fatal)
    rejectAll(this.#queue.splice(0), fatal)
    this.#options.onFatal(fatal)
  }

  #ownMark(offset: number): ProducerMark {
    return { producer: this.#options.producer, epoch: this.epoch, sequence: offset, previous: offset - 1 }
  }

  async #roll(number: number): Promise<void> {
    const path = join(this.#options.dir, segmentName(number))
    const head = encodeSegmentHead({
      epoch: this.epoch,
      segment: number,
      offsets: Object.fromEntries(this.#next) as Record<PartitionKey, number>,
    })
    const file = await this.#disk.openAppend(path, 0)
    try {
      await file.write([head])
      await file.sync()
      await this.#disk.syncFolder(this.#options.dir)
    } catch (error) {
      await file.close()
      unlinkSync(path)
      throw error
    }
    const finished = this.#segments.at(-1)
    if (finished !== undefined) writeIndex(join(this.#options.dir, indexName(finished.number)), finished.index)
    await this.#file?.close()
    this.#file = file
    this.#segments.push({ number, path, index: { bytes: head.length, headBytes: head.length, ranges: new Map() } })
  }

  async *read(from: readonly ReadFrom[], options: { follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<JournalRecord[]> {
    const wanted = new Map<PartitionKey, number>()
    for (const { signal, partition, fromOffset } of from) {
      const key = partitionKey(signal, partition)
      const start = this.#start.get(key) ?? 0
      if (fromOffset < start) {
        throw new SightlineError(
          'not_found',
          `cannot read ${key} from offset ${fromOffset}: records ${fromOffset} to ${start - 1} are gone`,
        )
      }
      wanted.set(key, fromOffset)
    }
    const place = { path: '', at: 0 }
    for (;;) {
      const segments = this.#segments.map((segment): ReadableSegment => ({
        path: segment.path,
        index: segment.index,
        endBytes: segment.index.bytes,
      }))
      yield* readRecords(segments, wanted, place)
      if (options.follow !== true || options.signal?.aborted === true || this.#closing) return
      await this.#moreThan(wanted, options.signal)
    }
  }

  async #moreThan(wanted: ReadonlyMap<PartitionKey, number>, signal: AbortSignal | undefined): Promise<void> {
    const isThere = (): boolean => [...wanted].some(([key, offset]) => this.#next.get(key)! > offset)
    while (!isThere() && signal?.aborted !== true && !this.#closing) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#followers.delete(wake)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        this.#followers.add(wake)
        signal?.addEventListener('abort', wake, { once: true })
      })
    }
  }

  endOffset(signal: Signal, partition: number): number {
    return this.#next.get(partitionKey(signal, partition)) ?? 0
  }

  startOffset(signal: Signal, partition: number): number {
    return this.#start.get(partitionKey(signal, partition)) ?? 0
  }

  cursor(_name: string): Cursor {
    const positions = new Map<PartitionKey, number>()
    this.#cursors.add(positions)
    return {
      advance: (key, offset) => positions.set(key, offset),
      remove: () => this.#cursors.delete(positions),
    }
  }

  async deletePassed(): Promise<number> {
    let n = 0
    while (n < this.#segments.length - 1 && this.#isPassed(this.#segments[n]!)) n++
    const freed = this.#segments.slice(0, n).reduce((sum, segment) => sum + segment.index.bytes, 0)
    if (n > 0) {
      this.#delete(n)
      await this.#disk.syncFolder(this.#options.dir)
    }
    return freed
  }

  #isPassed(segment: Segment): boolean {
    for (const [key, range] of segment.index.ranges) {
      for (const cursor of this.#cursors) if ((cursor.get(key) ?? Infinity) < range.end) return false
    }
    return true
  }

  /** Deletes the oldest `n` segments; the starts move to what the next one says. */
  #delete(n: number): void {
    for (const segment of this.#segments.slice(0, n)) {
      for (const [key, range] of segment.index.ranges) this.#start.set(key, range.end)
      unlinkSync(segment.path)
      try {
        unlinkSync(join(this.#options.dir, indexName(segment.number)))
      } catch {
        // The index is a cache and may be missing.
      }
    }
    this.#segments = this.#segments.slice(n)
  }

  #bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.index.bytes, 0)
  }

  stats(): JournalStats {
    return { bytes: this.#bytes(), segments: this.#segments.length, ...this.#stats }
  }

  async close(): Promise<void> {
    this.#closing = true
    for (const wake of this.#followers) wake()
    await this.#running
    await this.#file?.close()
    this.#lock.release()
  }
}

function rejectAll(batch: readonly Waiting[], error: SightlineError): void {
  for (const { reject } of batch) reject(error)
}

function newEpoch(): string {
  return crypto.randomUUID().replaceAll('-', '')
}

/** Enough of a finished segment to hold its head. */
function readHead(path: string): Buffer {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(HEAD_BYTES_MAX)
    return bytes.subarray(0, readSync(fd, bytes, 0, HEAD_BYTES_MAX, 0))
  } finally {
    closeSync(fd)
  }
}
