/**
 * 32-bit FNV-1a over the UTF-16 code units of some strings, each followed by a separator. Chooses partitions, so it must
 * never change: a series, stream or trace would move to another partition.
 */
export function hashText(...parts: readonly string[]): number {
  let hash = 0x811c9dc5
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) hash = Math.imul(hash ^ part.charCodeAt(i), 0x01000193)
    hash = Math.imul(hash ^ 0xff, 0x01000193)
  }
  // FNV's low bits are weak: one finishing round of murmur3 spreads them before a modulo.
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  return hash >>> 0
}
