/** The shippers of a configuration: made, changed and ended with it. */
import { createHttpClient } from '../../../lib/http/index.ts'
import type { Config } from '../../../lib/config/index.ts'
import { partitionKey, type Cursor } from '../../../lib/journal/index.ts'
import { createRelabeler } from '../../../lib/relabel/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import type { Log } from '../../../lib/telemetry/index.ts'
import { RemoteWriteShipper, type ShipJournal } from './shipper.ts'
import { settingsOf } from './settings.ts'
import { forgetPlace, namesIn, readPlace, shipPath, type ShipPlace } from './ship-state.ts'

export interface ShippersOptions {
  /** Where places are kept. */
  readonly dir: string
  readonly journal: ShipJournal
  readonly clock: Clock
  readonly log: Log
}

export interface Shippers {
  /**
   * Checks a configuration and returns what goes over to it: entries that are gone end and their places are forgotten, all others go on where they
   * were, new ones begin at the journal's end as it is now. Errors: bad_data; then nothing changed.
   */
  prepare(config: Config): () => Promise<void>
  stop(): Promise<void>
}

/** A shipper's cursor lets go when the journal is this full. */
const HOLD_SHARE = 0.75

/**
 * Finds the places of earlier runs and holds what they need in the journal, before anything may be deleted.
 * Errors: corruption for a place that can't be read.
 */
export function openShippers({ dir, journal, clock, log }: ShippersOptions): Shippers {
  const partitions = journal.partitions.metrics
  const places = new Map<string, ShipPlace>()
  const cursors = new Map<string, Cursor>()
  let running: RemoteWriteShipper[] = []

  const cursorOf = (name: string, place: ShipPlace): Cursor => {
    const cursor = cursors.get(name) ?? journal.cursor(`remote-write-${name}`)
    cursors.set(name, cursor)
    for (const [partition, offset] of place.layouts.entries()) cursor.advance(partitionKey('metrics', partition), offset)
    return cursor
  }

  for (const name of namesIn(dir)) {
    const place = readPlace(shipPath(dir, name), journal.epoch, partitions)
    if (place === undefined) continue
    places.set(name, place)
    cursorOf(name, place)
  }
  const newPlace = (): ShipPlace => ({
    sent: Array.from({ length: partitions }, (_, partition) => journal.endOffset('metrics', partition)),
    layouts: Array.from({ length: partitions }, (_, partition) => journal.startOffset('metrics', partition)),
  })

  const stopAll = async (): Promise<void> => {
    await Promise.all(running.map((shipper) => shipper.stop()))
    for (const shipper of running) places.set(shipper.name, shipper.place())
    running = []
  }

  const forgetGone = async (names: readonly string[]): Promise<void> => {
    for (const name of new Set([...places.keys(), ...namesIn(dir)])) {
      if (names.includes(name)) continue
      places.delete(name)
      cursors.get(name)?.remove()
      cursors.delete(name)
      await forgetPlace(shipPath(dir, name))
    }
  }

  return {
    prepare(config) {
      const settings = settingsOf(config.remote_write)
      for (const entry of config.remote_write) {
        createHttpClient(entry).close()
        createRelabeler(entry.write_relabel_configs)
      }
      const begin = newPlace()
      return async () => {
        await stopAll()
        await forgetGone(settings.map(({ name }) => name))
        running = settings.map((one, i) => {
          const place = places.get(one.name) ?? begin
          return new RemoteWriteShipper({
            config: config.remote_write[i]!,
            settings: one,
            dir,
            journal,
            cursor: cursorOf(one.name, place),
            place,
            isNew: !places.has(one.name),
            holdBytesMax: config.journal.size_max * HOLD_SHARE,
            clock,
            log,
          })
        })
        await Promise.all(running.map((shipper) => shipper.start()))
      }
    },
    stop: stopAll,
  }
}
