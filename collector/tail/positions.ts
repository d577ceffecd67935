/**
 * Where each file stands. The truth is in the journal: a record with lines carries the file's identity and the offset behind them, so data and position
 * are durable together or not at all. This keeps the newest by file, and saves a snapshot with the journal offsets it covers; a start is the
 * snapshot plus the records after it.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { partitionKey, type Cursor, type Journal, type ReadFrom } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { identityKey, type FileIdentity } from './identity.ts'

export interface FilePosition extends FileIdentity {
  readonly source: string
  readonly path: string
  /** Everything before is in the journal. */
  readonly offset: number
  /** Unix milliseconds of the last change; positions of files unseen for long are forgotten. */
  readonly seenMs: number
}

/** The part of a journal that positions need. */
export type PositionJournal = Pick<Journal, 'epoch' | 'partitions' | 'endOffset' | 'startOffset' | 'read' | 'cursor'>

interface Snapshot {
  readonly format: 'sightline-positions'
  readonly version: 1
  readonly journal: string
  readonly cursors: Readonly<Record<string, number>>
  readonly positions: readonly FilePosition[]
}

/** A file that was not there for a week will not come back with the same inode and beginning. */
const FORGET_MS = 7 * 86_400_000

export class Positions {
  readonly #path: string
  readonly #journal: PositionJournal
  readonly #cursor: Cursor
  readonly #byKey = new Map<string, FilePosition>()
  readonly #inFlight = new Set<Promise<unknown>>()
  /** The last snapshot's text: one that says nothing new is not written. */
  #saved = ''

  private constructor(path: string, journal: PositionJournal) {
    this.#path = path
    this.#journal = journal
    this.#cursor = journal.cursor('tail')
    // Until the snapshot is read nothing may be deleted.
    for (let p = 0; p < journal.partitions.logs; p++) this.#cursor.advance(partitionKey('logs', p), 0)
  }

  /** Reads the snapshot and the journal behind it. Errors: corruption for a snapshot of an unknown version. */
  static async open(path: string, journal: PositionJournal): Promise<Positions> {
    const positions = new Positions(path, journal)
    const snapshot = readSnapshot(path)
    const isOurs = snapshot?.journal === journal.epoch
    for (const position of snapshot?.positions ?? []) positions.#byKey.set(identityKey(position), position)
    const from: ReadFrom[] = []
    for (let partition = 0; partition < journal.partitions.logs; partition++) {
      const saved = isOurs ? (snapshot.cursors[partition] ?? 0) : 0
      from.push({ signal: 'logs', partition, fromOffset: Math.max(saved, journal.startOffset('logs', partition)) })
    }
    for await (const batch of journal.read(from)) {
      for (const record of batch) if (record.position !== '') positions.note(JSON.parse(record.position) as FilePosition)
    }
    return positions
  }

  /** The position of an open file's identity; the caller checks with `isSame` that it is the same file still. */
  get(file: { readonly dev: number; readonly ino: number }): FilePosition | undefined {
    return this.#byKey.get(identityKey(file))
  }

  /** Of a path and what was rotated from it (`<path>.*`), whatever file that was. */
  below(path: string): readonly FilePosition[] {
    return this.all().filter((known) => known.path === path || known.path.startsWith(`${path}.`))
  }

  /** A record with this position is durable. */
  note(position: FilePosition): void {
    this.#byKey.set(identityKey(position), position)
  }

  all(): readonly FilePosition[] {
    return [...this.#byKey.values()]
  }

  /** Appends under way are waited for by `save`: their records may lie before the journal's end that the snapshot names. */
  async track<T>(append: Promise<T>): Promise<T> {
    this.#inFlight.add(append)
    try {
      return await append
    } finally {
      this.#inFlight.delete(append)
    }
  }

  /** Durable when it resolves; then the journal may forget what lies before. */
  async save(nowMs: number): Promise<void> {
    const ends = Array.from({ length: this.#journal.partitions.logs }, (_, p) => this.#journal.endOffset('logs', p))
    await Promise.allSettled(this.#inFlight)
    for (const [key, position] of this.#byKey) if (nowMs - position.seenMs > FORGET_MS) this.#byKey.delete(key)
    const snapshot: Snapshot = {
      format: 'sightline-positions',
      version: 1,
      journal: this.#journal.epoch,
      cursors: Object.fromEntries(ends.entries()),
      positions: this.all(),
    }
    const text = JSON.stringify(snapshot)
    if (text === this.#saved) return
    const fd = openSync(`${this.#path}.next`, 'w')
    writeSync(fd, text)
    fsyncSync(fd)
    closeSync(fd)
    renameSync(`${this.#path}.next`, this.#path)
    this.#saved = text
    for (const [p, offset] of ends.entries()) this.#cursor.advance(partitionKey('logs', p), offset)
  }
}

function readSnapshot(path: string): Snapshot | undefined {
  if (!existsSync(path)) return undefined
  const snapshot = JSON.parse(readFileSync(path, 'utf8')) as Snapshot
  if (snapshot.format !== 'sightline-positions' || snapshot.version !== 1) {
    throw new SightlineError('corruption', `cannot read ${path}: version ${String(snapshot.version)} of positions is unknown`)
  }
  return snapshot
}
