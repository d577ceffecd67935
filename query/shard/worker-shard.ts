/**
 * A shard on a worker thread, as the front sees it. Records go over with their buffer (moved, not copied); bytes on the way are counted and
 * bounded by whoever appends (`inFlightBytes`). A thread that dies takes the process with it: its partitions would be unreachable.
 */
import { Worker } from 'node:worker_threads'
import type { JournalRecord, Mark, PartitionKey } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { DataSignal } from './fragment.ts'
import type { Cutoffs, Holding, OpenedPartition, PartitionStatus, ShardOptions } from './local-shard.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import type { CommitMark, OwnedFrom } from './partition.ts'
import type { ProducerCounts } from './producer-ledger.ts'

export interface WorkerCallbacks {
  readonly onCheckpoint: (key: PartitionKey, offset: number) => void
  readonly onTrouble: (message: string, where: string) => void
  /** Asks the group; absent: this node is alone. */
  readonly commit?: CommitMark
  /** The thread ended without being asked to. */
  readonly onDeath: (error: SightlineError) => void
}

interface Pending {
  readonly resolve: (value: never) => void
  readonly reject: (error: SightlineError) => void
}

export class WorkerShard {
  readonly partitions: readonly number[]
  /** What the partitions looked like when the thread had opened them. */
  opened: readonly OpenedPartition[] = []
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  /** By signal: a store that pushes back holds up no other signal. */
  readonly #inFlightBytes: Record<DataSignal, number> = { metrics: 0, logs: 0, traces: 0 }
  #drained: (() => void)[] = []
  #closed = false

  private constructor(worker: Worker, partitions: readonly number[]) {
    this.#worker = worker
    this.partitions = partitions
  }

  static open(options: ShardOptions, callbacks: WorkerCallbacks): Promise<WorkerShard> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: options })
    const shard = new WorkerShard(worker, options.partitions)
    return new Promise((resolve, reject) => {
      const die = (error: SightlineError): void => {
        reject(error)
        for (const pending of shard.#pending.values()) pending.reject(error)
        shard.#pending.clear()
        if (!shard.#closed) callbacks.onDeath(error)
      }
      worker.on('error', (error) =>
        die(
          new SightlineError(
            'internal',
            `a shard's thread failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
            { cause: error },
          ),
        ),
      )
      worker.on('exit', (code) => die(new SightlineError('internal', `a shard's thread ended with code ${code}`)))
      worker.on('message', (message: FromWorker) => {
        if (message.t === 'ready') {
          shard.opened = message.opened
          resolve(shard)
        } else if (message.t === 'failed') {
          shard.#closed = true
          reject(new SightlineError(message.kind, message.message))
          void worker.terminate()
        } else shard.#receive(message, callbacks)
      })
    })
  }

  #receive(message: Exclude<FromWorker, { t: 'ready' | 'failed' }>, callbacks: WorkerCallbacks): void {
    if (message.t === 'checkpointed') return callbacks.onCheckpoint(message.key, message.offset)
    if (message.t === 'trouble') return callbacks.onTrouble(message.message, message.where)
    if (message.t === 'commit') {
      const { commit, key, mark } = message
      const answer = callbacks.commit?.(key, mark) ?? Promise.resolve(false)
      return void answer.then((accepted) => this.#worker.postMessage({ t: 'committed', commit, accepted } satisfies ToWorker))
    }
    if (message.t === 'applied') {
      this.#inFlightBytes[message.signal] -= message.bytes
      for (const wake of this.#drained.splice(0)) wake()
      return
    }
    const pending = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    if (message.t === 'answer') pending?.resolve(message.answer as never)
    else pending?.reject(new SightlineError(message.kind, message.message))
  }

  inFlightBytes(signal: DataSignal): number {
    return this.#inFlightBytes[signal]
  }

  /** The record's payload moves to the thread where it fills its buffer alone. */
  append(record: JournalRecord): void {
    const { payload } = record
    const isAlone = payload.byteOffset === 0 && payload.byteLength === payload.buffer.byteLength
    const owned = isAlone ? payload : new Uint8Array(payload)
    this.#inFlightBytes[record.signal as DataSignal] += payload.length
    const message: ToWorker = { t: 'append', record: { ...record, payload: owned } }
    this.#worker.postMessage(message, [owned.buffer as ArrayBuffer])
  }

  /** Resolves when fewer than `bytes` of a signal are on the way, or on abort: a replay waits here instead of filling memory. */
  async below(bytes: number, signal: DataSignal, abort?: AbortSignal): Promise<void> {
    while (this.#inFlightBytes[signal] >= bytes && abort?.aborted !== true) {
      await new Promise<void>((resolve) => {
        this.#drained.push(resolve)
        abort?.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  query(kind: string, tenant: string, request: unknown, signal: AbortSignal): Promise<unknown> {
    if (signal.aborted) return Promise.reject(new SightlineError('canceled', 'cannot start the query: it was canceled'))
    const id = this.#nextId++
    const cancel = (): void => this.#worker.postMessage({ t: 'cancel', id } satisfies ToWorker)
    signal.addEventListener('abort', cancel, { once: true })
    return this.#ask({ t: 'query', id, kind, tenant, request }).finally(() => signal.removeEventListener('abort', cancel))
  }

  retain(cutoffs: Cutoffs): Promise<number> {
    return this.#ask({ t: 'retain', id: this.#nextId++, cutoffs })
  }

  status(): Promise<PartitionStatus[]> {
    return this.#ask({ t: 'status', id: this.#nextId++ })
  }

  own(numbers: readonly number[], marks: ReadonlyMap<PartitionKey, Mark>): Promise<OwnedFrom[]> {
    return this.#ask({ t: 'own', id: this.#nextId++, numbers, marks })
  }

  decide(marks: ReadonlyMap<PartitionKey, Mark>): Promise<void> {
    return this.#ask({ t: 'decide', id: this.#nextId++, marks })
  }

  handOver(numbers: readonly number[]): Promise<void> {
    return this.#ask({ t: 'handOver', id: this.#nextId++, numbers })
  }

  lose(numbers: readonly number[]): Promise<void> {
    return this.#ask({ t: 'lose', id: this.#nextId++, numbers })
  }

  holdings(): Promise<Holding[]> {
    return this.#ask({ t: 'holdings', id: this.#nextId++ })
  }

  producerCounts(): Promise<{ key: PartitionKey; producers: ProducerCounts[] }[]> {
    return this.#ask({ t: 'producers', id: this.#nextId++ })
  }

  checkpoint(): Promise<void> {
    return this.#ask({ t: 'checkpoint', id: this.#nextId++ })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#ask({ t: 'close', id: this.#nextId++ })
    await this.#worker.terminate()
  }

  #ask<T>(message: Extract<ToWorker, { id: number }>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(message.id, { resolve, reject })
      this.#worker.postMessage(message)
    })
  }
}
