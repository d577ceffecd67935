/**
 * How far a destination is, kept over restarts: `forward-<name>.json`. `sent["logs/3"]` is the first offset of that partition of our journal which the
 * destination has not taken.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { PartitionKey } from '../../../lib/journal/index.ts'
import { writeDurably } from '../../../lib/runtime/durable-file.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'

export type Sent = ReadonlyMap<PartitionKey, number>

interface PlaceFile {
  readonly format: 'sightline-forward'
  readonly version: 1
  /** Offsets mean nothing in another journal. */
  readonly journal: string
  /** Partitions of each signal over there when it was last seen; 0 = never. Data must not move to another rule unnoticed. */
  readonly partitions: number
  readonly sent: Readonly<Record<PartitionKey, number>>
}

const PREFIX = 'forward-'

export interface Place {
  readonly sent: Sent
  readonly partitions: number
}

export const pathOf = (dir: string, name: string): string => join(dir, `${PREFIX}${name}.json`)

export function namesIn(dir: string): string[] {
  if (!existsSync(dir)) return []
  const files = readdirSync(dir).filter((file) => file.startsWith(PREFIX) && file.endsWith('.json'))
  return files.map((file) => file.slice(PREFIX.length, -'.json'.length))
}

/** Undefined where there is none, or it is of another journal. Errors: corruption. */
export function readPlace(path: string, journal: string): Place | undefined {
  if (!existsSync(path)) return undefined
  let file: Partial<PlaceFile>
  try {
    file = JSON.parse(readFileSync(path, 'utf8')) as Partial<PlaceFile>
  } catch (error) {
    throw new SightlineError('corruption', `cannot read ${path}: it is no JSON`, { cause: error })
  }
  const { format, version, partitions = 0, sent } = file
  if (format !== 'sightline-forward' || version !== 1 || sent === undefined) {
    throw new SightlineError('corruption', `cannot read ${path}: version ${String(version)} of a destination's place is unknown`)
  }
  return file.journal === journal ? { partitions, sent: new Map(Object.entries(sent) as [PartitionKey, number][]) } : undefined
}

/** Durable when it resolves. */
export function writePlace(path: string, journal: string, { sent, partitions }: Place): Promise<void> {
  const file: PlaceFile = {
    format: 'sightline-forward',
    version: 1,
    journal,
    partitions,
    sent: Object.fromEntries(sent) as Record<PartitionKey, number>,
  }
  return writeDurably(path, JSON.stringify(file))
}

export function forgetPlace(path: string): Promise<void> {
  return rm(path, { force: true })
}
