import { hasLabel, labelsEqual, labelsKey, labelsOf, labelsWith, METRIC_NAME, type FloatHistogram, type Labels } from '../../model/index.ts'
import { groupOf, type Row } from '../rows/index.ts'
import { ByteArena } from './byte-arena.ts'
import { Slice } from './slice.ts'

const NATIVE_COMPARE_BYTES = 40

/** A series with valid labels: where its samples go, and how it is recognised. */
export interface KnownSeries {
  readonly labels: Labels
  readonly slice: Slice
  readonly column: number
}

/** A stretch of label bytes (or symbol ids) that stands for a series. */
interface Region {
  readonly known: KnownSeries
  readonly hash: number
  readonly slab: Buffer
  readonly at: number
  readonly length: number
  /** Another region with the same hash. */
  readonly sibling: Region | undefined
  /** The region that followed last time. */
  next: Region | undefined
}

export interface SeriesBookOptions {
  /** Series remembered; when it is passed the book starts empty again, which costs time and layouts sent anew, never data. */
  readonly seriesMax?: number
  /** Bytes of label regions remembered; as `seriesMax`. */
  readonly regionBytesMax?: number
}

/**
 * The series of one tenant, and the rows of the request being read: `begin`, then samples, then `finish`.
 *
 * Nothing awaits between `begin` and `finish`, so one book serves requests one after the other.
 */
export class SeriesBook {
  readonly #seriesMax: number
  readonly #regionBytesMax: number
  #externalLabels: Labels = []
  #byKey = new Map<string, KnownSeries>()
  #regions = new Map<number, Region>()
  #arena = new ByteArena()
  #openSlices = new Map<string, Slice>()
  #texts = new Map<string, string>()
  #ids = new Map<string, number>()
  readonly #touched: Slice[] = []
  #last: Region | undefined

  constructor(options: SeriesBookOptions = {}) {
    this.#seriesMax = options.seriesMax ?? 300_000
    this.#regionBytesMax = options.regionBytesMax ?? 128 * 1024 * 1024
  }

  get seriesCount(): number {
    return this.#byKey.size
  }

