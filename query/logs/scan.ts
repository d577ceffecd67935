/**
 * Reading lines: blocks that can hold something are opened, their wanted rows found, and handed out in order of time or as they lie.
 *
 * With an order, blocks are opened only when the merge reaches their time: a search for the newest hundred lines reads the newest blocks. Lines are never
 * copied; a batch is a run of rows of one block.
 */
import type { Labels } from '../../lib/model/index.ts'
import { decodeMetadata } from '../../lib/wire/otlp/logs/index.ts'
import type { LogRows, LogScan, LogScanTask } from '../store/index.ts'
import type { Block } from './block.ts'
import type { BlockRef } from './block-ref.ts'
import type { TenantLogs } from './tenant.ts'

export interface BlockSource {
  decode(ref: BlockRef): Block
  /** Decoded metadata of a block by its number in it; filled as rows are handed out, kept as long as the block. */
  metadataOf(block: Block): Labels[]
  /** False where the block's filter rules the needle out. */
  mayContain(ref: BlockRef, needle: Uint8Array): boolean
}

const BATCH_ROWS = 1024

export function* scanLogs(tenant: TenantLogs, scan: LogScan, source: BlockSource): LogScanTask {
  const wanted = tenant.streams.select(scan.matchers)
  const needles = scan.needles.filter((needle) => needle !== '').map((needle) => Buffer.from(needle))
  const refs = tenant.snapshot().filter((ref) => overlaps(ref, scan) && ref.shares.some((share) => wanted[share.stream] === 1))
  const finder: Finder = { scan, wanted, needles, labelsOf: (stream) => tenant.streams.labelsOf(stream), source }
  if (scan.order === 'any') yield* scanAny(refs, finder)
  else yield* scanOrdered(refs, finder, scan.order)
}

interface Finder {
  readonly scan: LogScan
  readonly wanted: Uint8Array
  readonly needles: readonly Buffer[]
  readonly labelsOf: (stream: number) => Labels
  readonly source: BlockSource
}

function overlaps(ref: BlockRef, { start, end }: LogScan): boolean {
  return ref.maxMs >= start.ms && ref.minMs <= end.ms
}

function* scanAny(refs: readonly BlockRef[], finder: Finder): LogScanTask {
  for (const ref of refs) {
    yield undefined
    const open = openBlock(ref, finder)
    if (open === undefined) continue
    for (let from = 0; from < open.rows.length; from += BATCH_ROWS)
      yield rowsOf(open.block, open.rows.subarray(from, from + BATCH_ROWS), finder)
  }
}

interface Cursor {
  readonly block: Block
  readonly rows: Uint32Array
  at: number
}

function* scanOrdered(refs: BlockRef[], finder: Finder, order: 'forward' | 'backward'): LogScanTask {
  const sign = order === 'forward' ? 1 : -1
  const edge = (ref: BlockRef): number => (order === 'forward' ? ref.minMs : -ref.maxMs)
  const closed = [...refs].sort((a, b) => edge(b) - edge(a))
  const before = (a: Cursor, b: Cursor): boolean => compareRows(a.block, a.rows[a.at]!, b.block, b.rows[b.at]!) * sign < 0
  const open: Cursor[] = []
  for (;;) {
    const top = first(open, before)
    // A block is opened once the merge may reach into it.
    const next = closed.at(-1)
    if (next !== undefined && (top === undefined || edge(next) <= top.block.timeMs[top.rows[top.at]!]! * sign)) {
      closed.pop()
      yield undefined
      const opened = openBlock(next, finder)
      if (opened !== undefined) open.push({ block: opened.block, rows: sortedRows(opened.block, opened.rows, sign), at: 0 })
      continue
    }
    if (top === undefined) return
    const run = runLength(top, open, next === undefined ? Infinity : edge(next), sign, before)
    yield rowsOf(top.block, top.rows.subarray(top.at, top.at + run), finder)
    top.at += run
    if (top.at === top.rows.length) open.splice(open.indexOf(top), 1)
  }
}

function first(cursors: readonly Cursor[], before: (a: Cursor, b: Cursor) => boolean): Cursor | undefined {
  let best: Cursor | undefined
  for (const cursor of cursors) if (best === undefined || before(cursor, best)) best = cursor
  return best
}

