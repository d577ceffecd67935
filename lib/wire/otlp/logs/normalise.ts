import { EMPTY_LABELS, labelsOf, type Labels } from '../../../model/index.ts'
import { ProtoReader, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT, millisOfNano, nanoText, subNsOfNano } from '../../protobuf/index.ts'
import { anyText, flattenAttribute, labelNameOf } from '../common/index.ts'
import { LogBatchBuilder, type LogBatch } from './batch.ts'
import { PROMOTED_ATTRIBUTES, withServiceName } from './promote.ts'

export interface NormaliseOptions {
  readonly partitionOf: (labels: Labels) => number
  /** Time of records that have none, Unix milliseconds. */
  readonly nowMs: number
  /** Labels every stream gets (`cluster`, external labels); a stream's own win. */
  readonly externalLabels?: Labels
  /** Resource attributes that become labels; PROMOTED_ATTRIBUTES where absent. */
  readonly promoted?: readonly string[]
}

export interface NormalisedLogs {
  readonly batches: LogBatch[]
  /** Log records in the request. */
  readonly items: number
  /** Records left out, by reason; all others are in `batches`. */
  readonly rejected: Readonly<Record<string, number>>
}

/** LogRecord's fields. */
const TIME = 1
const SEVERITY_NUMBER = 2
const SEVERITY_TEXT = 3
const BODY = 5
const ATTRIBUTES = 6
const DROPPED_ATTRIBUTES = 7
const FLAGS = 8
const TRACE_ID = 9
const SPAN_ID = 10
const OBSERVED_TIME = 11

/**
 * A genuine ExportLogsServiceRequest as streams.
 *
 * Promoted resource attributes are the labels; all else is structured metadata under Loki's names: resource, scope and record
 * attributes (maps flattened with `_`), `scope_name`, `scope_version`, `severity_number`, `severity_text`, `observed_timestamp`,
 * `trace_id`, `span_id`, `flags`, `dropped_attributes_count`. The line is the body's text; the time is the record's, else the
 * observed one, else now. Errors: `bad_data` for the whole request where it isn't protobuf.
 * Source: Loki's `otlpToLokiPushRequest`; differs in that an attribute given twice keeps its last value only.
 */
export function normaliseLogs(request: Uint8Array, options: NormaliseOptions): NormalisedLogs {
  const builder = new LogBatchBuilder({ partitionOf: options.partitionOf })
  const promoted = new Set(options.promoted ?? PROMOTED_ATTRIBUTES)
  const reader = new ProtoReader(request)
  let items = 0
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    const { labels, metadata } = readResource(request, reader.start, reader.stop, promoted, options.externalLabels ?? EMPTY_LABELS)
    const resourceLogs = new ProtoReader(request, reader.start, reader.stop)
    while (resourceLogs.next()) {
      if (resourceLogs.field !== 2 || !resourceLogs.isBytes) continue
      const common = [...metadata]
      readScope(request, resourceLogs.start, resourceLogs.stop, common)
      const scopeLogs = new ProtoReader(request, resourceLogs.start, resourceLogs.stop)
      while (scopeLogs.next()) {
        if (scopeLogs.field !== 2 || !scopeLogs.isBytes) continue
        addRecord(builder, labels, common, request, scopeLogs.start, scopeLogs.stop, options.nowMs)
        items++
      }
    }
  }
  const rejected = builder.tooLarge > 0 ? { too_large: builder.tooLarge } : {}
  return { batches: builder.finish(), items, rejected }
}

/** Labels and metadata pairs of a ResourceLogs' resource. */
function readResource(
  bytes: Uint8Array,
  from: number,
  to: number,
  promoted: ReadonlySet<string>,
  externalLabels: Labels,
): { labels: Labels; metadata: string[] } {
  const indexed: string[] = [...externalLabels]
  const metadata: string[] = []
  const resourceLogs = new ProtoReader(bytes, from, to)
  while (resourceLogs.next()) {
    if (resourceLogs.field !== 1 || !resourceLogs.isBytes) continue
    const resource = new ProtoReader(bytes, resourceLogs.start, resourceLogs.stop)
    while (resource.next()) {
      if (resource.field !== 1 || !resource.isBytes) continue
      const pairs: string[] = []
      const key = flattenAttribute(bytes, resource.start, resource.stop, pairs)
      if (promoted.has(key)) indexed.push(...pairs)
      else metadata.push(...pairs)
    }
  }
  return { labels: withServiceName(labelsOfPairs(indexed)), metadata }
}

