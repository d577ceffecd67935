import type { Labels } from '../lib/model/index.ts'

const PRIME = 0x100000001b3n
const MASK = 0xffffffffffffffffn
const encoder = new TextEncoder()

/**
 * The identity of a label set as 16 hexadecimal digits: 64-bit FNV-1a over each name and value with 0xff behind it.
 * Source: Prometheus' `LabelSet.Fingerprint`; the same number.
 */
export function fingerprintOf(labels: Labels): string {
  let hash = 0xcbf29ce484222325n
  for (const text of labels) {
    for (const byte of encoder.encode(text)) hash = ((hash ^ BigInt(byte)) * PRIME) & MASK
    hash = ((hash ^ 0xffn) * PRIME) & MASK
  }
  return hash.toString(16).padStart(16, '0')
}
