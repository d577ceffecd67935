/**
 * Bytes of a log file to logical lines, without state: the same bytes from the same offset give the same lines. So the only thing to remember of a
 * file is the offset of the next line, and a range that was read twice is recognised by it.
 *
 * Partial pieces are joined by stream. Lines are handed out up to the last point where no join is open; what follows is read again with the
 * next bytes. `final` hands out everything: nothing more will be written, or an open join is too old or too long to wait for.
 */
import { parseLine, type LineFormat, type Piece } from './format.ts'

export interface LogicalLine {
  readonly stream: Piece['stream']
  readonly timeMs: number
  readonly subNs: number
  readonly text: Uint8Array
  /** One past the line's last byte, relative to the chunk. */
  readonly endByte: number
  /** Bytes cut off because the line is longer than allowed. */
  readonly cutBytes: number
}

export interface SplitResult {
  readonly lines: readonly LogicalLine[]
  /** Bytes the lines take: where the next read begins. */
  readonly usedBytes: number
  /** Bytes behind them that belong to a line or a join that isn't finished. */
  readonly openBytes: number
}

interface Join {
  readonly first: Piece
  readonly parts: Uint8Array[]
  bytes: number
  cutBytes: number
}

export function splitLines(chunk: Buffer, format: LineFormat, lineBytesMax: number, final: boolean): SplitResult {
  const lines: LogicalLine[] = []
  const joins = new Map<string, Join>()
  let safeLines = 0
  let usedBytes = 0
  let at = 0
  while (at < chunk.length) {
    const newline = chunk.indexOf(10, at)
    if (newline === -1 && !final) break
    const end = newline === -1 ? chunk.length : newline
    const next = newline === -1 ? end : newline + 1
    // A carriage return before the newline belongs to the line end.
    const piece = parseLine(format, chunk.subarray(at, end > at && chunk[end - 1] === 13 ? end - 1 : end))
    const join = joins.get(piece.stream) ?? { first: piece, parts: [], bytes: 0, cutBytes: 0 }
    addPart(join, piece.text, lineBytesMax)
    if (piece.isPartial) joins.set(piece.stream, join)
    else {
      joins.delete(piece.stream)
      lines.push(lineOf(join, next))
    }
    at = next
    if (joins.size === 0) {
      safeLines = lines.length
      usedBytes = at
    }
  }
  if (final) {
    for (const join of joins.values()) lines.push(lineOf(join, at))
    return { lines, usedBytes: at, openBytes: 0 }
  }
  return { lines: lines.slice(0, safeLines), usedBytes, openBytes: chunk.length - usedBytes }
}

function addPart(join: Join, text: Uint8Array, bytesMax: number): void {
  const room = bytesMax - join.bytes
  if (text.length > room) join.cutBytes += text.length - room
  const kept = text.length > room ? text.subarray(0, room) : text
  join.parts.push(kept)
  join.bytes += kept.length
}

function lineOf({ first, parts, cutBytes }: Join, endByte: number): LogicalLine {
  const text = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  return { stream: first.stream, timeMs: first.timeMs, subNs: first.subNs, text, endByte, cutBytes }
}
