/**
 * One record in a segment file:
 *
 *   u32 bodyBytes | u32 crc32(body) | body
 *   body: u8 signal | u8 encoding | u16 partition | f64 offset | f64 appendedMs | u32 items
 *         | text tenant | text producer | text epoch | f64 sequence | f64 previous | text position | payload
 *   text: u16 length | UTF-8 bytes (position: u32 length)
 *
 * Little-endian. Offsets and sequences are doubles: exact to 2^53. The checksum covers the offset, so a frame that was
 * copied to another place is found out by the offset that its partition expects next.
 */
import { crc32 } from 'node:zlib'
import { SightlineError } from '../runtime/errors.ts'
import { SIGNALS } from './partition.ts'
import type { AppendRecord, Encoding, JournalRecord, ProducerMark } from './record.ts'

export const FRAME_HEAD_BYTES = 8
/** A frame can't be larger than a payload, its headers, and a position's worth of text: anything above is damage. */
export const FRAME_BODY_BYTES_MAX = 2 * 1024 * 1024

const ENCODINGS: readonly Encoding[] = ['rows', 'otlp', 'remote-write-1', 'remote-write-2', 'json']
const FIXED_BYTES = 1 + 1 + 2 + 8 + 8 + 4 + 2 + 2 + 2 + 8 + 8 + 4

export interface FrameHead {
  readonly signalIndex: number
  readonly partition: number
  readonly offset: number
  readonly appendedMs: number
  readonly mark: ProducerMark
}

/** The two parts of a frame: head with headers, and the payload as it was given (not copied). */
export function encodeFrame(record: AppendRecord, head: FrameHead): [Buffer, Uint8Array] {
  const tenant = Buffer.from(record.tenant)
  const producer = Buffer.from(head.mark.producer)
  const epoch = Buffer.from(head.mark.epoch)
  const position = Buffer.from(record.position ?? '')
  const headBytes = FIXED_BYTES + tenant.length + producer.length + epoch.length + position.length
  const out = Buffer.allocUnsafe(FRAME_HEAD_BYTES + headBytes)
  out.writeUInt32LE(headBytes + record.payload.length, 0)
  let at = FRAME_HEAD_BYTES
  at = out.writeUInt8(head.signalIndex, at)
  at = out.writeUInt8(ENCODINGS.indexOf(record.encoding), at)
  at = out.writeUInt16LE(head.partition, at)
  at = out.writeDoubleLE(head.offset, at)
  at = out.writeDoubleLE(head.appendedMs, at)
  at = out.writeUInt32LE(record.items, at)
  for (const text of [tenant, producer, epoch]) {
    at = out.writeUInt16LE(text.length, at)
    at += text.copy(out, at)
  }
  at = out.writeDoubleLE(head.mark.sequence, at)
  at = out.writeDoubleLE(head.mark.previous, at)
  at = out.writeUInt32LE(position.length, at)
  position.copy(out, at)
  const crc = crc32(record.payload, crc32(out.subarray(FRAME_HEAD_BYTES)))
  out.writeUInt32LE(crc, 4)
  return [out, record.payload]
}

/** True where a whole frame with a right checksum starts at `at`. */
export function frameIsValid(bytes: Buffer, at: number, end: number): boolean {
  if (at + FRAME_HEAD_BYTES > end) return false
  const bodyBytes = bytes.readUInt32LE(at)
  if (bodyBytes < FIXED_BYTES || bodyBytes > FRAME_BODY_BYTES_MAX || at + FRAME_HEAD_BYTES + bodyBytes > end) return false
  const body = bytes.subarray(at + FRAME_HEAD_BYTES, at + FRAME_HEAD_BYTES + bodyBytes)
  return crc32(body) === bytes.readUInt32LE(at + 4)
}

/** Just what a scan needs of a valid frame. */
export function frameHead(bytes: Buffer, at: number): { signalIndex: number; partition: number; offset: number; frameBytes: number } {
  const body = at + FRAME_HEAD_BYTES
  return {
    signalIndex: bytes.readUInt8(body),
    partition: bytes.readUInt16LE(body + 2),
    offset: bytes.readDoubleLE(body + 4),
    frameBytes: FRAME_HEAD_BYTES + bytes.readUInt32LE(at),
  }
}

/** Decodes a frame that `frameIsValid` accepted. The payload is a copy: the read buffer is used again. */
export function decodeFrame(bytes: Buffer, at: number): JournalRecord {
  const end = at + FRAME_HEAD_BYTES + bytes.readUInt32LE(at)
  let p = at + FRAME_HEAD_BYTES
  const signal = SIGNALS[bytes.readUInt8(p)]
  const encoding = ENCODINGS[bytes.readUInt8(p + 1)]
  if (signal === undefined || encoding === undefined) {
    throw new SightlineError('corruption', `cannot read journal record at byte ${at}: unknown signal or encoding`)
  }
  const partition = bytes.readUInt16LE(p + 2)
  const offset = bytes.readDoubleLE(p + 4)
  const appendedMs = bytes.readDoubleLE(p + 12)
  const items = bytes.readUInt32LE(p + 20)
  p += 24
  const text = (lengthBytes: 2 | 4): string => {
    const length = lengthBytes === 2 ? bytes.readUInt16LE(p) : bytes.readUInt32LE(p)
    p += lengthBytes
    if (p + length > end) throw new SightlineError('corruption', `cannot read journal record at byte ${at}: a header passes its end`)
    const value = bytes.toString('utf8', p, p + length)
    p += length
    return value
  }
  const tenant = text(2)
  const producer = text(2)
  const epoch = text(2)
  const sequence = bytes.readDoubleLE(p)
  const previous = bytes.readDoubleLE(p + 8)
  p += 16
  const position = text(4)
  const payload = new Uint8Array(end - p)
  payload.set(bytes.subarray(p, end))
  return {
    signal,
    partition,
    offset,
    appendedMs,
    encoding,
    tenant,
    items,
    position,
    mark: { producer, epoch, sequence, previous },
    payload,
  }
}
