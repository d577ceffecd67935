import { labelsOf, labelValue, METRIC_NAME, type Labels } from '../../model/index.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { ProtoReader, WIRE_VARINT } from '../protobuf/index.ts'
import type { FamilyMetadata } from '../rows/index.ts'
import { WriteTally, type DecodedWrite } from './decoded.ts'
import { METRIC_TYPES } from './metric-types.ts'
import { PendingPoints, varints } from './points.ts'
import { checkLabels, type KnownSeries, type SeriesBook } from './series-book.ts'
import { storePoints } from './store-points.ts'

/** Request. */
const SYMBOLS = 4
const SERIES = 5
/** TimeSeries. */
const LABEL_REFS = 1
const SAMPLES = 2
const HISTOGRAMS = 3
const EXEMPLARS = 4
const METADATA = 5
const CREATED = 6

/** Begins the region of a series that came as symbol ids: no label region of 1.0 does. */
const REGION_MARK = 0xff
const LABELS_MAX = 1000

/**
 * An io.prometheus.write.v2.Request as rows: series as references into a table of symbols, metadata and creation times per series.
 *
 * The symbols must come before the series, as the specification has senders write them. A creation time is given to all samples of its
 * series that have no start timestamp of their own.
 * Errors: as `decodeWriteV1`; also where symbols don't begin with the empty string.
 */
export function decodeWriteV2(request: Uint8Array, book: SeriesBook, externalLabels: Labels): DecodedWrite {
  book.begin(externalLabels)
  const decoder = new Decoder(book)
  const reader = new ProtoReader(request)
  const series = new ProtoReader(request)
  while (reader.next()) {
    if (!reader.isBytes) continue
    if (reader.field === SYMBOLS) decoder.symbol(reader.text())
    else if (reader.field === SERIES) decoder.series(series.reset(request, reader.start, reader.stop))
  }
  return decoder.finish()
}

class Decoder {
  readonly #book: SeriesBook
  readonly #tally = new WriteTally()
  readonly #points = new PendingPoints()
  readonly #symbols: string[] = []
  readonly #ids: number[] = []
  readonly #families = new Map<string, FamilyMetadata>()
  /** REGION_MARK, then four bytes an id. */
  readonly #region = new Uint8Array(1 + 8 * LABELS_MAX)
  #refs: number[] = []

  constructor(book: SeriesBook) {
    this.#book = book
    this.#region[0] = REGION_MARK
  }

  symbol(text: string): void {
    if (this.#symbols.length === 0 && text !== '') {
      throw new SightlineError('bad_data', 'cannot read remote write 2.0: the first symbol is not the empty string')
    }
    this.#symbols.push(text)
    this.#ids.push(this.#book.textId(text))
  }

