/**
 * One tenant's head: the index of the series that have data outside blocks, their groups, and the layouts that rows refer to.
 *
 * A layout remembers the slots of its series in its group; while the group's `version` stays, appending a row is one copy. A series lies in one group. Rows of a layout
 * whose series don't all lie in its group (it was split, or two layouts disagree) are appended cell by cell.
 */
import { CELL_ABSENT, CELL_FLOAT } from '../../lib/model/index.ts'
import type { FamilyMetadata, LayoutTable, RowView } from '../../lib/wire/rows/index.ts'
import type { ChunkRef, Codecs } from './chunk.ts'
import { ExemplarRing } from './exemplars.ts'
import { DUPLICATE, Group, STORED, type CellOutcome } from './group.ts'
import { LateRows } from './late.ts'
import { NO_SERIES, SeriesIndex } from './series-index.ts'

const NO_SLOT = -1
const FAMILIES_MAX = 100_000
const VARIANTS_MAX = 10

/** What became of the samples of a record. */
export interface Tally {
  stored: number
  duplicate: number
  conflict: number
  future: number
  limit_series: number
  unknown_layout: number
  malformed: number
}

export interface HeadLimits {
  /** 0: none. */
  readonly seriesMax: number
  readonly futureMaxMs: number
  readonly exemplarsMax: number
}

export interface HeadLayout {
  readonly id: string
  readonly groupKey: string
  readonly series: Uint32Array
  /** Series that the limit refused. */
  readonly refused: number
  /** Append time of the record that used it last. */
  usedMs: number
  /** Undefined: its columns lie in several groups. */
  group: Group | undefined
  version: number
  slots: Int32Array
  /** Slot of column 0 where all columns lie side by side, else −1. */
  base: number
}

export class Head {
  readonly codecs: Codecs
  index = new SeriesIndex()
  readonly groups = new Map<string, Group>()
  readonly layouts = new Map<string, HeadLayout>()
  readonly exemplars: ExemplarRing
  readonly metadata = new Map<string, FamilyMetadata[]>()
  newestMs = -Infinity
  readonly #limits: HeadLimits
  readonly #late: LateRows
  /** Groups by number. Numbers are not used again until series are renamed: dead series still name them. */
  #byNumber: (Group | undefined)[] = []
  /** Reads that hold ids: series are not renamed meanwhile. */
  #readers = 0
  /** Series -> number of its group + 1, and its slot there. */
  #groupOf = new Uint32Array(256)
  #slotOf = new Uint32Array(256)

  constructor(codecs: Codecs, limits: HeadLimits) {
    this.codecs = codecs
    this.#limits = limits
    this.#late = new LateRows(codecs)
    this.exemplars = new ExemplarRing(limits.exemplarsMax)
  }

  /** True where the layout is known; false, too, where the limit refused some of its series then: it may be tried again. */
  hasLayout(id: string, appendedMs: number): boolean {
    const known = this.layouts.get(id)
    if (known === undefined || known.refused > 0) return false
    known.usedMs = appendedMs
    return true
  }

  addLayout(table: LayoutTable, appendedMs: number): void {
    const seriesMax = this.#limits.seriesMax === 0 ? Infinity : this.#limits.seriesMax
    const series = new Uint32Array(table.starts.length - 1)
    let refused = 0
    for (let i = 0; i < series.length; i++) {
      series[i] = this.index.internFrom(table.symbols, table.refs, table.starts[i]!, table.starts[i + 1]!, seriesMax)
      if (series[i] === NO_SERIES) refused++
    }
    this.putLayout(table.id, table.group, series, refused, appendedMs)
  }

  putLayout(id: string, groupKey: string, series: Uint32Array, refused: number, usedMs: number): void {
    const slots = new Int32Array(0)
    this.layouts.set(id, { id, groupKey, series, refused, usedMs, group: undefined, version: -1, slots, base: NO_SLOT })
  }

