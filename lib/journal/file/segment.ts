/**
 * A segment file of the journal:
 *
 *   'SLJOURN' 0x01 | u32 headBytes | u32 crc32(head) | head: JSON { epoch, segment, offsets } | frame | frame | …
 *
 * `offsets` are the next offsets of every partition when the segment was made: with them the offsets go on counting after
 * all older segments are gone. The last byte of the magic is the format version. A finished segment gets an index beside it
 * (`.idx`): first offset, end offset and first byte of each partition in it. It is a cache: made again by a scan where it is missing.
 */
import { crc32 } from 'node:zlib'
import { readFileSync, writeFileSync } from 'node:fs'
import { SightlineError } from '../../runtime/errors.ts'
import { frameHead, frameIsValid, FRAME_HEAD_BYTES } from '../frame.ts'
import { partitionKey, SIGNALS, type PartitionKey } from '../partition.ts'

const MAGIC = Buffer.from('SLJOURN')
const VERSION = 1
const FIXED_BYTES = 16

export interface SegmentHead {
  readonly epoch: string
  readonly segment: number
  readonly offsets: Readonly<Record<PartitionKey, number>>
}

/** What a segment holds of one partition: records [first, end), the first of them at byte `at`. */
export interface SegmentRange {
  readonly first: number
  end: number
  readonly at: number
}

export interface SegmentIndex {
  /** Byte after the last valid frame. */
  bytes: number
  /** Byte of the first frame. */
  readonly headBytes: number
  readonly ranges: Map<PartitionKey, SegmentRange>
}

export function segmentName(segment: number): string {
  return `segment-${String(segment).padStart(12, '0')}.log`
}

export function indexName(segment: number): string {
  return `segment-${String(segment).padStart(12, '0')}.idx`
}

/** The number in a segment's file name, undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  const match = /^segment-(\d{12})\.log$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

export function encodeSegmentHead(head: SegmentHead): Buffer {
  const json = Buffer.from(JSON.stringify(head))
  const out = Buffer.alloc(FIXED_BYTES + json.length)
  MAGIC.copy(out)
  out.writeUInt8(VERSION, 7)
  out.writeUInt32LE(json.length, 8)
  out.writeUInt32LE(crc32(json), 12)
  json.copy(out, FIXED_BYTES)
  return out
}

/** Errors: corruption where the head is damaged or of an unknown version (named). undefined where the file ends within its head: a crash made it so. */
export function decodeSegmentHead(bytes: Buffer, name: string): { head: SegmentHead; headBytes: number } | undefined {
  if (bytes.length < FIXED_BYTES) return undefined
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new SightlineError('corruption', `cannot read journal segment ${name}: not a journal segment`)
  const version = bytes.readUInt8(7)
  if (version !== VERSION) {
    throw new SightlineError(
      'corruption',
      `cannot read journal segment ${name}: format version ${version} is unknown, this program knows ${VERSION}`,
    )
  }
  const jsonBytes = bytes.readUInt32LE(8)
  if (bytes.length < FIXED_BYTES + jsonBytes) return undefined
  const json = bytes.subarray(FIXED_BYTES, FIXED_BYTES + jsonBytes)
  if (crc32(json) !== bytes.readUInt32LE(12))
    throw new SightlineError('corruption', `cannot read journal segment ${name}: its head is damaged`)
  return { head: JSON.parse(json.toString()) as SegmentHead, headBytes: FIXED_BYTES + jsonBytes }
}

/** What a scan found beside the index: bytes after the last valid frame, and bytes of damage between valid frames. */
export interface ScanResult {
  readonly index: SegmentIndex
  readonly tornBytes: number
  readonly damagedBytes: number
}

/**
 * Walks the frames of a whole segment. Behind a damaged frame it looks, byte by byte, for the next valid one: damage costs what it hit,
 * never what was acknowledged after it. Without a valid frame behind it, the rest is a torn tail.
 */
export function scanSegment(bytes: Buffer, headBytes: number): ScanResult {
  const index: SegmentIndex = { bytes: headBytes, headBytes, ranges: new Map() }
  let damagedBytes = 0
  let at = headBytes
  while (at < bytes.length) {
    if (!frameIsValid(bytes, at, bytes.length)) {
      const next = nextValidFrame(bytes, at + 1)
      if (next === -1) break
      damagedBytes += next - at
      at = next
    }
    at += addToIndex(index, bytes, at)
    index.bytes = at
  }
  return { index, tornBytes: bytes.length - index.bytes, damagedBytes }
}

/** Adds the valid frame at `at`; returns its length. */
export function addToIndex(index: SegmentIndex, bytes: Buffer, at: number): number {
  const { signalIndex, partition, offset, frameBytes } = frameHead(bytes, at)
  const signal = SIGNALS[signalIndex]
  if (signal === undefined)
    throw new SightlineError('corruption', `cannot read journal segment: unknown signal ${signalIndex} at byte ${at}`)
  noteFrame(index, partitionKey(signal, partition), offset, at)
  return frameBytes
}

export function noteFrame(index: SegmentIndex, key: PartitionKey, offset: number, at: number): void {
  const range = index.ranges.get(key)
  if (range === undefined) index.ranges.set(key, { first: offset, end: offset + 1, at })
  else range.end = offset + 1
}

export function nextValidFrame(bytes: Buffer, from: number): number {
  for (let at = from; at + FRAME_HEAD_BYTES < bytes.length; at++) if (frameIsValid(bytes, at, bytes.length)) return at
  return -1
}

export function writeIndex(path: string, index: SegmentIndex): void {
  const body = JSON.stringify({ bytes: index.bytes, headBytes: index.headBytes, ranges: [...index.ranges] })
  writeFileSync(path, `${crc32(body)}\n${body}`)
}

/** undefined where the file is missing, damaged, or of another length of segment. */
export function readIndex(path: string, segmentBytes: number): SegmentIndex | undefined {
  try {
    const [sum, body] = readFileSync(path, 'utf8').split('\n')
    if (body === undefined || crc32(body) !== Number(sum)) return undefined
    const raw = JSON.parse(body) as { bytes: number; headBytes: number; ranges: [PartitionKey, SegmentRange][] }
    return raw.bytes === segmentBytes ? { bytes: raw.bytes, headBytes: raw.headBytes, ranges: new Map(raw.ranges) } : undefined
  } catch {
    return undefined
  }
}
