/** The destinations of a configuration: made, changed and ended with it. */
import type { Config, ShipConfig } from '../../../lib/config/index.ts'
import type { Cursor, Journal, PartitionKey } from '../../../lib/journal/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { Log } from '../../../lib/telemetry/index.ts'
import type { ShipJournal } from '../remote-write/index.ts'
import type { RecordDestination } from './destination.ts'
import { Forwarder, type ForwardStatus } from './forwarder.ts'
import { httpDestination } from './http.ts'
import { kafkaDestination } from './kafka.ts'
import { otlpDestination } from './otlp.ts'
import { forgetPlace, namesIn, pathOf, readPlace, type Place } from './place.ts'

export interface ForwardersOptions {
  /** Where places are kept. */
  readonly dir: string
  readonly journal: ShipJournal
  /** The topics a destination of type kafka writes to; opened by who starts the process. */
  readonly kafka: Journal | undefined
  readonly clock: Clock
  readonly log: Log
}

export interface Forwarders {
  /** As `Shippers.prepare`; a new destination gets everything the journal still has. Errors: bad_data; then nothing changed. */
  prepare(config: Config): () => Promise<void>
  status(): readonly ForwardStatus[]
  stop(): Promise<void>
}

const KAFKA_BATCH_BYTES = 4 * 1024 * 1024

/** Finds the places of earlier runs and holds what they need in the journal, before anything may be deleted. Errors: corruption. */
export function openForwarders({ dir, journal, kafka, clock, log }: ForwardersOptions): Forwarders {
  const places = new Map<string, Place>()
  const cursors = new Map<string, Cursor>()
  let running: Forwarder[] = []

  const cursorOf = (name: string, { sent }: Place): Cursor => {
    const cursor = cursors.get(name) ?? journal.cursor(`forward-${name}`)
    cursors.set(name, cursor)
    for (const [key, offset] of sent) cursor.advance(key, offset)
    return cursor
  }
  for (const name of namesIn(dir)) {
    const place = readPlace(pathOf(dir, name), journal.epoch)
    if (place === undefined) continue
    places.set(name, place)
    cursorOf(name, place)
  }
  const newPlace = ({ signals }: ShipConfig): Place => {
    const sent = new Map<PartitionKey, number>()
    for (const signal of signals) {
      for (let p = 0; p < journal.partitions[signal]; p++) sent.set(`${signal}/${p}`, journal.startOffset(signal, p))
    }
    return { partitions: 0, sent }
  }
  const stopAll = async (): Promise<void> => {
    await Promise.all(running.map((forwarder) => forwarder.stop()))
    for (const forwarder of running) places.set(forwarder.name, forwarder.place())
    running = []
  }
  const forgetGone = async (names: readonly string[]): Promise<void> => {
    for (const name of new Set([...places.keys(), ...namesIn(dir)])) {
      if (names.includes(name)) continue
      places.delete(name)
      cursors.get(name)?.remove()
      cursors.delete(name)
      await forgetPlace(pathOf(dir, name))
    }
  }
  const destinationOf = (config: ShipConfig): RecordDestination => {
    if (config.type === 'http') return httpDestination(config)
    if (config.type === 'otlp') return otlpDestination(config)
    if (kafka === undefined) {
      throw new SightlineError('bad_data', `cannot ship to ${config.name}: Kafka is taken into use at a start, not by a reload`)
    }
    return kafkaDestination(kafka)
  }

  return {
    prepare(config) {
      for (const one of config.ship) destinationOf(one).close()
      return async () => {
        await stopAll()
        await forgetGone(config.ship.map(({ name }) => name))
        running = config.ship.map((one) => {
          const place = places.get(one.name) ?? newPlace(one)
          return new Forwarder({
            config: one,
            destination: destinationOf(one),
            dir,
            journal,
            cursor: cursorOf(one.name, place),
            place,
            batchBytesMax: one.type === 'http' ? one.batch_size_max : KAFKA_BATCH_BYTES,
            clock,
            log,
          })
        })
        await Promise.all(running.map((forwarder) => forwarder.start()))
      }
    },
    status: () => running.map((forwarder) => forwarder.status()),
    stop: stopAll,
  }
}
