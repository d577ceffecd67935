/**
 * How far a shipper is, kept over restarts: one JSON file a shipper, written beside itself, synced and renamed.
 *
 * `sent[p]` is the first offset of metrics partition p that was not sent; `layouts[p] ≤ sent[p]` is where decoding begins after a start: writers repeat
 * their layouts within five minutes, so it lies as far back.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../../../lib/runtime/durable-file.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'

export interface ShipPlace {
  readonly sent: readonly number[]
  readonly layouts: readonly number[]
}

interface ShipFile extends ShipPlace {
  readonly format: 'sightline-ship'
  readonly version: 1
  /** Offsets mean nothing in another journal. */
  readonly journal: string
}

const PREFIX = 'remote-write-'

export function shipPath(dir: string, name: string): string {
  return join(dir, `${PREFIX}${name}.json`)
}

/** Names of the shippers with a state in `dir`. */
export function namesIn(dir: string): string[] {
  if (!existsSync(dir)) return []
  const files = readdirSync(dir).filter((file) => file.startsWith(PREFIX) && file.endsWith('.json'))
  return files.map((file) => file.slice(PREFIX.length, -'.json'.length))
}

/** Undefined where there is none, or it is of another journal or partition count. Errors: corruption where it can't be read. */
export function readPlace(path: string, epoch: string, partitions: number): ShipPlace | undefined {
  if (!existsSync(path)) return undefined
  let file: Partial<ShipFile>
  try {
    file = JSON.parse(readFileSync(path, 'utf8')) as Partial<ShipFile>
  } catch (error) {
    throw new SightlineError('corruption', `cannot read ${path}: it is no JSON`, { cause: error })
  }
  const { format, version, journal, sent, layouts } = file
  if (format !== 'sightline-ship' || version !== 1 || !isOffsets(sent) || !isOffsets(layouts)) {
    throw new SightlineError('corruption', `cannot read ${path}: version ${String(version)} of a shipper's place is unknown`)
  }
  return journal === epoch && sent.length === partitions && layouts.length === partitions ? { sent, layouts } : undefined
}

/** Durable when it resolves. */
export async function writePlace(path: string, epoch: string, { sent, layouts }: ShipPlace): Promise<void> {
  const file: ShipFile = { format: 'sightline-ship', version: 1, journal: epoch, sent, layouts }
  await writeDurably(path, JSON.stringify(file))
}

export async function forgetPlace(path: string): Promise<void> {
  await rm(path, { force: true })
}

function isOffsets(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((offset) => Number.isSafeInteger(offset) && (offset as number) >= 0)
}
