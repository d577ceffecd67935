/**
 * Which file it is, whatever it is called: device, inode, and the bytes it begins with. An inode number is used again after a deletion, and a
 * truncated file keeps its own: the beginning tells both.
 */
import { createHash } from 'node:crypto'
import { fstatSync, readSync } from 'node:fs'

export interface FileIdentity {
  readonly dev: number
  readonly ino: number
  /** How many bytes the fingerprint covers: the file may have been shorter than `FINGERPRINT_BYTES` when it was taken. */
  readonly length: number
  readonly hash: string
}

const FINGERPRINT_BYTES = 256

/** undefined for an empty file: it has nothing to be told by yet, and nothing to be read. */
export function identify(fd: number, length = FINGERPRINT_BYTES): FileIdentity | undefined {
  const { dev, ino } = fstatSync(fd)
  const head = Buffer.alloc(length)
  const bytes = readSync(fd, head, 0, length, 0)
  if (bytes === 0) return undefined
  return { dev, ino, length: bytes, hash: createHash('sha256').update(head.subarray(0, bytes)).digest('hex').slice(0, 16) }
}

/** True where the open file is the one that was identified before, perhaps longer now. */
export function isSame(fd: number, known: FileIdentity): boolean {
  const now = identify(fd, known.length)
  return now !== undefined && now.dev === known.dev && now.ino === known.ino && now.length === known.length && now.hash === known.hash
}

/** Names the file in positions. The fingerprint of a short file grows with it, so it isn't part of the key: `isSame` decides. */
export function identityKey({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`
}
