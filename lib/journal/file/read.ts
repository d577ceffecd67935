/**
 * Reads records out of segment files: in recovery, and for shippers that fell behind. Segments without a wanted record are not opened.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { decodeFrame, frameHead, frameIsValid, FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES } from '../frame.ts'
import { partitionKey, SIGNALS, type PartitionKey } from '../partition.ts'
import type { JournalRecord } from '../record.ts'
import { nextValidFrame, type SegmentIndex } from './segment.ts'

export interface ReadableSegment {
  readonly path: string
  readonly index: SegmentIndex
  /** Durable bytes when the read began. */
  readonly endBytes: number
}

const READ_BYTES = 4 * 1024 * 1024
const BATCH_BYTES = 1024 * 1024

/** Where a reader stands in the last segment it read: everything before was offered to every wanted partition. */
export interface ReadPlace {
  path: string
  at: number
  /** Memory of this reader, used again for each read: a follower reads often and little. */
  memory?: Buffer
}

/**
 * Batches of records at or past the wanted offsets, in segment order. `wanted` and `place` are moved along: a second
 * call with them goes on where this one ended.
 * Cost: each needed segment is read once, whatever the number of partitions.
 */
export async function* readRecords(
  segments: readonly ReadableSegment[],
  wanted: Map<PartitionKey, number>,
  place: ReadPlace,
): AsyncGenerator<JournalRecord[]> {
  for (const segment of segments) {
    const wantedByte = firstWantedByte(segment.index, wanted)
    if (wantedByte === undefined) continue
    const firstByte = segment.path === place.path ? Math.max(place.at, wantedByte) : wantedByte
    const file = await open(segment.path, 'r')
    try {
      place.memory ??= Buffer.allocUnsafeSlow(Math.max(READ_BYTES, FRAME_BODY_BYTES_MAX + FRAME_HEAD_BYTES))
      yield* readSegment(file, firstByte, segment.endBytes, wanted, place.memory)
      place.path = segment.path
      place.at = segment.endBytes
    } finally {
      await file.close()
    }
  }
}

function firstWantedByte(index: SegmentIndex, wanted: ReadonlyMap<PartitionKey, number>): number | undefined {
  let first: number | undefined
  for (const [key, offset] of wanted) {
    const range = index.ranges.get(key)
    if (range !== undefined && range.end > offset && (first === undefined || range.at < first)) first = range.at
  }
  return first
}

async function* readSegment(
  file: FileHandle,
  firstByte: number,
  endBytes: number,
  wanted: Map<PartitionKey, number>,
  buffer: Buffer,
): AsyncGenerator<JournalRecord[]> {
  let fileAt = firstByte
  while (fileAt < endBytes) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, endBytes - fileAt), fileAt)
    if (bytesRead === 0) return
    const isLast = fileAt + bytesRead >= endBytes
    const { used, batches } = decodeChunk(buffer.subarray(0, bytesRead), isLast, wanted)
    for (const batch of batches) yield batch
    if (used === 0) return
    fileAt += used
  }
}

/** The wanted records of the whole frames in a chunk, and how many bytes those frames take. */
function decodeChunk(chunk: Buffer, isLast: boolean, wanted: Map<PartitionKey, number>): { used: number; batches: JournalRecord[][] } {
  const batches: JournalRecord[][] = []
  let batch: JournalRecord[] = []
  let batchBytes = 0
  let at = 0
  while (at < chunk.length) {
    if (!frameIsValid(chunk, at, chunk.length)) {
      // Either the frame goes on in the next chunk, or it is damaged: then the next valid one is looked for.
      if (!isLast && chunk.length - at < FRAME_BODY_BYTES_MAX + FRAME_HEAD_BYTES) break
      const next = nextValidFrame(chunk, at + 1)
      if (next === -1) {
        if (isLast) at = chunk.length
        break
      }
      at = next
    }
    const { signalIndex, partition, offset, frameBytes } = frameHead(chunk, at)
    const signal = SIGNALS[signalIndex]
    const key = signal === undefined ? undefined : partitionKey(signal, partition)
    const from = key === undefined ? undefined : wanted.get(key)
    if (key !== undefined && from !== undefined && offset >= from) {
      const record = decodeFrame(chunk, at)
      wanted.set(key, offset + 1)
      batch.push(record)
      batchBytes += record.payload.length
      if (batchBytes >= BATCH_BYTES) {
        batches.push(batch)
        batch = []
        batchBytes = 0
      }
    }
    at += frameBytes
  }
  if (batch.length > 0) batches.push(batch)
  return { used: at, batches }
}