/** How many rows of the first cursor come before every other open cursor and every closed block. At least one. */
function runLength(
  top: Cursor,
  open: readonly Cursor[],
  closedEdge: number,
  sign: number,
  before: (a: Cursor, b: Cursor) => boolean,
): number {
  const others = open.filter((cursor) => cursor !== top)
  const second = first(others, before)
  let length = 1
  while (length < BATCH_ROWS && top.at + length < top.rows.length) {
    const row = top.rows[top.at + length]!
    if (second !== undefined && compareRows(top.block, row, second.block, second.rows[second.at]!) * sign >= 0) break
    if (top.block.timeMs[row]! * sign >= closedEdge) break
    length++
  }
  return length
}

function compareRows(a: Block, rowA: number, b: Block, rowB: number): number {
  return a.timeMs[rowA]! - b.timeMs[rowB]! || a.subNs[rowA]! - b.subNs[rowB]!
}

function sortedRows(block: Block, rows: Uint32Array, sign: number): Uint32Array {
  let isSorted = true
  for (let i = 1; i < rows.length && isSorted; i++) isSorted = compareRows(block, rows[i - 1]!, block, rows[i]!) * sign <= 0
  // Rows of one instant keep the order they came in, read either way.
  return isSorted ? rows : Uint32Array.from(rows).sort((a, b) => compareRows(block, a, block, b) * sign || (a - b) * sign)
}

/** The block with the rows that are wanted; undefined where there are none. */
function openBlock(ref: BlockRef, finder: Finder): { block: Block; rows: Uint32Array } | undefined {
  for (const needle of finder.needles) if (!finder.source.mayContain(ref, needle)) return undefined
  const block = finder.source.decode(ref)
  const rows = finder.needles.length === 0 ? rowsInRange(block, finder) : rowsWithNeedles(block, finder)
  return rows.length === 0 ? undefined : { block, rows }
}

function isWanted(block: Block, row: number, { scan: { start, end }, wanted }: Finder): boolean {
  const ms = block.timeMs[row]!
  if (wanted[block.streamOf[row]!] !== 1 || ms < start.ms || ms > end.ms) return false
  if (ms === start.ms && block.subNs[row]! < start.subNs) return false
  return ms < end.ms || block.subNs[row]! < end.subNs
}

function rowsInRange(block: Block, finder: Finder): Uint32Array {
  const out = new Uint32Array(block.count)
  let n = 0
  for (let row = 0; row < block.count; row++) if (isWanted(block, row, finder)) out[n++] = row
  return out.subarray(0, n)
}

/** One search over the whole block's bytes for the first needle; the others are looked for in the lines it hit. */
function rowsWithNeedles(block: Block, finder: Finder): Uint32Array {
  const bytes = Buffer.from(block.lineBytes.buffer, block.lineBytes.byteOffset, block.lineBytes.length)
  const [needle, ...others] = finder.needles as [Buffer, ...Buffer[]]
  const out: number[] = []
  let row = 0
  let at = bytes.indexOf(needle)
  while (at !== -1) {
    while (block.lineStart[row + 1]! <= at) row++
    const end = block.lineStart[row + 1]!
    if (at + needle.length > end) {
      // The text goes over the border of two lines.
      at = bytes.indexOf(needle, at + 1)
      continue
    }
    const line = bytes.subarray(block.lineStart[row], end)
    if (isWanted(block, row, finder) && others.every((other) => line.includes(other))) out.push(row)
    if (end >= bytes.length) break
    at = bytes.indexOf(needle, end)
  }
  return Uint32Array.from(out)
}

function rowsOf(block: Block, rows: Uint32Array, finder: Finder): LogRows {
  const count = rows.length
  const out = {
    streamOf: new Uint32Array(count),
    timeMs: new Float64Array(count),
    subNs: new Uint32Array(count),
    lineStart: new Uint32Array(count),
    lineEnd: new Uint32Array(count),
    metadataOf: new Uint32Array(count),
  }
  const metadata = finder.source.metadataOf(block)
  const streams: Labels[] = []
  for (let i = 0; i < count; i++) {
    const row = rows[i]!
    const stream = block.streamOf[row]!
    const meta = block.metaOf[row]!
    streams[stream] ??= finder.labelsOf(stream)
    metadata[meta] ??= decodeMetadata(block.metaBytes, block.metaStart[meta]!, block.metaStart[meta + 1]!)
    out.streamOf[i] = stream
    out.timeMs[i] = block.timeMs[row]!
    out.subNs[i] = block.subNs[row]!
    out.lineStart[i] = block.lineStart[row]!
    out.lineEnd[i] = block.lineStart[row + 1]!
    out.metadataOf[i] = meta
  }
  return { count, streams, lineBytes: block.lineBytes, metadata, ...out }
}
