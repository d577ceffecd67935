/**
 * Files that were begun and rotated away between two looks: a burst may fill one within a second, and more while a process is down. They lie beside
 * the name as `<name>.<something>`, and no position knows them.
 */
import { closeSync, openSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isSame } from './identity.ts'
import type { Positions } from './positions.ts'

/** What a rotator packs was read before, or can't be read any more. */
const COMPRESSED = /\.(gz|zst|xz|bz2|lz4)$/

interface Neighbour {
  readonly path: string
  readonly mtimeMs: number
  readonly isKnown: boolean
}

/**
 * Paths of unread files that were rotated away from `path`, oldest first. Only what is newer than the oldest that was read: what lay there before we came is nobody's
 * concern. Errors: none; a file that goes meanwhile is left out.
 *
 * @param lookedMs where nothing of the name was read yet: only what was written since
 */
export function rotatedUnread(path: string, positions: Positions, lookedMs: number): string[] {
  const read = positions.below(path)
  const neighbours = neighboursOf(path, positions)
  const known = neighbours.filter(({ isKnown }) => isKnown).map(({ mtimeMs }) => mtimeMs)
  const begun = known.length > 0 ? known : read.map(({ seenMs }) => seenMs)
  const sinceMs = begun.length > 0 ? Math.min(...begun) : lookedMs
  return neighbours
    .filter(({ isKnown, mtimeMs }) => !isKnown && mtimeMs >= sinceMs)
    .sort((a, b) => a.mtimeMs - b.mtimeMs)
    .map((neighbour) => neighbour.path)
}

function neighboursOf(path: string, positions: Positions): Neighbour[] {
  const dir = dirname(path)
  const prefix = `${basename(path)}.`
  return readdirSync(dir)
    .filter((name) => name.startsWith(prefix) && !COMPRESSED.test(name))
    .flatMap((name) => {
      try {
        const neighbour = join(dir, name)
        const stat = statSync(neighbour)
        return stat.isFile() ? [{ path: neighbour, mtimeMs: stat.mtimeMs, isKnown: isKnown(neighbour, positions) }] : []
      } catch {
        return []
      }
    })
}

function isKnown(path: string, positions: Positions): boolean {
  const fd = openSync(path, 'r')
  try {
    const known = positions.get(statSync(path))
    return known !== undefined && isSame(fd, known)
  } finally {
    closeSync(fd)
  }
}
