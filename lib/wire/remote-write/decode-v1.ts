import { isUtf8 } from 'node:buffer'
import { labelsOf, type Labels } from '../../model/index.ts'
import { ProtoReader, textOf, WIRE_VARINT } from '../protobuf/index.ts'
import type { FamilyMetadata } from '../rows/index.ts'
import { WriteTally, type DecodedWrite } from './decoded.ts'
import { METRIC_TYPES } from './metric-types.ts'
import { PendingPoints } from './points.ts'
import { checkLabels, type KnownSeries, type SeriesBook } from './series-book.ts'
import { storePoints } from './store-points.ts'

/** TimeSeries: 1 labels, 2 samples, 3 exemplars, 4 histograms. */
const LABELS = 1
const SAMPLES = 2
const EXEMPLARS = 3
const HISTOGRAMS = 4
/** A `labels` field's tag. */
const LABEL_TAG = 0x0a

/**
 * A prometheus.WriteRequest (1 timeseries, 3 metadata) as rows.
 *
 * @param book the tenant's; its rows are this request's
 * Errors: `bad_data` for the whole request where it isn't protobuf; nothing of it is then in the result.
 * Cost: for known series one comparison of their label bytes and a few fields; no string.
 */
export function decodeWriteV1(request: Uint8Array, book: SeriesBook, externalLabels: Labels): DecodedWrite {
  book.begin(externalLabels)
  const tally = new WriteTally()
  const points = new PendingPoints()
  const metadata: FamilyMetadata[] = []
  const reader = new ProtoReader(request)
  const series = new ProtoReader(request)
  while (reader.next()) {
    if (!reader.isBytes) continue
    if (reader.field === 1) readSeries(series, reader.start, reader.stop, book, points, tally)
    else if (reader.field === 3) metadata.push(readMetadata(request, reader.start, reader.stop))
  }
  return tally.finish({ rows: book.finish(), metadata })
}

function readSeries(reader: ProtoReader, from: number, to: number, book: SeriesBook, points: PendingPoints, tally: WriteTally): void {
  const { bytes } = reader
  let region = book.predicted(bytes, from, to)
  let known: KnownSeries | undefined
  if (region >= 0 && (region === to - from || bytes[from + region] !== LABEL_TAG)) known = book.takePredicted()
  else {
    region = regionLength(reader, from, to)
    known = book.recognise(bytes, from, from + region)
  }
  points.clear()
  let scattered = false
  reader.reset(bytes, from + region, to)
  while (reader.next()) {
    if (!reader.isBytes) continue
    if (reader.field === SAMPLES) points.sample(bytes, reader.start, reader.stop)
    else if (reader.field === HISTOGRAMS) points.histogram(bytes, reader.start, reader.stop)
    else if (reader.field === EXEMPLARS) {
      const labels = labelsOf(entriesOf(readPairs(bytes, reader.start, reader.stop, undefined)))
      points.exemplar(bytes, reader.start, reader.stop, labels)
    } else if (reader.field === LABELS) scattered = true
  }
  if (known === undefined || scattered) {
    const pairs = readPairs(bytes, from, scattered ? to : from + region, book)
    const checked = checkWhole(pairs, bytes, from, to)
    if ('reason' in checked) {
      tally.drop(checked.reason, points.samples + points.histograms.length, checked.complaint)
      return
    }
    known = book.enter(checked)
    if (!scattered) book.remember(bytes, from, from + region, known)
  }
  storePoints(book, known, points, tally)
}

/** Labels that came as text with replacement characters are checked on their bytes: U+FFFD may be the sender's own. */
function checkWhole(pairs: string[], bytes: Uint8Array, from: number, to: number): ReturnType<typeof checkLabels> {
  if (pairs.some((text) => text.includes('\ufffd')) && !pairsAreUtf8(bytes, from, to)) {
    return { reason: 'invalid_labels', complaint: `labels that are not UTF-8: {${pairs.join(', ').slice(0, 200)}}` }
  }
  return checkLabels(pairs)
}

function pairsAreUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.field !== LABELS || !reader.isBytes) continue
    const pair = new ProtoReader(bytes, reader.start, reader.stop)
    while (pair.next()) if (pair.isBytes && !isUtf8(pair.range())) return false
  }
  return true
}

/** Bytes of the labels fields that a series begins with. */
function regionLength(reader: ProtoReader, from: number, to: number): number {
  reader.reset(reader.bytes, from, to)
  let end = from
  while (reader.at < to && reader.bytes[reader.at] === LABEL_TAG) {
    reader.next()
    end = reader.at
  }
  return end - from
}

/** Names and values of field 1 (Label: 1 name, 2 value), as they come. Texts are shared through the book where there is one. */
function readPairs(bytes: Uint8Array, from: number, to: number, book: SeriesBook | undefined): string[] {
  const out: string[] = []
  const reader = new ProtoReader(bytes, from, to)
  const pair = new ProtoReader(bytes)
  while (reader.next()) {
    if (reader.field !== LABELS || !reader.isBytes) continue
    let name = ''
    let value = ''
    pair.reset(bytes, reader.start, reader.stop)
    while (pair.next()) {
      if (!pair.isBytes) continue
      if (pair.field === 1) name = pair.text()
      else if (pair.field === 2) value = pair.text()
    }
    out.push(book?.intern(name) ?? name, book?.intern(value) ?? value)
  }
  return out
}

function entriesOf(pairs: readonly string[]): [string, string][] {
  const entries: [string, string][] = []
  for (let i = 0; i < pairs.length; i += 2) entries.push([pairs[i]!, pairs[i + 1]!])
  return entries
}

/** MetricMetadata: 1 type, 2 family, 4 help, 5 unit. */
function readMetadata(bytes: Uint8Array, from: number, to: number): FamilyMetadata {
  const out = { family: '', type: 'unknown', help: '', unit: '' }
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.field === 1 && reader.wire === WIRE_VARINT) out.type = METRIC_TYPES[reader.low] ?? 'unknown'
    else if (reader.field === 2 && reader.isBytes) out.family = textOf(bytes, reader.start, reader.stop)
    else if (reader.field === 4 && reader.isBytes) out.help = textOf(bytes, reader.start, reader.stop)
    else if (reader.field === 5 && reader.isBytes) out.unit = textOf(bytes, reader.start, reader.stop)
  }
  return out
}
