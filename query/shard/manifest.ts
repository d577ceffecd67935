/**
 * A partition's checkpoint: one JSON file, renamed into place. It names the immutable files, the journal offset up to which every record is
 * in them, each producer's last sequence, and what was counted up to there. Start = load it, delete what it doesn't name, replay from its offset.
 *
 *   {"format":"sightline-manifest","version":1,"crc":<crc32 of body as text>,"body":"…JSON…"}
 *
 * Where a group of nodes shares the journal there are two: `manifest.json` is as the group accepted it, `candidate.json` was written and waits for
 * that. Its files are ours only once it is accepted; until then the files of the other one stay.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { ProducerState } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { StoreFile } from '../store/index.ts'
import type { Owner } from './mark.ts'
import type { ProducerCounts } from './producer-ledger.ts'

const FORMAT = 'sightline-manifest'
const VERSION = 1

/** What happened to the items of a partition since it was made; it goes with the checkpoint, so a replay counts nothing twice. */
export interface PartitionLedger {
  readonly records: number
  readonly items: number
  readonly stored: number
  readonly repeatedRecords: number
  readonly repeatedItems: number
  readonly gaps: number
  readonly dropped: Readonly<Record<string, number>>
}

export interface Manifest {
  /** The journal the offsets are of. */
  readonly journal: string
  readonly offset: number
  readonly producers: readonly ProducerState[]
  readonly files: readonly StoreFile[]
  readonly state: unknown
  readonly ledger: PartitionLedger
  readonly byProducer?: readonly ProducerCounts[]
  /** Where this node began to apply without a break; absent: at 0. */
  readonly since?: number
  /** Who had it before. */
  readonly owners?: readonly Owner[]
}

export type ManifestKind = 'manifest' | 'candidate'

const pathOf = (dir: string, kind: ManifestKind): string => join(dir, `${kind}.json`)

export function readManifest(dir: string, kind: ManifestKind = 'manifest'): Manifest | undefined {
  const path = pathOf(dir, kind)
  if (!existsSync(path)) return undefined
  const outer = JSON.parse(readFileSync(path, 'utf8')) as { format?: string; version?: number; crc?: number; body?: string }
  if (outer.format !== FORMAT || outer.body === undefined) throw new SightlineError('corruption', `cannot read ${path}: not a manifest`)
  if (outer.version !== VERSION) {
    throw new SightlineError(
      'corruption',
      `cannot read ${path}: manifest version ${outer.version} is unknown, this program knows ${VERSION}`,
    )
  }
  if (crc32(outer.body) !== outer.crc) throw new SightlineError('corruption', `cannot read ${path}: its checksum is wrong`)
  return JSON.parse(outer.body) as Manifest
}

/** Durable when it returns. */
export function writeManifest(dir: string, manifest: Manifest, kind: ManifestKind = 'manifest'): void {
  mkdirSync(dir, { recursive: true })
  const body = JSON.stringify(manifest)
  const next = `${pathOf(dir, kind)}.next`
  const fd = openSync(next, 'w')
  writeSync(fd, JSON.stringify({ format: FORMAT, version: VERSION, crc: crc32(body), body }))
  fsyncSync(fd)
  closeSync(fd)
  renameSync(next, pathOf(dir, kind))
  syncFolder(dir)
}

/** The candidate was accepted. Durable when it returns. */
export function acceptCandidate(dir: string): void {
  renameSync(pathOf(dir, 'candidate'), pathOf(dir, 'manifest'))
  syncFolder(dir)
}

export function dropCandidate(dir: string): void {
  if (!existsSync(pathOf(dir, 'candidate'))) return
  rmSync(pathOf(dir, 'candidate'))
  syncFolder(dir)
}

function syncFolder(dir: string): void {
  const folder = openSync(dir, 'r')
  fsyncSync(folder)
  closeSync(folder)
}