function readScope(bytes: Uint8Array, from: number, to: number, out: string[]): void {
  const scopeLogs = new ProtoReader(bytes, from, to)
  while (scopeLogs.next()) {
    if (scopeLogs.field !== 1 || !scopeLogs.isBytes) continue
    const scope = new ProtoReader(bytes, scopeLogs.start, scopeLogs.stop)
    while (scope.next()) {
      if (scope.field === 1 && scope.isBytes) out.push('scope_name', scope.text())
      else if (scope.field === 2 && scope.isBytes) out.push('scope_version', scope.text())
      else if (scope.field === 3 && scope.isBytes) flattenAttribute(bytes, scope.start, scope.stop, out)
      else if (scope.field === 4 && scope.wire === WIRE_VARINT && scope.low !== 0)
        out.push('scope_dropped_attributes_count', String(scope.low))
    }
  }
}

function addRecord(
  builder: LogBatchBuilder,
  labels: Labels,
  common: readonly string[],
  bytes: Uint8Array,
  from: number,
  to: number,
  nowMs: number,
): void {
  const pairs = [...common]
  const record = new ProtoReader(bytes, from, to)
  let timeMs = 0
  let subNs = 0
  let observedMs = 0
  let observedSubNs = 0
  let line = ''
  while (record.next()) {
    const { field, wire } = record
    if (field === TIME && wire === WIRE_FIXED64) {
      timeMs = millisOfNano(record.low, record.high)
      subNs = subNsOfNano(record.low, record.high)
    } else if (field === OBSERVED_TIME && wire === WIRE_FIXED64) {
      observedMs = millisOfNano(record.low, record.high)
      observedSubNs = subNsOfNano(record.low, record.high)
    } else if (field === BODY && record.isBytes) line = anyText(bytes, record.start, record.stop)
    else readDetail(record, pairs)
  }
  if (observedMs > 0 || observedSubNs > 0) pairs.push('observed_timestamp', nanoText(observedMs, observedSubNs))
  if (timeMs === 0 && subNs === 0) {
    timeMs = observedMs > 0 ? observedMs : nowMs
    subNs = observedMs > 0 ? observedSubNs : 0
  }
  builder.add(labels, timeMs, subNs, line, labelsOfPairs(pairs))
}

/** What of a record becomes metadata. */
function readDetail(record: ProtoReader, pairs: string[]): void {
  const { field, wire } = record
  if (record.isBytes) {
    if (field === ATTRIBUTES) flattenAttribute(record.bytes, record.start, record.stop, pairs)
    else if (field === SEVERITY_TEXT) pairs.push('severity_text', record.text())
    else if (field === TRACE_ID) pairs.push('trace_id', hexOf(record))
    else if (field === SPAN_ID) pairs.push('span_id', hexOf(record))
  } else if (field === SEVERITY_NUMBER && wire === WIRE_VARINT && record.low !== 0) pairs.push('severity_number', String(record.low))
  else if (field === DROPPED_ATTRIBUTES && wire === WIRE_VARINT && record.low !== 0)
    pairs.push('dropped_attributes_count', String(record.low))
  else if (field === FLAGS && wire === WIRE_FIXED32 && record.low !== 0) pairs.push('flags', String(record.low))
}

/** Hex digits of an id; '' for the all-zero id, which means none. */
function hexOf(record: ProtoReader): string {
  let empty = true
  for (let i = record.start; i < record.stop && empty; i++) empty = record.bytes[i] === 0
  return empty ? '' : Buffer.from(record.range()).toString('hex')
}

/** Sorts flat pairs by name; of a name given twice the last value stays, empty values go. */
function labelsOfPairs(pairs: readonly string[]): Labels {
  const entries: [string, string][] = []
  for (let i = 0; i < pairs.length; i += 2) entries.push([pairs[i] === '' ? labelNameOf('_') : pairs[i]!, pairs[i + 1]!])
  return labelsOf(entries)
}