  /** @param externalLabels added to every series that lacks them; other ones than before empty the book */
  begin(externalLabels: Labels): void {
    const isFull = this.#byKey.size >= this.#seriesMax || this.#ids.size >= this.#seriesMax * 2 || this.#arena.bytes >= this.#regionBytesMax
    if (isFull || !labelsEqual(externalLabels, this.#externalLabels)) this.#clear()
    this.#externalLabels = externalLabels
    for (const slice of this.#touched) slice.drain([])
    this.#touched.length = 0
    this.#last = undefined
  }

  /** The rows of everything since `begin`. */
  finish(): Row[] {
    const rows: Row[] = []
    for (const slice of this.#touched) slice.drain(rows)
    this.#touched.length = 0
    return rows
  }

  /**
   * The region expected next, where `bytes` at `from` start with it; undefined otherwise. The caller checks that no label follows.
   * @returns the region's length
   */
  predicted(bytes: Uint8Array, from: number, to: number): number {
    const region = this.#last?.next
    if (region === undefined || region.length > to - from || !sameBytes(region, bytes, from)) return -1
    return region.length
  }

  /** Takes the region that `predicted` found. */
  takePredicted(): KnownSeries {
    this.#last = this.#last!.next!
    return this.#last.known
  }

  /** The series of a region seen before; undefined for a new one. */
  recognise(bytes: Uint8Array, from: number, to: number): KnownSeries | undefined {
    const hash = hashBytes(bytes, from, to)
    for (let region = this.#regions.get(hash); region !== undefined; region = region.sibling) {
      if (region.length === to - from && sameBytes(region, bytes, from)) {
        this.#follow(region)
        return region.known
      }
    }
    return undefined
  }

  /** Remembers that a region stands for a series. */
  remember(bytes: Uint8Array, from: number, to: number, known: KnownSeries): void {
    const hash = hashBytes(bytes, from, to)
    const { slab, at } = this.#arena.keep(bytes, from, to)
    const region: Region = { known, hash, slab, at, length: to - from, sibling: this.#regions.get(hash), next: undefined }
    this.#regions.set(hash, region)
    this.#follow(region)
  }

  /** The series of a label set (without external labels): the same entry whatever bytes it came in. */
  enter(own: Labels): KnownSeries {
    const labels = this.#withExternal(own)
    const key = labelsKey(labels)
    let known = this.#byKey.get(key)
    if (known === undefined) {
      const group = groupOf(labels)
      let slice = this.#openSlices.get(group)
      if (slice === undefined || slice.isFull) {
        slice = new Slice(group)
        this.#openSlices.set(group, slice)
      }
      known = { labels, slice, column: slice.add(labels) }
      this.#byKey.set(key, known)
    }
    return known
  }

  /** One string for equal texts: label names and values repeat from series to series. */
  intern(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    this.#texts.set(text, text)
    return text
  }

  /** A number for equal texts, the same until the book is emptied (only `begin` does that). */
  textId(text: string): number {
    let id = this.#ids.get(text)
    if (id === undefined) {
      id = this.#ids.size
      this.#ids.set(text, id)
    }
    return id
  }

  float(known: KnownSeries, timestampMs: number, value: number, startMs = 0): boolean {
    this.#touch(known.slice)
    return known.slice.float(known.column, timestampMs, value, startMs)
  }

  stale(known: KnownSeries, timestampMs: number): boolean {
    this.#touch(known.slice)
    return known.slice.stale(known.column, timestampMs)
  }

  histogram(known: KnownSeries, timestampMs: number, histogram: FloatHistogram, startMs = 0): boolean {
    this.#touch(known.slice)
    return known.slice.histogram(known.column, timestampMs, histogram, startMs)
  }

  exemplar(known: KnownSeries, labels: Labels, value: number, timestampMs: number): void {
    this.#touch(known.slice)
    known.slice.exemplar({ column: known.column, labels, value, timestampMs })
  }

  #touch(slice: Slice): void {
    if (!slice.hasRows) this.#touched.push(slice)
  }

  #follow(region: Region): void {
    if (this.#last !== undefined) this.#last.next = region
    this.#last = region
  }

  #withExternal(labels: Labels): Labels {
    let out = labels
    const external = this.#externalLabels
    for (let i = 0; i < external.length; i += 2) if (!hasLabel(out, external[i]!)) out = labelsWith(out, external[i]!, external[i + 1]!)
    return out
  }

  #clear(): void {
    this.#byKey = new Map()
    this.#regions = new Map()
    this.#arena = new ByteArena()
    this.#openSlices = new Map()
    this.#texts = new Map()
    this.#ids = new Map()
    this.#touched.length = 0
    this.#last = undefined
  }
}

/** Why a label set is none, or its Labels. `pairs` are name and value by turns, in any order. */
export function checkLabels(pairs: readonly string[]): Labels | { readonly reason: string; readonly complaint: string } {
  let sorted = true
  let name = ''
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] === '') return { reason: 'invalid_labels', complaint: `a label without a name in ${describe(pairs)}` }
    if (pairs[i] === METRIC_NAME) name = pairs[i + 1]!
    if (pairs[i + 1] === '' || (i > 0 && !(pairs[i - 2]! < pairs[i]!))) sorted = false
  }
  if (name === '') return { reason: 'missing_name', complaint: `no metric name in ${describe(pairs)}` }
  if (sorted) return pairs
  const names = new Set<string>()
  for (let i = 0; i < pairs.length; i += 2) {
    if (names.has(pairs[i]!)) return { reason: 'duplicate_label', complaint: `label ${pairs[i]} twice in ${describe(pairs)}` }
    names.add(pairs[i]!)
  }
  const entries: [string, string][] = []
  for (let i = 0; i < pairs.length; i += 2) entries.push([pairs[i]!, pairs[i + 1]!])
  return labelsOf(entries)
}

function describe(pairs: readonly string[]): string {
  const parts: string[] = []
  for (let i = 0; i < pairs.length && parts.length < 20; i += 2) parts.push(`${pairs[i]}=${JSON.stringify(pairs[i + 1])}`)
  return `{${parts.join(', ').slice(0, 300)}}`
}

/** Short stretches by hand, long ones by the runtime: its call costs as much as about 40 bytes. */
function sameBytes({ slab, at, length }: Region, bytes: Uint8Array, from: number): boolean {
  if (length > NATIVE_COMPARE_BYTES) return slab.compare(bytes, from, from + length, at, at + length) === 0
  for (let i = 0; i < length; i++) if (slab[at + i] !== bytes[from + i]) return false
  return true
}

/** FNV-1a over four bytes at a time. */
function hashBytes(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5 ^ (to - from)
  let i = from
  for (; i + 4 <= to; i += 4) {
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    hash = Math.imul(hash ^ word, 0x01000193)
    hash ^= hash >>> 15
  }
  for (; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return (hash ^ (hash >>> 16)) >>> 0
}