  addMetadata(families: readonly FamilyMetadata[]): void {
    for (const family of families) {
      const known = this.metadata.get(family.family)
      if (known === undefined) {
        if (this.metadata.size < FAMILIES_MAX) this.metadata.set(family.family, [family])
      } else if (
        known.length < VARIANTS_MAX &&
        !known.some((k) => k.type === family.type && k.help === family.help && k.unit === family.unit)
      ) {
        known.push(family)
      }
    }
  }

  /** Appends a row; every one of its items is counted in `tally` once. */
  appendRow(row: RowView, appendedMs: number, offset: number, tally: Tally): void {
    const layout = this.layouts.get(row.layoutId)
    if (layout === undefined) {
      tally.unknown_layout += row.items
      return
    }
    layout.usedMs = appendedMs
    if (row.firstColumn + row.values.length > layout.series.length) {
      tally.malformed += row.items
      return
    }
    if (this.#limits.futureMaxMs > 0 && row.timestampMs > appendedMs + this.#limits.futureMaxMs) {
      tally.future += row.items
      return
    }
    if (row.timestampMs > this.newestMs) this.newestMs = row.timestampMs
    if (layout.version === -1 || (layout.group !== undefined && layout.group.version !== layout.version)) this.#place(layout)
    const group = layout.group
    if (group === undefined || row.timestampMs <= group.sealedMaxMs || !this.#appendWhole(layout, group, row, offset, tally)) {
      this.#appendCells(layout, row, offset, tally)
    }
    if (row.exemplars !== undefined) this.#addExemplars(layout, row)
  }

  /** The group a series lies in, if it has one. */
  groupOf(series: number): Group | undefined {
    const number = this.#groupOf[series] ?? 0
    return number === 0 ? undefined : this.#byNumber[number - 1]
  }

  /** The slot of a series in its group, or −1 where it has no unsealed rows there. */
  slotOf(group: Group, series: number): number {
    const slot = this.#slotOf[series]!
    return slot < group.width && group.slots[slot] === series ? slot : NO_SLOT
  }

  /** Seals the rows of a group; the series that keep a slot may have it at another place then. */
  seal(group: Group): void {
    if (!group.seal(this.codecs)) return
    for (let slot = 0; slot < group.width; slot++) this.#slotOf[group.slots[slot]!] = slot
  }

  /** Ids stay what they are until as many `endRead` were called. */
  beginRead(): void {
    this.#readers++
  }

  endRead(): void {
    this.#readers--
  }

  /** True where the series' group has rows in the range. */
  hasRows(series: number, startMs: number, endMs: number): boolean {
    const group = this.groupOf(series)
    if (group === undefined) return false
    return group.overlaps(startMs, endMs) || group.parent?.overlaps(startMs, endMs) === true
  }

  isEmpty(): boolean {
    return this.groups.size === 0 && this.layouts.size === 0 && this.metadata.size === 0 && this.#readers === 0
  }

