/** The fragments of logs: lines, partial results of range aggregations, label names and values, streams, sizes. */
import { labelsKey, type Labels, type Matcher, type MatcherSpec } from '../../../lib/model/index.ts'
import { compileMatcher } from '../../../lib/regexp/index.ts'
import type { LogStats, LogStore, StreamVolume } from '../../logs/index.ts'
import {
  linesTask,
  mergeLines,
  mergeSamples,
  samplesTask,
  type LinesRequest,
  type LogLines,
  type SampleColumns,
  type SamplesRequest,
} from '../../logql/index.ts'
import type { FragmentKind } from '../fragment.ts'

type Kind<Request, Answer> = FragmentKind<LogStore, Request, Answer>

/** Streams by their labels; times are Unix milliseconds, both inclusive. */
export interface StreamsRequest {
  readonly matchers: readonly MatcherSpec[]
  readonly startMs: number
  readonly endMs: number
}

const compile = (specs: readonly MatcherSpec[]): Matcher[] => specs.map((spec) => compileMatcher(spec))

function buffersOf(arrays: readonly { readonly buffer: ArrayBufferLike }[]): ArrayBuffer[] {
  return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))]
}

export const linesFragment: Kind<LinesRequest, LogLines> = {
  name: 'logs.lines',
  signal: 'logs',
  execute: (store, tenant, request) => linesTask({ scan: (scan) => store.scan(tenant, scan) }, request),
  merge: mergeLines,
  transfer: ({ timeMs, subNs, stream, metadata, parsed, lineBytes, lineStart }) =>
    buffersOf([timeMs, subNs, stream, metadata, parsed, lineBytes, lineStart]),
}

export const samplesFragment: Kind<SamplesRequest, SampleColumns> = {
  name: 'logs.samples',
  signal: 'logs',
  execute: (store, tenant, request) => samplesTask({ scan: (scan) => store.scan(tenant, scan) }, request),
  merge: mergeSamples,
  transfer: ({ state, rawStart, rawTimes, rawValues }) => buffersOf([state, rawStart, rawTimes, rawValues]),
}

export const labelNamesFragment: Kind<StreamsRequest, string[]> = {
  name: 'logs.labelNames',
  signal: 'logs',
  execute: (store, tenant, { matchers, startMs, endMs }) => store.labelNames(tenant, compile(matchers), startMs, endMs),
  merge: mergeTexts,
}

export const labelValuesFragment: Kind<StreamsRequest & { name: string }, string[]> = {
  name: 'logs.labelValues',
  signal: 'logs',
  execute: (store, tenant, { name, matchers, startMs, endMs }) => store.labelValues(tenant, name, compile(matchers), startMs, endMs),
  merge: mergeTexts,
}

export const seriesFragment: Kind<StreamsRequest, Labels[]> = {
  name: 'logs.series',
  signal: 'logs',
  execute: (store, tenant, { matchers, startMs, endMs }) => store.series(tenant, compile(matchers), startMs, endMs),
  merge: (answers) => [...new Map(answers.flat().map((labels) => [labelsKey(labels), labels])).values()],
}

export const statsFragment: Kind<StreamsRequest, LogStats> = {
  name: 'logs.stats',
  signal: 'logs',
  execute: (store, tenant, { matchers, startMs, endMs }) => store.stats(tenant, compile(matchers), startMs, endMs),
  merge: (answers) => ({
    streams: answers.reduce((sum, { streams }) => sum + streams, 0),
    chunks: answers.reduce((sum, { chunks }) => sum + chunks, 0),
    bytes: answers.reduce((sum, { bytes }) => sum + bytes, 0),
    entries: answers.reduce((sum, { entries }) => sum + entries, 0),
  }),
}

export const volumeFragment: Kind<StreamsRequest, StreamVolume[]> = {
  name: 'logs.volume',
  signal: 'logs',
  execute: (store, tenant, { matchers, startMs, endMs }) => store.volume(tenant, compile(matchers), startMs, endMs),
  merge(answers) {
    const byKey = new Map<string, StreamVolume>()
    for (const one of answers.flat()) {
      const before = byKey.get(labelsKey(one.labels))
      const sum =
        before === undefined ? one : { labels: one.labels, bytes: before.bytes + one.bytes, entries: before.entries + one.entries }
      byKey.set(labelsKey(one.labels), sum)
    }
    return [...byKey.values()]
  },
}

function mergeTexts(answers: readonly (readonly string[])[]): string[] {
  return [...new Set(answers.flat())].sort()
}
