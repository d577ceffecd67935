import { labelsWith, METRIC_NAME, type Labels } from '../../../model/index.ts'
import { ProtoReader, textOf, WIRE_FIXED64, WIRE_VARINT, millisOfNano } from '../../protobuf/index.ts'
import type { KnownSeries, SeriesBook } from '../../remote-write/index.ts'
import type { FamilyMetadata, RowBatch } from '../../rows/index.ts'
import { nativeHistogramOf, SCALE_MIN } from './exponential.ts'
import { boundText, metricNameOf, unitWords } from './name.ts'
import {
  doubleOf,
  EXPONENTIAL_POINT,
  HISTOGRAM_POINT,
  NUMBER_POINT,
  readPoint,
  SUMMARY_POINT,
  type Point,
  type PointFields,
} from './point.ts'
import { pointLabels, readAttributes, readResource, type MetricResource } from './resource.ts'

export interface DecodedMetrics {
  readonly batch: RowBatch
  /** Data points in the request. */
  readonly points: number
  /** Data points left out, by reason (`delta_temporality`, `invalid_name`, `invalid_scale`, `invalid_buckets`). */
  readonly rejected: Readonly<Record<string, number>>
  readonly complaints: readonly string[]
}

/** Metric's field of each kind of data. */
const GAUGE = 5
const SUM = 7
const HISTOGRAM = 9
const EXPONENTIAL = 10
const SUMMARY = 11
const POINT_FIELDS: Readonly<Record<number, PointFields>> = {
  [GAUGE]: NUMBER_POINT,
  [SUM]: NUMBER_POINT,
  [HISTOGRAM]: HISTOGRAM_POINT,
  [EXPONENTIAL]: EXPONENTIAL_POINT,
  [SUMMARY]: SUMMARY_POINT,
}
const CUMULATIVE = 2
const COMPLAINTS_MAX = 10
/** `target_info` has a sample this often over the time of its resource's points: half of the default lookback. */
const INFO_STEP_MS = 150_000
const INFO_SAMPLES_MAX = 1000

/**
 * An ExportMetricsServiceRequest as rows.
 *
 * @param book the tenant's; its rows are this request's
 * Errors: `bad_data` for the whole request where it isn't protobuf.
 */
export function decodeOtlpMetrics(request: Uint8Array, book: SeriesBook, externalLabels: Labels): DecodedMetrics {
  book.begin(externalLabels)
  const decoder = new Decoder(request, book)
  const reader = new ProtoReader(request)
  while (reader.next()) if (reader.field === 1 && reader.isBytes) decoder.resource(reader.start, reader.stop)
  return decoder.finish()
}

interface MetricHead {
  readonly name: string
  readonly family: string
  readonly kind: number
  readonly isCumulative: boolean
}

class Decoder {
  readonly #bytes: Uint8Array
  readonly #book: SeriesBook
  readonly #families = new Map<string, FamilyMetadata>()
  readonly #rejected: Record<string, number> = {}
  readonly #complaints: string[] = []
  #points = 0
  #resource: MetricResource = { job: '', instance: '', info: undefined }
  #earliestMs = Infinity
  #latestMs = -Infinity

  constructor(bytes: Uint8Array, book: SeriesBook) {
    this.#bytes = bytes
    this.#book = book
  }

