/**
 * State that must outlive the process as the latest value of each key, over the journal's `control` partition. A record is JSON
 * `{"v":1,"puts":[[key, value], …]}`; a value of null takes the key away. When enough records have gathered, all values are written once more
 * and what lies before them is given free.
 */
import type { Journal, JournalRecord } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'

/** Compaction starts when so many bytes have been written since the last one, or four times what the values take. */
const COMPACT_BYTES_MIN = 4 * 1024 * 1024
/** Of one record; larger sets of values are cut. */
const RECORD_CHARS_MAX = 256 * 1024

export interface ControlLogOptions {
  readonly journal: Pick<Journal, 'append' | 'endOffset'>
  /** Records before this offset are contained in later ones. */
  readonly compacted: (offset: number) => void
  readonly compactBytesMin?: number
}

type Put = readonly [key: string, value: unknown]

export class ControlLog {
  readonly #options: ControlLogOptions
  readonly #values = new Map<string, unknown>()
  #last: Promise<unknown> = Promise.resolve()
  #writtenBytes = 0

  constructor(options: ControlLogOptions) {
    this.#options = options
  }

  /** Takes what the replay found, oldest first. Errors: corruption for a record that is not ours. */
  load(records: readonly JournalRecord[]): void {
    for (const { payload, offset } of records) {
      for (const [key, value] of decode(payload, offset)) this.#keep(key, value)
      this.#writtenBytes += payload.length
    }
  }

  entries(): Iterable<Put> {
    return [...this.#values]
  }

  /** Resolves once all are durable. Puts keep their order. Errors: as `Journal.append`; nothing is then changed here. */
  put(changes: readonly Put[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve()
    const done = this.#last.then(() => this.#write(changes))
    this.#last = done.catch(() => {})
    return done
  }

  async #write(changes: readonly Put[]): Promise<void> {
    await this.#append(changes)
    for (const [key, value] of changes) this.#keep(key, value)
    const minimum = this.#options.compactBytesMin ?? COMPACT_BYTES_MIN
    if (this.#writtenBytes < minimum) return
    // Writes wait in line behind this one, so the values are exactly what lies before `end`.
    const end = this.#options.journal.endOffset('control', 0)
    this.#writtenBytes = 0
    await this.#append([...this.#values])
    // Values that alone are past the minimum are not written again at each put.
    this.#writtenBytes = -4 * this.#writtenBytes
    this.#options.compacted(end)
  }

  async #append(puts: readonly Put[]): Promise<void> {
    for (const text of encode(puts)) {
      const payload = Buffer.from(text)
      await this.#options.journal.append('control', 0, { encoding: 'json', tenant: '', items: 1, payload })
      this.#writtenBytes += payload.length
    }
  }

  #keep(key: string, value: unknown): void {
    if (value === null) this.#values.delete(key)
    else this.#values.set(key, value)
  }
}

function* encode(puts: readonly Put[]): Generator<string> {
  let parts: string[] = []
  let chars = 0
  for (const put of puts) {
    const text = JSON.stringify(put)
    if (chars > 0 && chars + text.length > RECORD_CHARS_MAX) {
      yield `{"v":1,"puts":[${parts.join(',')}]}`
      parts = []
      chars = 0
    }
    parts.push(text)
    chars += text.length
  }
  if (parts.length > 0) yield `{"v":1,"puts":[${parts.join(',')}]}`
}

function decode(payload: Uint8Array, offset: number): readonly Put[] {
  let record: unknown
  try {
    record = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString())
  } catch (error) {
    throw new SightlineError('corruption', `cannot read control record ${offset}: it is no JSON`, { cause: error })
  }
  const { v, puts } = record as { v?: unknown; puts?: readonly Put[] }
  if (v !== 1 || !Array.isArray(puts))
    throw new SightlineError('corruption', `cannot read control record ${offset}: unknown version ${String(v)}`)
  return puts
}