  /** Makes or finds the group of a key; `parent` for one that was split off. */
  group(key: string, parent?: Group): Group {
    let group = this.groups.get(key)
    if (group === undefined) {
      group = new Group(key, this.#byNumber.length, parent)
      this.#byNumber.push(group)
      this.groups.set(key, group)
    }
    return group
  }

  /** Puts a series in a group, with a slot. */
  assign(series: number, group: Group): number {
    if (series >= this.#groupOf.length) this.#growSeries(series + 1)
    this.#groupOf[series] = group.number + 1
    let slot = this.slotOf(group, series)
    if (slot === NO_SLOT) {
      slot = group.addSlot(series)
      this.#slotOf[series] = slot
    }
    return slot
  }

  /** Says that a series' sealed data lies in a group, without a slot there. */
  attach(series: number, group: Group, chunk?: ChunkRef): void {
    if (series >= this.#groupOf.length) this.#growSeries(series + 1)
    this.#groupOf[series] = group.number + 1
    if (chunk !== undefined) group.sealedMaxMs = Math.max(group.sealedMaxMs, chunk.maxMs)
  }

  /** Forgets groups without rows and chunks, and layouts not used since; makes a new index when most series are gone. */
  collect(layoutsUsedSinceMs: number): void {
    for (const [id, layout] of this.layouts) if (layout.usedMs < layoutsUsedSinceMs) this.layouts.delete(id)
    const parents = new Set([...this.groups.values()].map((group) => group.parent))
    for (const [key, group] of this.groups) {
      if (group.rows > 0 || group.chunks.length > 0 || (group.split && parents.has(group))) continue
      group.version++
      this.groups.delete(key)
      this.#byNumber[group.number] = undefined
    }
    this.#shrinkIndex()
  }

  memoryBytes(): number {
    let bytes = this.index.memoryBytes() + this.#groupOf.byteLength + this.#slotOf.byteLength
    for (const group of this.groups.values()) {
      bytes += group.memoryBytes()
      for (const chunk of group.chunks) bytes += chunk.series.byteLength
    }
    for (const layout of this.layouts.values()) bytes += layout.series.byteLength * 2 + 300
    return bytes
  }

  #appendWhole(layout: HeadLayout, group: Group, row: RowView, offset: number, tally: Tally): boolean {
    if (layout.base === NO_SLOT || row.histograms !== undefined || row.startTimes !== undefined) return false
    const base = layout.base + row.firstColumn
    const count = row.values.length
    let at = group.rowAt(row.timestampMs)
    if (at < 0) {
      if (group.full) {
        this.seal(group)
        return this.#again(layout, row, offset, tally)
      }
      at = group.addRow(row.timestampMs, offset)
      if (count < group.width) group.absentRow(at)
    } else if (!group.isAbsent(at, base, count)) return false
    group.putValues(at, base, row.values, row.cells)
    tally.stored += row.items
    return true
  }

  /** After a seal: slots may have been dropped, the group may have been split. */
  #again(layout: HeadLayout, row: RowView, offset: number, tally: Tally): boolean {
    this.#place(layout)
    const group = layout.group
    if (group === undefined || row.timestampMs <= group.sealedMaxMs) return false
    return this.#appendWhole(layout, group, row, offset, tally)
  }

  #appendCells(layout: HeadLayout, row: RowView, offset: number, tally: Tally): void {
    for (let i = 0; i < row.values.length; i++) {
      const cell = row.cells === undefined ? CELL_FLOAT : row.cells[i]!
      if (cell === CELL_ABSENT) continue
      const series = layout.series[row.firstColumn + i]!
      if (series === NO_SERIES) {
        tally.limit_series++
        continue
      }
      const outcome = this.#appendCell(this.#groupFor(layout, series), series, row, i, cell, offset)
      if (outcome === STORED) tally.stored++
      else if (outcome === DUPLICATE) tally.duplicate++
      else tally.conflict++
    }
    this.#late.done()
  }

