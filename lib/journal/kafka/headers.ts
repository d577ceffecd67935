/**
 * A journal record as a Kafka message: the payload is its value, everything else a header in UTF-8 text, numbers in decimal, so that any client can read them.
 * Documented in docs/formats/kafka.md.
 */
import type { Signal } from '../partition.ts'
import type { AppendRecord, Encoding, JournalRecord, ProducerMark } from '../record.ts'
import { ownBytes, type FetchedRecord } from './fetch.ts'

const ENCODINGS: ReadonlySet<string> = new Set<Encoding>(['rows', 'otlp', 'remote-write-1', 'remote-write-2', 'json'])
const NAMES = ['encoding', 'tenant', 'items', 'producer', 'epoch', 'sequence', 'previous', 'position'] as const
type Name = (typeof NAMES)[number]
const NAME_BYTES = Object.fromEntries(NAMES.map((name) => [name, Buffer.from(name)])) as Record<Name, Buffer>

/** What the headers and the frame of a record take beside its texts, rounded up. */
const FRAME_BYTES = 256

export function encodeHeaders(record: AppendRecord, mark: ProducerMark): Map<Buffer, Buffer> {
  const texts: Record<Name, string> = {
    encoding: record.encoding,
    tenant: record.tenant,
    items: String(record.items),
    producer: mark.producer,
    epoch: mark.epoch,
    sequence: String(mark.sequence),
    previous: String(mark.previous),
    position: record.position ?? '',
  }
  return new Map(
    NAMES.filter((name) => name !== 'position' || texts[name] !== '').map((name) => [NAME_BYTES[name], Buffer.from(texts[name])]),
  )
}

/** At most this many bytes of a produce request. */
export function messageBytesMax(record: AppendRecord, producer: string, epoch: string): number {
  const texts = [record.tenant, record.position ?? '', record.mark?.producer ?? producer, record.mark?.epoch ?? epoch]
  return record.payload.length + FRAME_BYTES + texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
}

/** The record, or why this message is none of ours. The payload is a buffer of exactly its size, the receiver's. */
export function decodeRecord(signal: Signal, partition: number, message: FetchedRecord): JournalRecord | string {
  const texts: Partial<Record<string, string>> = {}
  // The client gives an empty value as null: control records are of no tenant.
  for (const [name, value] of message.headers) if (name !== null) texts[name.toString()] = value?.toString() ?? ''
  const { encoding, tenant, producer, epoch, position = '' } = texts
  if (message.value === null) return 'it has no value'
  if (encoding === undefined || !ENCODINGS.has(encoding)) return missing('encoding', encoding)
  if (tenant === undefined) return missing('tenant', tenant)
  if (producer === undefined || producer === '') return missing('producer', producer)
  if (epoch === undefined || epoch === '') return missing('epoch', epoch)
  const [items, sequence, previous] = [texts['items'], texts['sequence'], texts['previous']].map(Number)
  if (!isCount(items, 0)) return missing('items', texts['items'])
  if (!isCount(sequence, 0)) return missing('sequence', texts['sequence'])
  if (!isCount(previous, -1)) return missing('previous', texts['previous'])
  return {
    signal,
    partition,
    offset: message.offset,
    appendedMs: message.timestampMs,
    encoding: encoding as Encoding,
    tenant,
    items,
    position,
    mark: { producer, epoch, sequence, previous },
    payload: ownBytes(message.value),
  }
}

function isCount(value: number | undefined, min: number): value is number {
  return Number.isSafeInteger(value) && value! >= min
}

function missing(name: Name, found: string | undefined): string {
  return found === undefined ? `it has no header ${name}` : `its header ${name} is ${JSON.stringify(found.slice(0, 50))}`
}
