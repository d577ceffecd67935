/**
 * Records that others wrote into Kafka's input topics: OTLP protobuf, as the OpenTelemetry Collector's Kafka exporter writes it, the tenant in a header.
 *
 * What a record becomes carries a mark of its own: producer `in/<signal>/<partition>`, sequence = offset × 1024 + the n-th record made of it for that partition of ours. A
 * record that is handed over again, after a crash say, gives the same sequences, and the stores leave out what they have.
 */
import { DEFAULT_TENANT, checkTenant, TENANT_HEADER } from '../../lib/http/index.ts'
import type { InputRecord } from '../../lib/journal/index.ts'
import { createRowsAppender, type Appender, type ProducedBatch } from '../../lib/producer/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter, type Log } from '../../lib/telemetry/index.ts'
import type { Destination } from './destination.ts'
import { createOtlpExport, type OtlpExport } from './otlp-export.ts'

/** Records that one input record becomes for one partition; more would share a sequence. */
const PIECES_MAX = 1024

const refusedTotal = counter(
  'sightline_input_records_refused_total',
  'Records of input topics that could not be read, and were left out.',
  ['signal'],
)

export interface InputsDeps extends Omit<Destination, 'rows'> {
  /** The life of the topics. */
  readonly epoch: string
  readonly log: Log
}

/** Takes records of one input partition, in order. Errors: those of appending; a call with the same records goes on. */
export function createInputHandler(deps: InputsDeps): (batch: readonly InputRecord[]) => Promise<void> {
  const lanes = new Map<string, Lane>()
  return async (batch) => {
    for (const record of batch) {
      const key = `in/${record.signal}/${record.inputPartition}`
      const lane = lanes.get(key) ?? new Lane(deps, key)
      lanes.set(key, lane)
      await lane.take(record)
    }
  }
}

/** One input partition. One record after the other: what comes later must not be appended before what was refused. */
class Lane {
  readonly #deps: InputsDeps
  readonly #producer: string
  readonly #run: OtlpExport
  #offset = 0
  #timestampMs = 0
  readonly #pieces = new Map<number, number>()

  constructor(deps: InputsDeps, producer: string) {
    this.#deps = deps
    this.#producer = producer
    const appender: Appender = {
      partitionCount: (signal) => deps.appender.partitionCount(signal),
      append: (signal, tenant, batches) =>
        deps.appender.append(
          signal,
          tenant,
          batches.map((one) => this.#marked(one)),
        ),
    }
    // What has no time of its own gets its record's: the same whenever it is read.
    const clock: Clock = { now: () => this.#timestampMs, sleep: (ms, signal) => deps.clock.sleep(ms, signal) }
    this.#run = createOtlpExport({ ...deps, appender, rows: createRowsAppender(appender, deps.clock), clock })
  }

  async take({ signal, offset, timestampMs, headers, value }: InputRecord): Promise<void> {
    this.#offset = offset
    this.#timestampMs = timestampMs
    this.#pieces.clear()
    try {
      const tenant = checkTenant(headers.get(TENANT_HEADER) ?? headers.get('X-Scope-OrgID') ?? DEFAULT_TENANT)
      await this.#run('kafka', signal, tenant, value)
    } catch (error) {
      if (!(error instanceof SightlineError) || error.kind !== 'bad_data') throw error
      refusedTotal.inc({ signal })
      this.#deps.log.warn({ input: this.#producer, offset, error: messageOf(error) }, 'a record of an input topic is left out')
    }
  }

  #marked(batch: ProducedBatch): ProducedBatch {
    const piece = this.#pieces.get(batch.partition) ?? 0
    this.#pieces.set(batch.partition, piece + 1)
    if (piece >= PIECES_MAX) throw new SightlineError('bad_data', `cannot take it: it makes more than ${PIECES_MAX} records of a partition`)
    const mark = { producer: this.#producer, epoch: this.#deps.epoch, sequence: this.#offset * PIECES_MAX + piece, previous: -1 }
    return { ...batch, mark }
  }
}
