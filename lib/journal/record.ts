import type { Signal } from './partition.ts'

/** How the payload is encoded: `rows` is ours (`lib/wire/rows`), the others are the field's. */
export type Encoding = 'rows' | 'otlp' | 'remote-write-1' | 'remote-write-2' | 'json'

/**
 * Who wrote a record, and where in its own sequence.
 *
 * `epoch` is the life of the writer's journal folder; `sequence` the record's offset there; `previous` the sequence this writer sent to the same
 * destination partition before, −1 for the first, and where the writer doesn't know. A reader drops `sequence` ≤ the last of that producer and
 * epoch, and counts a gap where `previous` is past the last it saw.
 */
export interface ProducerMark {
  readonly producer: string
  readonly epoch: string
  readonly sequence: number
  readonly previous: number
}

/** One batch of one tenant, as it is given to `append`. At most `RECORD_BYTES_MAX` of payload. */
export interface AppendRecord {
  readonly encoding: Encoding
  readonly tenant: string
  /** How many samples, log records or spans are inside. */
  readonly items: number
  /** Owned by the journal until `append` resolves; never changed by it. */
  readonly payload: Uint8Array
  /** Where the source stands once this record is durable (file identity, byte range): opaque text, '' for none. */
  readonly position?: string
  /** Absent: the journal itself is the producer, sequence = offset. */
  readonly mark?: ProducerMark
}

/** A durable record. `payload` is a view that is the receiver's from then on. */
export interface JournalRecord {
  readonly signal: Signal
  readonly partition: number
  readonly offset: number
  /** When it was appended, Unix milliseconds. */
  readonly appendedMs: number
  readonly encoding: Encoding
  readonly tenant: string
  readonly items: number
  readonly position: string
  readonly mark: ProducerMark
  readonly payload: Uint8Array
}

export { RECORD_BYTES_MAX } from '../model/index.ts'
