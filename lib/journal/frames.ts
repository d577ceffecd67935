/** Journal frames as they travel between Sightlines: one after another, as in a segment file (`frame.ts`). */
import { SightlineError } from '../runtime/errors.ts'
import { decodeFrame, encodeFrame, frameIsValid, FRAME_HEAD_BYTES } from './frame.ts'
import { SIGNALS } from './partition.ts'
import type { JournalRecord } from './record.ts'

/** Cost: one copy. */
export function encodeFrames(records: readonly JournalRecord[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const { signal, partition, offset, appendedMs, mark } = record
      return encodeFrame(record, { signalIndex: SIGNALS.indexOf(signal), partition, offset, appendedMs, mark })
    }),
  )
}

/** Errors: bad_data with the place of the first frame that is damaged or cut; nothing is taken then. */
export function decodeFrames(bytes: Buffer): JournalRecord[] {
  const records: JournalRecord[] = []
  let at = 0
  while (at < bytes.length) {
    if (!frameIsValid(bytes, at, bytes.length)) {
      throw new SightlineError('bad_data', `cannot read journal frame ${records.length} at byte ${at}: it is damaged or cut`)
    }
    try {
      records.push(decodeFrame(bytes, at))
    } catch (error) {
      throw new SightlineError('bad_data', `cannot read journal frame ${records.length} at byte ${at}: unknown signal or encoding`, {
        cause: error,
      })
    }
    at += FRAME_HEAD_BYTES + bytes.readUInt32LE(at)
  }
  return records
}
