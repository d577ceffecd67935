/**
 * Finding a log record that is already stored: same stream, time, line and metadata. Most records are newer than everything of their stream and need
 * no look-up; for the others the blocks around their time get a table from hash to rows, made when it is first needed.
 */
import type { Block } from './block.ts'

export interface Candidate {
  readonly stream: number
  readonly timeMs: number
  readonly subNs: number
  readonly bytes: Uint8Array
  readonly lineFrom: number
  readonly lineTo: number
  readonly metaFrom: number
  readonly metaTo: number
}

export function hashOf({ stream, timeMs, subNs, bytes, lineFrom, lineTo, metaFrom, metaTo }: Candidate): number {
  let hash = Math.imul(0x811c9dc5 ^ stream, 0x01000193)
  hash = Math.imul(hash ^ (timeMs % 0x1_0000_0000), 0x01000193)
  hash = Math.imul(hash ^ subNs, 0x01000193)
  for (let i = lineFrom; i < lineTo; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  for (let i = metaFrom; i < metaTo; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash >>> 0
}

/**
 * The rows of one request, to tell the n-th equal one: it is a repeat only where more than n − 1 were stored before, those of this request included.
 * Hashes are computed only once a row is met that might be a repeat.
 */
export class RequestRows {
  #unhashed: Candidate[] | undefined = []
  readonly #counts = new Map<number, number>()

  /** A row that is newer than everything of its stream. */
  noteNew(row: Candidate): undefined {
    if (this.#unhashed === undefined) this.#add(row)
    else this.#unhashed.push(row)
  }

  /** How many rows before this one in the request were equal; the row counts from then on. */
  countEqual(row: Candidate): number {
    for (const one of this.#unhashed ?? []) this.#add(one)
    this.#unhashed = undefined
    return this.#add(row)
  }

  #add(row: Candidate): number {
    const hash = hashOf(row)
    const before = this.#counts.get(hash) ?? 0
    this.#counts.set(hash, before + 1)
    return before
  }
}

/** Rows of a block by their hash. */
export class RowTable {
  readonly #rows = new Map<number, number | number[]>()
  #count = 0

  /** Takes in rows that were added to the block since the last call. */
  update(block: Block): void {
    for (; this.#count < block.count; this.#count++) {
      const hash = hashOf(candidateAt(block, this.#count))
      const known = this.#rows.get(hash)
      if (known === undefined) this.#rows.set(hash, this.#count)
      else if (typeof known === 'number') this.#rows.set(hash, [known, this.#count])
      else known.push(this.#count)
    }
  }

  /** How many rows of the block equal the candidate. */
  countEqual(block: Block, hash: number, candidate: Candidate): number {
    const rows = this.#rows.get(hash)
    if (rows === undefined) return 0
    if (typeof rows === 'number') return equals(block, rows, candidate) ? 1 : 0
    return rows.reduce((sum, row) => sum + (equals(block, row, candidate) ? 1 : 0), 0)
  }
}

function candidateAt(block: Block, row: number): Candidate {
  const meta = block.metaOf[row]!
  const line = block.lineBytes.subarray(block.lineStart[row]!, block.lineStart[row + 1]!)
  const metadata = block.metaBytes.subarray(block.metaStart[meta]!, block.metaStart[meta + 1]!)
  const bytes = Buffer.concat([line, metadata])
  return {
    stream: block.streamOf[row]!,
    timeMs: block.timeMs[row]!,
    subNs: block.subNs[row]!,
    bytes,
    lineFrom: 0,
    lineTo: line.length,
    metaFrom: line.length,
    metaTo: bytes.length,
  }
}

function equals(block: Block, row: number, candidate: Candidate): boolean {
  if (block.streamOf[row] !== candidate.stream || block.timeMs[row] !== candidate.timeMs || block.subNs[row] !== candidate.subNs)
    return false
  const meta = block.metaOf[row]!
  return (
    sameBytes(block.lineBytes, block.lineStart[row]!, block.lineStart[row + 1]!, candidate.bytes, candidate.lineFrom, candidate.lineTo) &&
    sameBytes(block.metaBytes, block.metaStart[meta]!, block.metaStart[meta + 1]!, candidate.bytes, candidate.metaFrom, candidate.metaTo)
  )
}

function sameBytes(a: Uint8Array, aFrom: number, aTo: number, b: Uint8Array, bFrom: number, bTo: number): boolean {
  if (aTo - aFrom !== bTo - bFrom) return false
  for (let i = 0; i < aTo - aFrom; i++) if (a[aFrom + i] !== b[bFrom + i]) return false
  return true
}
