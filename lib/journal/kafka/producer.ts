/**
 * Writing, in order and once. Each partition is a **lane**: what waits for it, and at most one batch that is under way or to be sent again. One request per broker is in flight
 * and carries a batch of every lane that has one, so what comes meanwhile collects and no timer is needed. A batch that failed is sent again as the same bytes with the same
 * number of this producer, which the broker knows it by; nothing of its lane overtakes it.
 *
 * A batch that is given up may be in the log or not. This producer then takes a new identity, since a number must never stand for two contents.
 */
import { createRecordsBatch, initProducerIdV4, NumericMap, type MessageRecord, type Writer } from '@platformatic/kafka'
import type { Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import type { Cluster } from './cluster.ts'
import type { Connections } from './connections.ts'
import { answerOf, causeOf, CODE, codeError, isRetriable, nameOfCode, offsetOf, requestError } from './errors.ts'
import { produce } from './produce-request.ts'

export interface OutgoingMessage {
  readonly key?: Buffer
  /** null deletes the key of a compacted topic. */
  readonly value: Uint8Array | null
  readonly headers: Map<Buffer, Buffer>
}

export interface Outgoing {
  readonly topic: string
  readonly partition: number
  /** Of the message, at most: counted against batch and queue. */
  readonly bytes: number
  /** Takes a number of the lane's own sequence. */
  readonly isNumbered: boolean
  /** Called each time a batch is made; `sequence` and `previous` (the last acknowledged) are the lane's, −1 where it isn't numbered. */
  encode(sequence: number, previous: number): OutgoingMessage
}

export interface Sent {
  readonly offset: number
  readonly appendedMs: number
  /** The lowest offset still there. */
  readonly startOffset: number
}

export interface ProducerOptions {
  readonly clock: Clock
  readonly queueBytesMax: number
  /** `max.message.bytes` of a topic: a batch is at most this large. */
  readonly batchBytesMax: (topic: string) => number
}

interface Waiting {
  readonly out: Outgoing
  /** What was given together with it. */
  readonly chain: readonly Outgoing[]
  readonly deadlineMs: number
  readonly resolve: (sent: Sent) => void
  readonly reject: (error: SightlineError) => void
}

interface Identity {
  readonly id: bigint
  readonly epoch: number
}

interface Batch {
  readonly lane: Lane
  readonly waiting: readonly Waiting[]
  readonly identity: Identity
  readonly records: Writer
  readonly bytes: number
  /** Of the lane's own numbers, the last in here; the lane's last acknowledged where none is numbered. */
  readonly lastNumber: number
  readonly deadlineMs: number
}

interface Lane {
  readonly topic: string
  readonly partition: number
  waiting: Waiting[]
  /** To be sent again, or under way. */
  undone: Batch | undefined
  isSent: boolean
  retryAtMs: number
  failures: number
  /** Batches of one, after a batch was too large. */
  singles: number
  identity: Identity | undefined
  brokerSequence: number
  nextNumber: number
  acknowledged: number
}

const REQUEST_BYTES_MAX = 8 * 1024 * 1024
const BATCH_BYTES_MAX = 2 * 1024 * 1024
const BATCH_OVERHEAD_BYTES = 100
const BACKOFF_MIN_MS = 50
const BACKOFF_MAX_MS = 1000
const RETRY_AFTER_MS = 1000
const SEQUENCES = 2 ** 31
/** The broker answers by itself when its replicas take longer than the request's own limit. */
const ANSWER_SLACK_MS = 2000

export class Producer {
  readonly #cluster: Cluster
  readonly #options: ProducerOptions
  readonly #clock: Clock
  readonly #connections: Connections
  readonly #lanes = new Map<string, Lane>()
  readonly #ready = new Set<Lane>()
  readonly #busy = new Set<number>()
  #identity: Identity | undefined
  #queueBytes = 0
  #closing = false
  #drained: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  readonly stats = { requests: 0, retries: 0, rejectedFull: 0, givenUp: 0 }

  constructor(cluster: Cluster, options: ProducerOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#clock = options.clock
    this.#connections = cluster.connections(cluster.config.request_timeout + ANSWER_SLACK_MS)
  }

  get queueBytes(): number {
    return this.#queueBytes
  }

  /** Errors: too_many (queue full), unavailable (not delivered in time: it may be there or not), too_large, forbidden, canceled (closing). */
  async send(out: Outgoing): Promise<Sent> {
    const [sent] = await this.sendAll([out])
    return sent!
  }

  /** All to one partition. As `send`; where one is given up, those after it are not sent any more. */
  sendAll(outs: readonly Outgoing[]): Promise<readonly Sent[]> {
    const refused = this.#refusal(outs)
    if (refused !== undefined) return Promise.reject(refused)
    const deadlineMs = this.#clock.now() + this.#cluster.config.delivery_timeout
    const lane = this.#laneOf(outs[0]!.topic, outs[0]!.partition)
    const sending = outs.map((out) => {
      const { promise, resolve, reject } = Promise.withResolvers<Sent>()
      lane.waiting.push({ out, chain: outs, resolve, reject, deadlineMs })
      this.#queueBytes += out.bytes
      return promise
    })
    this.#ready.add(lane)
    this.#kick(lane)
    return Promise.all(sending)
  }

  #refusal(outs: readonly Outgoing[]): SightlineError | undefined {
    const { topic } = outs[0]!
    const bytes = outs.reduce((sum, out) => sum + out.bytes, 0)
    if (this.#closing) return new SightlineError('canceled', `cannot write to topic ${topic}: closing`)
    const bytesMax = this.#options.batchBytesMax(topic) - BATCH_OVERHEAD_BYTES
    const large = outs.find((out) => out.bytes > bytesMax)
    if (large !== undefined) {
      return new SightlineError(
        'too_large',
        `cannot write ${large.bytes} bytes to topic ${topic}: its max.message.bytes leaves ${bytesMax}`,
      )
    }
    if (this.#queueBytes + bytes <= this.#options.queueBytesMax) return undefined
    this.stats.rejectedFull++
    return new SightlineError('too_many', `cannot write to topic ${topic}: ${this.#queueBytes} bytes wait for the broker already`, {
      retryAfterMs: RETRY_AFTER_MS,
    })
  }

  #laneOf(topic: string, partition: number): Lane {
    const key = `${topic}/${partition}`
    const found = this.#lanes.get(key)
    if (found !== undefined) return found
    const numbers = { nextNumber: 0, acknowledged: -1, brokerSequence: 0, identity: undefined }
    const lane: Lane = {
      topic,
      partition,
      waiting: [],
      undone: undefined,
      isSent: false,
      retryAtMs: 0,
      failures: 0,
      singles: 0,
      ...numbers,
    }
    this.#lanes.set(key, lane)
    return lane
  }

  #kick(lane: Lane): void {
    const node = this.#cluster.leaderOf(lane.topic, lane.partition)
    if (node === undefined) this.#retryLater(lane)
    else if (!this.#busy.has(node)) void this.#serve(node)
  }

  /** Sends to a broker for as long as there is something to send. */
  async #serve(node: number): Promise<void> {
    this.#busy.add(node)
    // Sends of the same turn of the event loop share a request.
    await Promise.resolve()
    for (;;) {
      if (this.#identity === undefined && !(await this.#identify())) break
      const batches = this.#take(node)
      if (batches.length === 0) break
      await this.#exchange(node, batches)
    }
    this.#busy.delete(node)
  }

  async #identify(): Promise<boolean> {
    try {
      const connection = await this.#cluster.any()
      const { producerId, producerEpoch, errorCode } = await answerOf(
        initProducerIdV4.api.async(connection, null, this.#cluster.config.request_timeout),
      )
      if (errorCode !== CODE.none) throw codeError('become a producer', errorCode)
      this.#identity = { id: producerId, epoch: producerEpoch }
      return true
    } catch (error) {
      this.#expire(causeOf(error))
      for (const lane of this.#ready) this.#retryLater(lane)
      return false
    }
  }

  #take(node: number): Batch[] {
    const nowMs = this.#clock.now()
    const batches: Batch[] = []
    let bytes = 0
    for (const lane of this.#ready) {
      if (lane.isSent || lane.retryAtMs > nowMs || this.#cluster.leaderOf(lane.topic, lane.partition) !== node) continue
      lane.undone ??= this.#makeBatch(lane)
      if (bytes > 0 && bytes + lane.undone.bytes > REQUEST_BYTES_MAX) break
      bytes += lane.undone.bytes
      lane.isSent = true
      batches.push(lane.undone)
    }
    // What was taken goes to the end of the line.
    for (const { lane } of batches) {
      this.#ready.delete(lane)
      this.#ready.add(lane)
    }
    return batches
  }

  #makeBatch(lane: Lane): Batch {
    const bytesMax = Math.min(this.#options.batchBytesMax(lane.topic), BATCH_BYTES_MAX) - BATCH_OVERHEAD_BYTES
    let bytes = lane.waiting[0]!.out.bytes
    let n = 1
    while (lane.singles === 0 && n < lane.waiting.length && bytes + lane.waiting[n]!.out.bytes <= bytesMax)
      bytes += lane.waiting[n++]!.out.bytes
    if (lane.singles > 0) lane.singles--
    const waiting = lane.waiting.splice(0, n)
    let lastNumber = lane.acknowledged
    const messages = waiting.map(({ out }): MessageRecord => {
      const sequence = out.isNumbered ? lane.nextNumber++ : -1
      const { key, value, headers } = out.encode(sequence, out.isNumbered ? lastNumber : -1)
      if (out.isNumbered) lastNumber = sequence
      // The library's type knows no deletion, its encoder does.
      const bytesOf = value === null ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      return { topic: lane.topic, partition: lane.partition, value: bytesOf as Buffer, headers, ...(key === undefined ? {} : { key }) }
    })
    if (lane.identity !== this.#identity) {
      lane.identity = this.#identity!
      lane.brokerSequence = 0
    }
    const identity = lane.identity!
    const sequences = new NumericMap([[`${lane.topic}:${lane.partition}`, lane.brokerSequence]])
    const records = createRecordsBatch(messages, { producerId: identity.id, producerEpoch: identity.epoch, sequences })
    return { lane, waiting, identity, records, bytes, lastNumber, deadlineMs: waiting[0]!.deadlineMs }
  }

  async #exchange(node: number, batches: readonly Batch[]): Promise<void> {
    this.stats.requests++
    try {
      const connection = await this.#connections.get(this.#cluster.broker(node)!)
      const parts = batches.map(({ lane, records }) => ({ topic: lane.topic, partition: lane.partition, records }))
      const answer = await answerOf(produce.async(connection, this.#cluster.config.request_timeout, parts))
      const answers = new Map(
        answer.responses.flatMap(({ name, partitionResponses }) => partitionResponses.map((one) => [`${name}/${one.index}`, one])),
      )
      for (const batch of batches) {
        const one = answers.get(`${batch.lane.topic}/${batch.lane.partition}`)
        if (one === undefined) this.#failed(batch, 'the broker did not answer for it')
        else if (one.errorCode === CODE.none) this.#acknowledge(batch, one)
        else this.#refused(batch, one.errorCode, one.errorMessage)
      }
    } catch (error) {
      for (const batch of batches) if (batch.lane.isSent && batch.lane.undone === batch) this.#failed(batch, causeOf(error))
    }
  }

  #acknowledge(batch: Batch, answer: { baseOffset: bigint; logAppendTimeMs: bigint; logStartOffset: bigint }): void {
    const { lane, waiting } = batch
    const offset = offsetOf(answer.baseOffset)
    const appendedMs = answer.logAppendTimeMs < 0n ? this.#clock.now() : Number(answer.logAppendTimeMs)
    const startOffset = offsetOf(answer.logStartOffset)
    lane.acknowledged = batch.lastNumber
    lane.brokerSequence = (lane.brokerSequence + waiting.length) % SEQUENCES
    this.#finish(batch)
    for (const [i, { resolve }] of waiting.entries()) resolve({ offset: offset + i, appendedMs, startOffset })
  }

  #refused(batch: Batch, code: number, detail: string | null | undefined): void {
    const { lane, waiting } = batch
    if (code === CODE.messageTooLarge || code === CODE.recordListTooLarge) {
      if (waiting.length === 1) {
        return this.#giveUp(
          batch,
          new SightlineError('too_large', `cannot write ${batch.bytes} bytes to topic ${lane.topic}: ${nameOfCode(code)}`),
        )
      }
      // Nothing of it was taken: each on its own, numbered anew.
      lane.singles = waiting.length
      lane.waiting = [...waiting, ...lane.waiting]
      lane.undone = undefined
      lane.isSent = false
      return
    }
    const isForgotten = code === CODE.outOfOrderSequence || code === CODE.unknownProducer || code === CODE.invalidProducerEpoch
    if (isForgotten && this.#clock.now() < batch.deadlineMs) {
      // The broker lost what it knew of us. As another producer we send it again; if it is there already, its own mark tells readers.
      if (this.#identity === batch.identity) this.#identity = undefined
      lane.waiting = [...waiting, ...lane.waiting]
      lane.undone = undefined
      lane.isSent = false
      return this.#retryLater(lane)
    }
    if (isRetriable(code)) return this.#failed(batch, nameOfCode(code))
    if (this.#identity === batch.identity) this.#identity = undefined
    this.#giveUp(batch, codeError(`write to topic ${lane.topic}`, code, detail))
  }

  #failed(batch: Batch, why: string): void {
    batch.lane.isSent = false
    if (this.#clock.now() < batch.deadlineMs) {
      this.stats.retries++
      return this.#retryLater(batch.lane)
    }
    if (this.#identity === batch.identity) this.#identity = undefined
    this.#giveUp(batch, undelivered(batch.lane, why))
    this.#expire(why)
    if (batch.lane.waiting.length > 0) this.#retryLater(batch.lane)
  }

  #giveUp(batch: Batch, error: SightlineError): void {
    this.stats.givenUp += batch.waiting.length
    const chains = new Set(batch.waiting.map(({ chain }) => chain))
    const broken = batch.lane.waiting.filter(({ chain }) => chains.has(chain))
    batch.lane.waiting = batch.lane.waiting.filter(({ chain }) => !chains.has(chain))
    for (const { out } of broken) this.#queueBytes -= out.bytes
    this.#finish(batch)
    for (const { reject } of [...batch.waiting, ...broken]) reject(error)
  }

  #finish(batch: Batch): void {
    const { lane } = batch
    lane.undone = undefined
    lane.isSent = false
    lane.failures = 0
    lane.retryAtMs = 0
    for (const { out } of batch.waiting) this.#queueBytes -= out.bytes
    this.#settle(lane)
  }

  #settle(lane: Lane): void {
    if (lane.waiting.length === 0 && lane.undone === undefined) this.#ready.delete(lane)
    if (this.#ready.size === 0) this.#drained?.()
  }

  /** Rejects what has waited too long; a batch under way is left to its answer. */
  #expire(why: string): void {
    const nowMs = this.#clock.now()
    for (const lane of this.#ready) {
      const { undone } = lane
      if (undone !== undefined && !lane.isSent && undone.deadlineMs <= nowMs) {
        if (this.#identity === undone.identity) this.#identity = undefined
        this.#giveUp(undone, undelivered(lane, why))
      }
      if (lane.undone !== undefined) continue
      const n = lane.waiting.findIndex(({ deadlineMs }) => deadlineMs > nowMs)
      for (const { out, reject } of lane.waiting.splice(0, n === -1 ? lane.waiting.length : n)) {
        this.#queueBytes -= out.bytes
        this.stats.givenUp++
        reject(undelivered(lane, why))
      }
      this.#settle(lane)
    }
  }

  #retryLater(lane: Lane): void {
    const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(lane.failures, 10))
    lane.failures++
    lane.retryAtMs = this.#clock.now() + backoffMs
    this.#timer ??= setTimeout(() => void this.#retry(), backoffMs)
  }

  async #retry(): Promise<void> {
    let why = 'its partition has no leader'
    await this.#cluster.refresh().catch((error: unknown) => (why = requestError('send', error).message))
    this.#timer = undefined
    this.#expire(why)
    const nowMs = this.#clock.now()
    let nextMs = Infinity
    for (const lane of this.#ready) {
      if (lane.retryAtMs > nowMs) nextMs = Math.min(nextMs, lane.retryAtMs)
      else if (!lane.isSent) this.#kick(lane)
    }
    if (nextMs < Infinity) this.#timer ??= setTimeout(() => void this.#retry(), nextMs - nowMs)
  }

  /** Takes no more, waits for what is under way (at most until it is given up), and closes. */
  async close(): Promise<void> {
    this.#closing = true
    if (this.#ready.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve))
    clearTimeout(this.#timer)
    await this.#connections.close()
  }
}

function undelivered({ topic, partition }: Lane, why: string): SightlineError {
  return new SightlineError('unavailable', `cannot write to ${topic}/${partition} in time: ${why}`, { retryAfterMs: RETRY_AFTER_MS })
}
