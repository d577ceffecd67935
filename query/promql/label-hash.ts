/**
 * Prometheus' hash of a label set: XXH64 over its labels, each text with its length before it. `limit_ratio` chooses series by
 * it, so that both systems choose the same. Cost: some microseconds (BigInt); only used there.
 */
import type { Labels } from '../../lib/model/index.ts'

const P1 = 0x9e3779b185ebca87n
const P2 = 0xc2b2ae3d27d4eb4fn
const P3 = 0x165667b19e3779f9n
const P4 = 0x85ebca77c2b2ae63n
const P5 = 0x27d4eb2f165667c5n
const MASK = 0xffffffffffffffffn

/** The hash as a share of the 64-bit range, in [0, 1]. */
export function labelHashShare(labels: Labels): number {
  return Number(xxh64(encodeLabels(labels))) / 2 ** 64
}

/** Length (one byte, or 255 and three) and text, name by value. */
function encodeLabels(labels: Labels): Buffer {
  const parts: Uint8Array[] = []
  for (const text of labels) {
    const bytes = Buffer.from(text)
    const { length } = bytes
    parts.push(length < 255 ? Uint8Array.of(length) : Uint8Array.of(255, length & 255, (length >> 8) & 255, (length >> 16) & 255), bytes)
  }
  return Buffer.concat(parts)
}

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK
}

function round(lane: bigint, input: bigint): bigint {
  return (rotate((lane + input * P2) & MASK, 31n) * P1) & MASK
}

/** XXH64 with seed 0. */
export function xxh64(data: Buffer): bigint {
  const { length } = data
  let at = 0
  let hash = P5
  if (length >= 32) {
    const lanes = [(P1 + P2) & MASK, P2, 0n, (MASK + 1n - P1) & MASK]
    for (; at + 32 <= length; at += 32) for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, data.readBigUInt64LE(at + 8 * i))
    hash = (rotate(lanes[0]!, 1n) + rotate(lanes[1]!, 7n) + rotate(lanes[2]!, 12n) + rotate(lanes[3]!, 18n)) & MASK
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & MASK
  }
  hash = (hash + BigInt(length)) & MASK
  for (; at + 8 <= length; at += 8) hash = (rotate(hash ^ round(0n, data.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK
  if (at + 4 <= length) {
    hash = (rotate(hash ^ ((BigInt(data.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK
    at += 4
  }
  for (; at < length; at++) hash = (rotate(hash ^ ((BigInt(data[at]!) * P5) & MASK), 11n) * P1) & MASK
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK
  return hash ^ (hash >> 32n)
}