  #appendCell(group: Group, series: number, row: RowView, i: number, cell: number, offset: number): CellOutcome {
    const value = row.values[i]!
    const histogram = row.histograms?.[i]
    if (row.timestampMs <= group.sealedMaxMs || group.parent !== undefined) {
      const sealed = this.#late.compare(group, series, row.timestampMs, cell, value, histogram)
      if (sealed !== STORED) return sealed
    }
    let at = group.rowAt(row.timestampMs)
    if (at < 0 && group.full) this.seal(group)
    const slot = this.assign(series, group)
    if (at < 0) {
      at = group.addRow(row.timestampMs, offset)
      group.absentRow(at)
    }
    const outcome = group.putCell(at, slot, value, cell, histogram)
    if (outcome === STORED && row.startTimes !== undefined) group.setStart(at, slot, row.startTimes[i]!)
    return outcome
  }

  #groupFor(layout: HeadLayout, series: number): Group {
    const whole = this.group(layout.groupKey)
    const own = this.groupOf(series)
    if (own !== undefined && (own !== whole || !whole.split)) return own
    return whole.split ? this.group(`${whole.key}\u0001${this.index.labelsOf(series).join('\u0001')}`, whole) : whole
  }

  /** Finds the slots of a layout's series in its group; without a group where they lie in several. */
  #place(layout: HeadLayout): void {
    const group = this.group(layout.groupKey)
    const slots = new Int32Array(layout.series.length)
    let together = !group.split
    for (const series of layout.series) {
      const own = series === NO_SERIES ? undefined : this.groupOf(series)
      if (own !== undefined && own !== group) together = false
    }
    layout.version = group.version
    layout.group = together ? group : undefined
    if (!together) return
    if (group.width === 0) group.reserve(slots.length)
    let base = layout.refused > 0 ? NO_SLOT : 0
    for (let i = 0; i < slots.length; i++) {
      const series = layout.series[i]!
      slots[i] = series === NO_SERIES ? NO_SLOT : this.assign(series, group)
      if (i === 0 && base === 0) base = slots[0]!
      else if (slots[i] !== base + i) base = NO_SLOT
    }
    layout.slots = slots
    layout.base = base
  }

  #addExemplars(layout: HeadLayout, row: RowView): void {
    for (const exemplar of row.exemplars!) {
      const series = layout.series[row.firstColumn + exemplar.column]!
      if (series === NO_SERIES) continue
      const { labels, value, timestampMs } = exemplar
      this.exemplars.add({ series: this.index.labelsOf(series), labels, value, timestampMs })
    }
  }

  /** Rebuilding costs about a microsecond a living series, and happens when at least half of the series are dead. */
  #shrinkIndex(): void {
    const alive = this.#living()
    let count = 0
    for (const mark of alive) count += mark
    const seriesDead = this.index.size >= 1000 && count * 2 <= this.index.size
    const groupsDead = this.#byNumber.length > 1000 + this.groups.size * 2
    if (this.#readers > 0 || (!seriesDead && !groupsDead)) return
    const index = new SeriesIndex()
    const renamed = new Uint32Array(this.index.size).fill(NO_SERIES)
    for (let id = 0; id < alive.length; id++) if (alive[id] === 1) renamed[id] = index.intern(this.index.labelsOf(id))
    const oldGroups = this.#byNumber
    this.#byNumber = [...this.groups.values()]
    this.#byNumber.forEach((group, number) => group!.rename(number, renamed))
    const groupOf = new Uint32Array(Math.max(256, index.size))
    const slotOf = new Uint32Array(groupOf.length)
    for (let id = 0; id < alive.length; id++) {
      if (alive[id] !== 1) continue
      const group = oldGroups[(this.#groupOf[id] ?? 0) - 1]
      groupOf[renamed[id]!] = group === undefined ? 0 : group.number + 1
      slotOf[renamed[id]!] = this.#slotOf[id] ?? 0
    }
    this.index = index
    this.#groupOf = groupOf
    this.#slotOf = slotOf
    for (const [id, layout] of this.layouts) {
      const series = layout.series.map((old) => (old === NO_SERIES ? NO_SERIES : renamed[old]!))
      this.putLayout(id, layout.groupKey, series, layout.refused, layout.usedMs)
    }
  }

  #living(): Uint8Array {
    const alive = new Uint8Array(this.index.size)
    const mark = (series: number): void => {
      if (series !== NO_SERIES) alive[series] = 1
    }
    for (const layout of this.layouts.values()) layout.series.forEach(mark)
    for (const group of this.groups.values()) {
      if (group.rows > 0) group.slots.subarray(0, group.width).forEach(mark)
      for (const chunk of group.chunks) chunk.series.forEach(mark)
    }
    return alive
  }

  #growSeries(size: number): void {
    const length = Math.max(size, Math.ceil(this.#groupOf.length * 1.5))
    const groupOf = new Uint32Array(length)
    const slotOf = new Uint32Array(length)
    groupOf.set(this.#groupOf)
    slotOf.set(this.#slotOf)
    this.#groupOf = groupOf
    this.#slotOf = slotOf
  }
}
