import { EMPTY_LABELS, labelsOf, type Labels } from '../../model/index.ts'
import { messageOf } from '../../runtime/errors.ts'
import { ProtoReader, WIRE_VARINT } from '../protobuf/index.ts'
import { parseStreamLabels } from './labels.ts'
import type { PushVisitor } from './visitor.ts'

/** Entry. */
const TIMESTAMP = 1
const LINE = 2
const METADATA = 3

/**
 * logproto.PushRequest: 1 streams { 1 labels, 2 entries { 1 timestamp { 1 seconds, 2 nanoseconds }, 2 line, 3 metadata { 1 name, 2 value } } }.
 * @param parse labels of a text; a caller may remember them. Default `parseStreamLabels`
 * @returns the streams in the request. Errors: `bad_data` where it isn't protobuf; some streams may have been handed out by then.
 */
export function readPushProtobuf(request: Uint8Array, visitor: PushVisitor, parse: (text: string) => Labels = parseStreamLabels): number {
  const reader = new ProtoReader(request)
  let streams = 0
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    streams++
    readStream(request, reader.start, reader.stop, visitor, parse)
  }
  return streams
}

function readStream(bytes: Uint8Array, from: number, to: number, visitor: PushVisitor, parse: (text: string) => Labels): void {
  const reader = new ProtoReader(bytes, from, to)
  let text = ''
  let entries = 0
  while (reader.next()) {
    if (reader.field === 1 && reader.isBytes) text = reader.text()
    else if (reader.field === 2 && reader.isBytes) entries++
  }
  let labels: Labels
  try {
    labels = parse(text)
  } catch (error) {
    visitor.refused('invalid_labels', messageOf(error), entries)
    return
  }
  if (!visitor.stream(labels, entries)) return
  reader.reset(bytes, from, to)
  while (reader.next()) if (reader.field === 2 && reader.isBytes) readEntry(bytes, reader.start, reader.stop, visitor)
}

function readEntry(bytes: Uint8Array, from: number, to: number, visitor: PushVisitor): void {
  const reader = new ProtoReader(bytes, from, to)
  let seconds = 0
  let nanos = 0
  let lineFrom = from
  let lineTo = from
  let metadata: [string, string][] | undefined
  while (reader.next()) {
    if (!reader.isBytes) continue
    if (reader.field === LINE) {
      lineFrom = reader.start
      lineTo = reader.stop
    } else if (reader.field === TIMESTAMP) {
      const time = new ProtoReader(bytes, reader.start, reader.stop)
      while (time.next()) {
        if (time.wire !== WIRE_VARINT) continue
        if (time.field === 1) seconds = (time.high | 0) * 4_294_967_296 + time.low
        else if (time.field === 2) nanos = time.low
      }
    } else if (reader.field === METADATA) {
      metadata ??= []
      metadata.push(readPair(bytes, reader.start, reader.stop))
    }
  }
  if (seconds < 0 || seconds > Number.MAX_SAFE_INTEGER / 1e6 || nanos >= 1e9) {
    visitor.refused('invalid_entry', `an entry's time of ${seconds} s and ${nanos} ns can't be kept`, 1)
    return
  }
  const labels = metadata === undefined ? EMPTY_LABELS : labelsOf(metadata.filter(([name]) => name !== ''))
  visitor.entry(seconds * 1000 + Math.floor(nanos / 1e6), nanos % 1e6, bytes.subarray(lineFrom, lineTo), labels)
}

function readPair(bytes: Uint8Array, from: number, to: number): [string, string] {
  const reader = new ProtoReader(bytes, from, to)
  const pair: [string, string] = ['', '']
  while (reader.next()) if (reader.isBytes && reader.field <= 2) pair[reader.field - 1] = reader.text()
  return pair
}
