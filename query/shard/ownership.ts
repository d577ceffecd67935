/**
 * Where a node goes on with a partition it is given. Its own files reach up to its manifest, perhaps to a candidate that it never heard of again; the
 * group's mark says what was accepted, and from whom.
 */
import type { Mark, ProducerState } from '../../lib/journal/index.ts'
import type { Manifest } from './manifest.ts'
import { decodeMark, OWNERS_MAX, type Owner } from './mark.ts'

export interface TakeOver {
  /** Our candidate: to be taken as accepted, or dropped with its files. */
  readonly candidate: 'accept' | 'drop'
  /** The first record to apply. */
  readonly offset: number
  /** Records from here to `offset` are read for their layouts only: our own files hold the layouts. */
  readonly readFrom: number
  /** From here on the journal holds every layout in use. */
  readonly learnFrom: number
  readonly since: number
  readonly owners: readonly Owner[]
  /** Last sequences at `offset`; undefined: as our manifest has them. */
  readonly producers: readonly ProducerState[] | undefined
}

/** Whether a checkpoint of `node` up to `offset` was accepted, by what the last accepted mark says. */
export function wasAccepted(node: string, offset: number, mark: Mark | undefined): boolean {
  if (mark === undefined) return false
  return mark.node === node ? mark.offset >= offset : decodeMark(mark).owners.some((owner) => owner.node === node && owner.to === offset)
}

/** @param mark the last accepted one, of whatever node; undefined where nobody committed yet */
export function takeOver(node: string, mark: Mark | undefined, manifest: Manifest | undefined, candidate: Manifest | undefined): TakeOver {
  if (mark === undefined || mark.node === node) {
    // Nobody else committed since: what we wrote past the mark is ours.
    const ours = candidate ?? manifest
    const known = { since: ours?.since ?? 0, owners: ours?.owners ?? [], learnFrom: ours?.since ?? 0 }
    const { since, owners, learnFrom } = mark === undefined ? known : decodeMark(mark)
    const isWhole = ours !== undefined && ours.offset >= since
    // A folder that was lost is filled again from where our part begins.
    const offset = isWhole ? ours.offset : since
    return {
      candidate: 'accept',
      offset,
      readFrom: offset,
      learnFrom: Math.min(learnFrom, offset),
      since,
      owners,
      producers: isWhole ? undefined : [],
    }
  }
  const { since, learnFrom, producers, owners } = decodeMark(mark)
  const all = [...owners, { node: mark.node, from: since, to: mark.offset }].slice(-OWNERS_MAX)
  return {
    candidate: candidate !== undefined && wasAccepted(node, candidate.offset, mark) ? 'accept' : 'drop',
    offset: mark.offset,
    readFrom: Math.min(learnFrom, mark.offset),
    learnFrom: Math.min(learnFrom, mark.offset),
    since: mark.offset,
    owners: all,
    producers,
  }
}
