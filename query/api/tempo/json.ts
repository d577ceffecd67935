/** Search results as Tempo's JSON: proto3 JSON with 64-bit numbers as texts, and no key that Grafana's compiled protobuf doesn't know. */
import { nanoText } from '../../../lib/wire/protobuf/index.ts'
import type { QueryNotes } from '../../shard/index.ts'
import type { FoundSpan, FoundSpanset, FoundTrace, SearchAnswer } from '../../shard/traces/index.ts'

type Shown = string | number | boolean

/** A node is a job: one that gave no answer is not completed. */
export function searchJson({ traces, inspectedTraces, inspectedSpans }: SearchAnswer, { asked, missing }: QueryNotes): object {
  return {
    traces: traces.map(traceJson),
    metrics: { inspectedTraces, inspectedSpans: String(inspectedSpans), completedJobs: asked - missing.size, totalJobs: asked },
  }
}

function traceJson(trace: FoundTrace): object {
  const spanSets = trace.spansets.map(spansetJson)
  return {
    traceID: trace.traceId.replace(/^0+(?=.)/, ''),
    rootServiceName: trace.rootService,
    rootTraceName: trace.rootName,
    startTimeUnixNano: nanoText(trace.startMs, trace.startSubNs),
    durationMs: trace.durationMs,
    spanSet: spanSets[0],
    spanSets,
    serviceStats: Object.fromEntries(
      trace.services.map(({ service, spans, errors }) => [service, { spanCount: spans, ...(errors === 0 ? {} : { errorCount: errors }) }]),
    ),
  }
}

function spansetJson({ spans, matched, attributes }: FoundSpanset): object {
  return { spans: spans.map(spanJson), matched, ...(attributes.length === 0 ? {} : { attributes: attributes.map(attributeJson) }) }
}

function spanJson({ spanId, name, startMs, startSubNs, durationNs, attributes }: FoundSpan): object {
  return {
    spanID: spanId,
    name,
    startTimeUnixNano: nanoText(startMs, startSubNs),
    durationNanos: String(durationNs),
    ...(attributes.length === 0 ? {} : { attributes: attributes.map(attributeJson) }),
  }
}

function attributeJson({ key, value }: { readonly key: string; readonly value: Shown }): object {
  return { key, value: valueJson(key, value) }
}

const STATUS = ['unset', 'ok', 'error']
const KIND = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

function valueJson(key: string, value: Shown): object {
  if (key === 'status' && typeof value === 'number') return { stringValue: STATUS[value] ?? String(value) }
  if (key === 'kind' && typeof value === 'number') return { stringValue: KIND[value] ?? String(value) }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'string') return { stringValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
