import { expect, test } from 'vitest'
import { ExpositionParser } from '../../lib/wire/prometheus-text/index.ts'
import { readPushProtobuf } from '../../lib/wire/loki-push/index.ts'
import { normaliseLogs } from '../../lib/wire/otlp/logs/index.ts'
import { decodeOtlpMetrics } from '../../lib/wire/otlp/metrics/index.ts'
import { splitTraces } from '../../lib/wire/otlp/traces/index.ts'
import { SeriesBook } from '../../lib/wire/remote-write/index.ts'
import { snappyDecode } from '../../lib/wire/snappy/index.ts'
import { ProtoReader } from '../../lib/wire/protobuf/index.ts'
import type { LoadSpec } from './messages.ts'
import { scrapeBodies } from './metrics-load.ts'
import { slicesOf } from './sender.ts'
import { SERIES_PER_INSTANCE, shapesOfInstance } from './series.ts'
import type { Slice } from './slice.ts'

const END_MS = Date.UTC(2026, 0, 2, 3, 4, 5)
const SPECS: readonly LoadSpec[] = [
  ...(['remote-write', 'otlp-metrics'] as const).map((kind): LoadSpec => ({
    kind,
    seed: 1,
    instances: 5,
    timesPerSlice: 3,
    stepMs: 15_000,
    endMs: END_MS,
    samplesPerRequest: 200,
    lanes: 2,
  })),
  ...(['loki-push', 'otlp-logs', 'tail'] as const).map((kind): LoadSpec => ({
    kind,
    seed: 1,
    streams: 6,
    linesPerSlice: 250,
    linesPerRequest: 100,
    spanMs: 60_000,
    endMs: END_MS,
    lanes: 2,
  })),
  { kind: 'otlp-traces', seed: 1, services: 5, spansPerSlice: 250, spansPerRequest: 100, spanMs: 60_000, endMs: END_MS, lanes: 2 },
]

const bodiesOf = (slice: Slice): Uint8Array[] => [
  ...slice.lanes.flat().map(({ body }) => body),
  ...(slice.files ?? []).map(({ bytes }) => bytes),
]
const textsOf = (slices: readonly Slice[]): string[] => slices.flatMap(bodiesOf).map((body) => Buffer.from(body).toString('base64'))

test.each(SPECS)('$kind: a seed makes one load, another seed another', (spec) => {
  expect(textsOf(slicesOf(spec, 2))).toEqual(textsOf(slicesOf(spec, 2)))
  expect(textsOf(slicesOf({ ...spec, seed: 2 }, 2))).not.toEqual(textsOf(slicesOf(spec, 2)))
})

/** Samples, lines or spans in what is sent, by a decoder. */
const COUNTERS: Readonly<Record<LoadSpec['kind'], (body: Uint8Array) => number>> = {
  'remote-write': (body) => fieldCount(snappyDecode(body, 1 << 24), 1),
  'otlp-metrics': (body) => decodeOtlpMetrics(body, new SeriesBook(), []).points,
  'loki-push': (body) => {
    let count = 0
    readPushProtobuf(snappyDecode(body, 1 << 24), {
      stream: () => true,
      entry: () => void count++,
      refused: (_, complaint) => expect.fail(complaint),
    })
    return count
  },
  'otlp-logs': (body) => normaliseLogs(body, { partitionOf: () => 0, nowMs: END_MS }).items,
  tail: (body) =>
    Buffer.from(body)
      .toString()
      .match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F .+$/gm)!.length,
  'otlp-traces': (body) => {
    const { items, rejected } = splitTraces(body, () => 0)
    expect(rejected).toEqual({})
    return items
  },
}

test.each(SPECS)('$kind: a decoder finds as many items as the slice says', (spec) => {
  for (const slice of slicesOf(spec, 2)) {
    expect(bodiesOf(slice).reduce((sum, body) => sum + COUNTERS[spec.kind](body), 0)).toBe(slice.items)
  }
})

function fieldCount(bytes: Uint8Array, field: number): number {
  const reader = new ProtoReader(bytes)
  let count = 0
  while (reader.next()) if (reader.field === field) count++
  return count
}

test('what is scraped is text the parser takes: every series of every instance once, in each body', () => {
  const series: unknown[] = []
  const parser = new ExpositionParser({ format: 'text', onSeries: (labels) => series.push(labels) - 1 })
  const counts = scrapeBodies({ seed: 1, instancesPerTarget: 3, bodies: 4 }).map((body) => parser.parse(body).count)
  expect(counts).toEqual(Array.from({ length: 4 }, () => 3 * SERIES_PER_INSTANCE))
  expect(series).toHaveLength(3 * SERIES_PER_INSTANCE)
})

test('buckets are cumulative and counters only rise', () => {
  const shapes = shapesOfInstance()
  expect(shapes).toHaveLength(SERIES_PER_INSTANCE)
  const [first, , last] = scrapeBodies({ seed: 5, instancesPerTarget: 1, bodies: 3 }).map((body) =>
    body
      .toString()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1))),
  )
  const counters = shapes.flatMap(({ type }, i) => (type === 'gauge' ? [] : [i]))
  expect(counters.filter((i) => !(last![i]! >= first![i]!))).toEqual([])
  const buckets = shapes.flatMap(({ kind, labels }, i) => (kind === 'bucket' && labels[1] !== '+Inf' ? [i] : []))
  expect(buckets.filter((i) => !(first![i + 1]! >= first![i]!))).toEqual([])
})