  series(reader: ProtoReader): void {
    const points = this.#points
    points.clear()
    this.#refs = []
    let createdMs = 0
    let metadata: [number, number] | undefined
    while (reader.next()) {
      const { bytes, start, stop } = reader
      if (reader.field === LABEL_REFS) readRefs(reader, this.#refs)
      else if (reader.field === CREATED && reader.wire === WIRE_VARINT) createdMs = (reader.high | 0) * 4_294_967_296 + reader.low
      else if (!reader.isBytes) continue
      else if (reader.field === SAMPLES) points.sample(bytes, start, stop)
      else if (reader.field === HISTOGRAMS) points.histogram(bytes, start, stop)
      else if (reader.field === EXEMPLARS) points.exemplar(bytes, start, stop, this.#exemplarLabels(bytes, start, stop))
      else if (reader.field === METADATA) metadata = [start, stop]
    }
    const known = this.#identify()
    if (typeof known === 'string') {
      const reason = this.#isReferable() ? this.#reason : 'invalid_labels'
      this.#tally.drop(reason, points.samples + points.histograms.length, known)
      return
    }
    storePoints(this.#book, known, points, this.#tally, createdMs)
    if (metadata !== undefined) this.#addMetadata(reader.bytes, metadata[0], metadata[1], labelValue(known.labels, METRIC_NAME))
  }

  finish(): DecodedWrite {
    return this.#tally.finish({ rows: this.#book.finish(), metadata: [...this.#families.values()] })
  }

  #reason = ''

  /** The series, or what is wrong with it. */
  #identify(): KnownSeries | string {
    if (!this.#isReferable()) return `${this.#refs.length} label references into ${this.#symbols.length} symbols`
    const refs = this.#refs
    let at = 1
    for (const ref of refs) {
      const id = this.#ids[ref]!
      this.#region[at++] = id & 0xff
      this.#region[at++] = (id >>> 8) & 0xff
      this.#region[at++] = (id >>> 16) & 0xff
      this.#region[at++] = id >>> 24
    }
    if (this.#book.predicted(this.#region, 0, at) === at) return this.#book.takePredicted()
    const recognised = this.#book.recognise(this.#region, 0, at)
    if (recognised !== undefined) return recognised
    const checked = checkLabels(refs.map((ref) => this.#book.intern(this.#symbols[ref]!)))
    if ('reason' in checked) {
      this.#reason = checked.reason
      return checked.complaint
    }
    const known = this.#book.enter(checked)
    this.#book.remember(this.#region, 0, at, known)
    return known
  }

  #isReferable(): boolean {
    const refs = this.#refs
    return refs.length % 2 === 0 && refs.length <= 2 * LABELS_MAX && refs.every((ref) => ref < this.#symbols.length)
  }

  #exemplarLabels(bytes: Uint8Array, from: number, to: number): Labels {
    const refs: number[] = []
    const reader = new ProtoReader(bytes, from, to)
    while (reader.next()) if (reader.field === LABEL_REFS) readRefs(reader, refs)
    const entries: [string, string][] = []
    for (let i = 0; i + 1 < refs.length; i += 2) entries.push([this.#symbols[refs[i]!] ?? '', this.#symbols[refs[i + 1]!] ?? ''])
    return labelsOf(entries.filter(([name]) => name !== ''))
  }

  /** Metadata: 1 type, 3 help, 4 unit (references). One a family, the last counts; one that says nothing is none. */
  #addMetadata(bytes: Uint8Array, from: number, to: number, name: string): void {
    let type = 'unknown'
    let help = ''
    let unit = ''
    const reader = new ProtoReader(bytes, from, to)
    while (reader.next()) {
      if (reader.wire !== WIRE_VARINT) continue
      if (reader.field === 1) type = METRIC_TYPES[reader.low] ?? 'unknown'
      else if (reader.field === 3) help = this.#symbols[reader.low] ?? ''
      else if (reader.field === 4) unit = this.#symbols[reader.low] ?? ''
    }
    if (type === 'unknown' && help === '' && unit === '') return
    const family = familyOf(name, type)
    this.#families.set(family, { family, type, help, unit })
  }
}

/** Series of classic histograms and summaries carry their family's metadata under names of their own. */
function familyOf(name: string, type: string): string {
  if (type !== 'histogram' && type !== 'summary' && type !== 'gaugehistogram') return name
  return name.replace(/_(?:bucket|sum|count)$/, '')
}

function readRefs(reader: ProtoReader, out: number[]): void {
  if (reader.wire === WIRE_VARINT) {
    out.push(reader.low)
    return
  }
  if (!reader.isBytes) return
  const { bytes } = reader
  for (let at = reader.start; at < reader.stop;) {
    const byte = bytes[at++]!
    if (byte < 0x80) {
      out.push(byte)
      continue
    }
    const second = bytes[at]!
    if (at < reader.stop && second < 0x80) {
      out.push((byte & 0x7f) | (second << 7))
      at++
      continue
    }
    let end = at
    while (end < reader.stop && bytes[end]! >= 0x80) end++
    for (const [low] of varints(bytes, at - 1, end + 1)) out.push(low)
    at = end + 1
  }
}