  /** ResourceMetrics: 2 ScopeMetrics { 2 metrics }. */
  resource(from: number, to: number): void {
    this.#resource = readResource(this.#bytes, from, to)
    this.#earliestMs = Infinity
    this.#latestMs = -Infinity
    const resourceMetrics = new ProtoReader(this.#bytes, from, to)
    while (resourceMetrics.next()) {
      if (resourceMetrics.field !== 2 || !resourceMetrics.isBytes) continue
      const scopeMetrics = new ProtoReader(this.#bytes, resourceMetrics.start, resourceMetrics.stop)
      while (scopeMetrics.next()) {
        if (scopeMetrics.field === 2 && scopeMetrics.isBytes) this.#metric(scopeMetrics.start, scopeMetrics.stop)
      }
    }
    this.#addInfo()
  }

  finish(): DecodedMetrics {
    return {
      batch: { rows: this.#book.finish(), metadata: [...this.#families.values()] },
      points: this.#points,
      rejected: this.#rejected,
      complaints: this.#complaints,
    }
  }

  /** Metric: 1 name, 2 description, 3 unit, then one kind of data. */
  #metric(from: number, to: number): void {
    const bytes = this.#bytes
    let name = ''
    let help = ''
    let unit = ''
    let data: { kind: number; start: number; stop: number } | undefined
    const reader = new ProtoReader(bytes, from, to)
    while (reader.next()) {
      const { field, start, stop } = reader
      if (!reader.isBytes) continue
      if (field === 1) name = textOf(bytes, start, stop)
      else if (field === 2) help = textOf(bytes, start, stop)
      else if (field === 3) unit = textOf(bytes, start, stop)
      else if (field in POINT_FIELDS) data = { kind: field, start, stop }
    }
    if (data === undefined) return
    const { temporality, isMonotonic } = readDataHead(bytes, data.start, data.stop)
    const isCounter = data.kind === SUM && isMonotonic
    const family = metricNameOf(name, unit, isCounter ? 'counter' : data.kind === GAUGE ? 'gauge' : 'other')
    const isCumulative = data.kind === GAUGE || data.kind === SUMMARY || temporality === CUMULATIVE
    if (family !== '' && isCumulative) {
      const { main, per } = unitWords(unit)
      const words = [main, per === '' ? '' : `per_${per}`].filter((word) => word !== '').join('_')
      this.#families.set(family, { family, type: typeOf(data.kind, isMonotonic), help, unit: words })
    }
    const head = { name, family, kind: data.kind, isCumulative }
    const points = new ProtoReader(bytes, data.start, data.stop)
    while (points.next()) if (points.field === 1 && points.isBytes) this.#point(head, points.start, points.stop)
  }

  #point(head: MetricHead, from: number, to: number): void {
    this.#points++
    if (head.family === '') return this.#reject('invalid_name', `metric "${head.name.slice(0, 100)}" has no name that can be kept`)
    if (!head.isCumulative) return this.#reject('delta_temporality', `metric "${head.name}" is not cumulative`)
    const fields = POINT_FIELDS[head.kind]!
    const point = readPoint(this.#bytes, from, to, fields)
    if (head.kind === EXPONENTIAL && point.scale < SCALE_MIN) {
      return this.#reject('invalid_scale', `metric "${head.name}" has scale ${point.scale}, at least ${SCALE_MIN} is needed`)
    }
    if (head.kind === HISTOGRAM && point.bucketCounts.length > 0 && point.bucketCounts.length !== point.bounds.length + 1) {
      return this.#reject(
        'invalid_buckets',
        `metric "${head.name}" has ${point.bucketCounts.length} counts for ${point.bounds.length} bounds`,
      )
    }
    this.#earliestMs = Math.min(this.#earliestMs, point.timeMs)
    this.#latestMs = Math.max(this.#latestMs, point.timeMs)
    const attributes = readAttributes(this.#bytes, from, to, fields.attributes)
    const labels = pointLabels(attributes, this.#resource.job, this.#resource.instance)
    if (head.kind === GAUGE || head.kind === SUM) {
      const known = this.#put(labels, head.family, point, point.value)
      if (head.kind === SUM) for (const [start, stop] of point.exemplars) this.#exemplar(known, start, stop)
    } else if (head.kind === HISTOGRAM) this.#classic(labels, head.family, point)
    else if (head.kind === EXPONENTIAL) this.#native(labels, head.family, point)
    else this.#summary(labels, head.family, point)
  }

  #put(labels: Labels, name: string, point: Point, value: number): KnownSeries {
    const known = this.#book.enter(labelsWith(labels, METRIC_NAME, name))
    if (point.isStale) this.#book.stale(known, point.timeMs)
    else this.#book.float(known, point.timeMs, value, point.startMs)
    return known
  }

  #classic(labels: Labels, name: string, point: Point): void {
    if (point.sum !== undefined) this.#put(labels, `${name}_sum`, point, point.sum)
    this.#put(labels, `${name}_count`, point, point.count)
    const buckets: KnownSeries[] = []
    let total = 0
    for (let i = 0; i < point.bounds.length && i < point.bucketCounts.length; i++) {
      total += point.bucketCounts[i]!
      buckets.push(this.#put(labelsWith(labels, 'le', boundText(point.bounds[i]!)), `${name}_bucket`, point, total))
    }
    buckets.push(this.#put(labelsWith(labels, 'le', '+Inf'), `${name}_bucket`, point, point.count))
    for (const [start, stop] of point.exemplars) {
      const { value } = readExemplar(this.#bytes, start, stop)
      const at = point.bounds.findIndex((bound) => value <= bound)
      this.#exemplar(buckets[at === -1 ? buckets.length - 1 : at]!, start, stop)
    }
  }

  #native(labels: Labels, name: string, point: Point): void {
    const known = this.#book.enter(labelsWith(labels, METRIC_NAME, name))
    if (point.isStale) this.#book.stale(known, point.timeMs)
    else this.#book.histogram(known, point.timeMs, nativeHistogramOf(point), point.startMs)
    for (const [start, stop] of point.exemplars) this.#exemplar(known, start, stop)
  }

  #summary(labels: Labels, name: string, point: Point): void {
    this.#put(labels, `${name}_sum`, point, point.sum ?? 0)
    this.#put(labels, `${name}_count`, point, point.count)
    for (const [quantile, value] of point.quantiles) this.#put(labelsWith(labels, 'quantile', boundText(quantile)), name, point, value)
  }

  #exemplar(known: KnownSeries, from: number, to: number): void {
    const { labels, value, timeMs } = readExemplar(this.#bytes, from, to)
    this.#book.exemplar(known, labels, value, timeMs)
  }

  #addInfo(): void {
    const { info } = this.#resource
    if (info === undefined || this.#latestMs === -Infinity) return
    const known = this.#book.enter(info)
    const firstMs = Math.max(this.#earliestMs, this.#latestMs - INFO_STEP_MS * INFO_SAMPLES_MAX)
    for (let ms = firstMs; ms < this.#latestMs; ms += INFO_STEP_MS) this.#book.float(known, ms, 1)
    this.#book.float(known, this.#latestMs, 1)
  }

  #reject(reason: string, complaint: string): void {
    this.#rejected[reason] = (this.#rejected[reason] ?? 0) + 1
    if (this.#complaints.length < COMPLAINTS_MAX && this.#complaints.at(-1) !== complaint) this.#complaints.push(complaint)
  }
}

/** 2 temporality, 3 monotonic: the same for every kind of data that has them. */
function readDataHead(bytes: Uint8Array, from: number, to: number): { temporality: number; isMonotonic: boolean } {
  let temporality = 0
  let isMonotonic = false
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.wire !== WIRE_VARINT) continue
    if (reader.field === 2) temporality = reader.low
    else if (reader.field === 3) isMonotonic = reader.low !== 0
  }
  return { temporality, isMonotonic }
}

function typeOf(kind: number, isMonotonic: boolean): string {
  if (kind === SUM) return isMonotonic ? 'counter' : 'gauge'
  return kind === GAUGE ? 'gauge' : kind === SUMMARY ? 'summary' : 'histogram'
}

/** Exemplar: 2 time, 3 double, 4 span id, 5 trace id, 6 integer, 7 filtered attributes. */
function readExemplar(bytes: Uint8Array, from: number, to: number): { labels: Labels; value: number; timeMs: number } {
  const ids: [string, string][] = []
  let value = 0
  let timeMs = 0
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    const { field, wire } = reader
    if (wire === WIRE_FIXED64) {
      if (field === 2) timeMs = millisOfNano(reader.low, reader.high)
      else if (field === 3) value = doubleOf(reader)
      else if (field === 6) value = (reader.high | 0) * 4_294_967_296 + reader.low
    } else if (reader.isBytes && (field === 4 || field === 5) && reader.stop > reader.start) {
      ids.push([field === 4 ? 'span_id' : 'trace_id', Buffer.from(reader.range()).toString('hex')])
    }
  }
  return { labels: pointLabels([...readAttributes(bytes, from, to, 7), ...ids], '', ''), value, timeMs }
}
