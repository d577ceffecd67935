/**
 * Reading a head: columns of the wanted series over a time range, group by group.
 *
 * A group's segments are its chunks in journal order and then its unsealed rows. Where they don't overlap in time, their times in a row are the time axis that all
 * series of the group share, and columns are decoded straight into place. Where they overlap (late rows), the axis is the union of the times, and for one
 * (series, time) the first segment wins.
 */
import { CELL_ABSENT, type SeriesSamples } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Task } from '../store/index.ts'
import { ChunkReader, type ChunkRef } from './chunk.ts'
import { Column, ColumnSlab } from './column.ts'
import type { Group } from './group.ts'
import type { Head } from './head.ts'

/** Samples decoded between two yields: one to two milliseconds. */
const SLICE_SAMPLES = 250_000

/** Counts the samples of a query; throws `too_large` beyond its limit. */
export class SampleBudget {
  readonly #samplesMax: number
  #used = 0
  #slice = 0

  constructor(samplesMax: number) {
    this.#samplesMax = samplesMax
  }

  take(samples: number): void {
    this.#used += samples
    if (this.#used > this.#samplesMax) {
      throw new SightlineError('too_large', `cannot select series: they have more than ${this.#samplesMax} samples in the range`)
    }
  }

  /** True where it is time to yield. */
  worked(samples: number): boolean {
    this.#slice += samples
    if (this.#slice < SLICE_SAMPLES) return false
    this.#slice = 0
    return true
  }
}

/** A stretch of rows of a group, cut to the range. */
interface Segment {
  readonly times: Float64Array
  /** The first of its rows that is in the range. */
  readonly firstRow: number
  readonly rows: number
  /** Series of each column. */
  readonly series: Uint32Array
  readonly columns: number
  /** Decodes all rows of a column, in range or not. */
  read(column: number, into: Column, from: number): void
}

interface Wanted {
  readonly group: Group
  readonly chunks: readonly ChunkRef[]
  readonly series: number[]
}

/** The samples of some series of a head, in no order; series without a sample in the range are left out. Ids must stay: see `Head.beginRead`. */
export function* readHead(head: Head, ids: Uint32Array, startMs: number, endMs: number, budget: SampleBudget): Task<SeriesSamples[]> {
  const index = head.index
  const position = new Int32Array(index.size).fill(-1)
  const out: SeriesSamples[] = []
  for (const wanted of wantedGroups(head, ids)) {
    const segments = segmentsOf(head, wanted, startMs, endMs)
    if (segments.length === 0) continue
    wanted.series.forEach((id, i) => (position[id] = i))
    const read = isAscending(segments) ? readApart(segments, wanted, position, budget) : readOverlapping(segments, wanted, position, budget)
    const { times, columns } = yield* read
    for (let i = 0; i < columns.length; i++) {
      const samples = columns[i] === undefined ? undefined : samplesOf(times, columns[i]!)
      if (samples === undefined) continue
      budget.take(samples.times.length)
      out.push({ labels: index.labelsOf(wanted.series[i]!), ...samples })
    }
    for (const id of wanted.series) position[id] = -1
  }
  return out
}

/** Shares the series out to their groups; a series of a group that was split off is read from the group it was split from, too. */
function wantedGroups(head: Head, ids: Uint32Array): Wanted[] {
  const byGroup = new Map<Group, Wanted>()
  for (const id of ids) {
    const group = head.groupOf(id)
    if (group === undefined) continue
    let wanted = byGroup.get(group)
    if (wanted === undefined) {
      wanted = { group, chunks: [...(group.parent?.chunks ?? []), ...group.chunks], series: [] }
      byGroup.set(group, wanted)
    }
    wanted.series.push(id)
  }
  return [...byGroup.values()]
}

/** Chunks named at the start and those sealed since, then a copy of the unsealed rows: nothing is lost between two slices. */
function segmentsOf(head: Head, wanted: Wanted, startMs: number, endMs: number): Segment[] {
  const segments: Segment[] = []
  const { group } = wanted
  for (const chunk of new Set([...wanted.chunks, ...group.chunks])) {
    if (chunk.maxMs < startMs || chunk.minMs > endMs) continue
    const reader = new ChunkReader(head.codecs, chunk)
    const read = (column: number, into: Column, from: number): void => reader.decode(column, into, from)
    addSegment(segments, reader.times, startMs, endMs, { rows: chunk.rows, series: chunk.series, columns: chunk.series.length, read })
  }
  if (group.rows > 0) addUnsealed(segments, head, wanted, startMs, endMs)
  return segments
}

function addUnsealed(segments: Segment[], head: Head, wanted: Wanted, startMs: number, endMs: number): void {
  const { group } = wanted
  const order = group.order()
  const times = Float64Array.from(order, (row) => group.times[row]!)
  const series: number[] = []
  const columns: Column[] = []
  const slab = new ColumnSlab()
  for (const id of wanted.series) {
    const slot = head.slotOf(group, id)
    if (slot < 0) continue
    const column = slab.take(order.length)
    group.readColumn(slot, order, column, 0)
    series.push(id)
    columns.push(column)
  }
  if (series.length === 0) return
  const read = (index: number, into: Column, from: number): void => {
    into.copyRows(from, columns[index]!, 0, order.length)
  }
  addSegment(segments, times, startMs, endMs, { rows: order.length, series: Uint32Array.from(series), columns: series.length, read })
}

function addSegment(
  segments: Segment[],
  times: Float64Array,
  startMs: number,
  endMs: number,
  rest: Omit<Segment, 'times' | 'firstRow'>,
): void {
  let first = 0
  while (first < times.length && times[first]! < startMs) first++
  let end = times.length
  while (end > first && times[end - 1]! > endMs) end--
  if (end > first) segments.push({ ...rest, times: times.subarray(first, end), firstRow: first })
}

function isAscending(segments: readonly Segment[]): boolean {
  for (let i = 1; i < segments.length; i++) if (segments[i]!.times[0]! <= segments[i - 1]!.times.at(-1)!) return false
  return true
}

interface Read {
  readonly times: Float64Array
  /** By position in `Wanted.series`; undefined where it has no sample. */
  readonly columns: readonly (Column | undefined)[]
}

function* readApart(segments: readonly Segment[], wanted: Wanted, position: Int32Array, budget: SampleBudget): Task<Read> {
  const slab = new ColumnSlab()
  const total = segments.reduce((sum, segment) => sum + segment.times.length, 0)
  const times = new Float64Array(total)
  const columns: (Column | undefined)[] = Array.from({ length: wanted.series.length })
  /** Rows of each column that are decided. */
  const filled = new Uint32Array(wanted.series.length)
  let offset = 0
  for (const segment of segments) {
    times.set(segment.times, offset)
    const length = segment.times.length
    const scratch = length === segment.rows ? undefined : new Column(segment.rows)
    for (let c = 0; c < segment.columns; c++) {
      const at = position[segment.series[c]!]!
      if (at < 0) continue
      const column = (columns[at] ??= slab.take(total))
      if (filled[at]! < offset) column.withCells().fill(CELL_ABSENT, filled[at], offset)
      if (scratch === undefined) segment.read(c, column, offset)
      else copySegment(segment, c, scratch, column, offset)
      filled[at] = offset + length
      if (budget.worked(segment.rows)) yield
    }
    offset += length
  }
  for (let i = 0; i < columns.length; i++) {
    if (columns[i] !== undefined && filled[i]! < total) columns[i]!.withCells().fill(CELL_ABSENT, filled[i], total)
  }
  return { times, columns }
}

/** Decodes a whole column aside and takes over the rows in the range. */
function copySegment(segment: Segment, columnIndex: number, scratch: Column, into: Column, offset: number): void {
  scratch.reset()
  segment.read(columnIndex, scratch, 0)
  into.copyRows(offset, scratch, segment.firstRow, segment.times.length)
}

function* readOverlapping(segments: readonly Segment[], wanted: Wanted, position: Int32Array, budget: SampleBudget): Task<Read> {
  const times = unionOf(segments.map((segment) => segment.times))
  const columns: (Column | undefined)[] = Array.from({ length: wanted.series.length })
  for (const segment of segments) {
    const rowAt = rowsOn(times, segment.times)
    for (let c = 0; c < segment.columns; c++) {
      const at = position[segment.series[c]!]!
      if (at < 0) continue
      const column = (columns[at] ??= Column.absent(times.length))
      const scratch = new Column(segment.rows)
      segment.read(c, scratch, 0)
      for (let i = 0; i < rowAt.length; i++) {
        if (column.cells![rowAt[i]!] === CELL_ABSENT) column.copyRow(rowAt[i]!, scratch, segment.firstRow + i)
      }
      if (budget.worked(segment.rows * 4)) yield
    }
  }
  return { times, columns }
}

/** Ascending, each time once. */
export function unionOf(parts: readonly Float64Array[]): Float64Array<ArrayBuffer> {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let length = 0
  for (const part of parts) {
    all.set(part, length)
    length += part.length
  }
  all.sort()
  let unique = 0
  for (let i = 0; i < all.length; i++) if (i === 0 || all[i] !== all[i - 1]) all[unique++] = all[i]!
  return all.slice(0, unique)
}

/** Where each of some ascending times lies on an axis that has all of them. */
export function rowsOn(axis: Float64Array, times: Float64Array): Uint32Array {
  const rows = new Uint32Array(times.length)
  let at = 0
  for (let i = 0; i < times.length; i++) {
    while (axis[at]! < times[i]!) at++
    rows[i] = at
  }
  return rows
}

/** What a column is to its reader: nothing where it has no sample, times of its own where it has few. */
export function samplesOf(times: Float64Array, column: Column): Omit<SeriesSamples, 'labels'> | undefined {
  const { values, cells, histograms, startTimes } = column
  const sides = { ...(histograms === undefined ? {} : { histograms }), ...(startTimes === undefined ? {} : { startTimes }) }
  if (cells === undefined) return { times, values, ...sides }
  const present = column.present()
  if (present === 0) return undefined
  if (present * 2 >= times.length) return { times, values, cells, ...sides }
  const ownTimes = new Float64Array(present)
  const own = new Column(present)
  let row = 0
  for (let i = 0; i < times.length; i++) {
    if (cells[i] === CELL_ABSENT) continue
    ownTimes[row] = times[i]!
    own.copyRow(row++, column, i)
  }
  return samplesOf(ownTimes, own)
}
