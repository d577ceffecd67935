import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { CELL_STALE, formatLabels, type FloatHistogram } from '../../model/index.ts'
import { kindOf } from '../../runtime/errors.ts'
import type { RowBatch } from '../rows/index.ts'
import { decodeWriteV1, decodeWriteV2, encodeWriteV1, SeriesBook, type WriteSeries } from './index.ts'

/** The messages as protobufjs reads and writes them: the oracle. */
const { root } = protobuf.parse(`
syntax = "proto3";
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
message Span { sint32 offset = 1; uint32 length = 2; }
message Histogram { oneof count { uint64 count_int = 1; double count_float = 2; } double sum = 3; sint32 schema = 4; double zero_threshold = 5;
  oneof zero_count { uint64 zero_count_int = 6; double zero_count_float = 7; } repeated Span negative_spans = 8; repeated sint64 negative_deltas = 9;
  repeated double negative_counts = 10; repeated Span positive_spans = 11; repeated sint64 positive_deltas = 12; repeated double positive_counts = 13;
  int32 reset_hint = 14; int64 timestamp = 15; repeated double custom_values = 16; }
message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }
message MetricMetadata { int32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
message WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
message Metadata2 { int32 type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }
message Exemplar2 { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
message TimeSeries2 { repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3; repeated Exemplar2 exemplars = 4;
  Metadata2 metadata = 5; int64 created_timestamp = 6; }
message Request { repeated string symbols = 4; repeated TimeSeries2 timeseries = 5; }
`)

function oracle(type: string, value: object): Uint8Array {
  const message = root.lookupType(type)
  return message.encode(message.fromObject(value)).finish()
}

/** Every sample of a batch as text, in order of text. */
function samplesOf(batch: RowBatch): string[] {
  const out: string[] = []
  for (const { layout, timestampMs, values, cells } of batch.rows) {
    layout.series.forEach((labels, i) => {
      const cell = cells?.[i] ?? 1
      if (cell !== 0)
        out.push(`${formatLabels(labels)} @${timestampMs} ${cell === 1 ? values[i]! : cell === CELL_STALE ? 'stale' : 'histogram'}`)
    })
  }
  return out.sort()
}

const labelsOfObject = (labels: Record<string, string>): object[] => Object.entries(labels).map(([name, value]) => ({ name, value }))
const UP = ['__name__', 'up', 'instance', 'a', 'job', 'j']

const seriesArbitrary: fc.Arbitrary<WriteSeries[]> = fc
  .array(
    fc.record({
      name: fc.nat({ max: 300 }),
      instance: fc.nat({ max: 2 }),
      from: fc.nat({ max: 5 }),
      values: fc.array(fc.double({ noNaN: true }), { maxLength: 4 }),
    }),
    { maxLength: 200 },
  )
  .map((list) =>
    [...new Map(list.map((one) => [`${one.name} ${one.instance}`, one])).values()].map(({ name, instance, from, values }) => ({
      labels: ['__name__', `m${name}`, 'instance', `i${instance}`, 'job', 'j'],
      times: values.map((_, i) => 1000 * (from + i)),
      values,
    })),
  )

describe('remote write 1.0', () => {
  test('decode(encode(x)) = x, also by a book that has seen other requests', () => {
    const book = new SeriesBook()
    fc.assert(
      fc.property(seriesArbitrary, (series) => {
        const expected = series.flatMap(({ labels, times, values }) =>
          Array.from(times!, (time, i) => `${formatLabels(labels)} @${time} ${values![i]!}`),
        )
        const decoded = decodeWriteV1(encodeWriteV1(series), book, [])
        expect(samplesOf(decoded.batch)).toEqual(expected.sort())
        expect(decoded.written.samples).toBe(expected.length)
      }),
    )
  })

  test('what protobufjs wrote: samples, integer histogram, exemplar, metadata', () => {
    const request = oracle('WriteRequest', {
      timeseries: [
        { labels: labelsOfObject({ __name__: 'up', instance: 'a', job: 'j' }), samples: [{ value: 1.5, timestamp: 1_700_000_000_000 }] },
        {
          labels: labelsOfObject({ __name__: 'h', instance: 'a', job: 'j' }),
          histograms: [
            {
              countInt: 6,
              sum: 9,
              schema: -1,
              zeroThreshold: 0.5,
              zeroCountInt: 1,
              positiveSpans: [{ offset: -2, length: 3 }],
              positiveDeltas: [1, 2, -2],
              resetHint: 2,
              timestamp: 1_700_000_000_000,
            },
          ],
          exemplars: [{ labels: labelsOfObject({ trace_id: 'x' }), value: 3, timestamp: 5 }],
        },
      ],
      metadata: [{ type: 1, metricFamilyName: 'up', help: 'is it', unit: 's' }],
    })
    const { batch, complaints } = decodeWriteV1(request, new SeriesBook(), ['cluster', 'c'])
    expect(complaints).toEqual([])
    expect(batch.metadata).toEqual([{ family: 'up', type: 'counter', help: 'is it', unit: 's' }])
    expect(batch.rows).toHaveLength(1)
    const row = batch.rows[0]!
    expect(row.layout.series.map(formatLabels)).toEqual(['up{cluster="c", instance="a", job="j"}', 'h{cluster="c", instance="a", job="j"}'])
    const histogram: FloatHistogram = {
      schema: -1,
      zeroThreshold: 0.5,
      zeroCount: 1,
      count: 6,
      sum: 9,
      positiveSpans: [{ offset: -2, length: 3 }],
      negativeSpans: [],
      positiveBuckets: [1, 3, 1],
      negativeBuckets: [],
      customValues: [],
      counterResetHint: 'not_reset',
    }
    expect(row.histograms).toEqual([undefined, histogram])
    expect(row.exemplars).toEqual([{ column: 1, labels: ['trace_id', 'x'], value: 3, timestampMs: 5 }])
    const again = decodeWriteV1(encodeWriteV1([{ labels: UP, histograms: [{ timestampMs: 7, histogram }] }]), new SeriesBook(), [])
    expect(again.batch.rows[0]!.histograms).toEqual([histogram])
  })

  test('the stale marker is its bits; any other NaN is a value', () => {
    const series = { labels: UP, times: [1, 2], values: [0, Number.NaN], stale: [1, 0] }
    expect(samplesOf(decodeWriteV1(encodeWriteV1([series]), new SeriesBook(), []).batch)).toEqual([
      'up{instance="a", job="j"} @1 stale',
      'up{instance="a", job="j"} @2 NaN',
    ])
  })

  test('bad series are left out one by one, with their reasons', () => {
    const sample = [{ value: 1, timestamp: 1 }]
    const request = oracle('WriteRequest', {
      timeseries: [
        { labels: labelsOfObject({ job: 'nameless' }), samples: sample },
        {
          labels: [
            { name: '__name__', value: 'twice' },
            { name: 'a', value: '1' },
            { name: 'a', value: '2' },
          ],
          samples: sample,
        },
        {
          labels: [
            { name: '__name__', value: 'm' },
            { name: '', value: '1' },
          ],
          samples: sample,
        },
        {
          labels: [
            { name: 'z', value: '1' },
            { name: '__name__', value: 'unsorted' },
          ],
          samples: sample,
        },
        { labels: labelsOfObject({ __name__: 'good' }), samples: sample },
      ],
    })
    const decoded = decodeWriteV1(request, new SeriesBook(), [])
    expect(samplesOf(decoded.batch)).toEqual(['good @1 1', 'unsorted{z="1"} @1 1'])
    expect(decoded.dropped).toEqual({ missing_name: 1, duplicate_label: 1, invalid_labels: 1 })
    expect(decoded.complaints).toHaveLength(3)
  })

  test('labels after the samples are labels all the same', () => {
    const first = oracle('TimeSeries', { labels: labelsOfObject({ __name__: 'up' }), samples: [{ value: 1, timestamp: 1 }] })
    const late = oracle('TimeSeries', { labels: labelsOfObject({ zone: 'b' }) })
    const series = Buffer.concat([first, late])
    const request = Buffer.concat([Buffer.from([0x0a, series.length]), series])
    expect(samplesOf(decodeWriteV1(request, new SeriesBook(), []).batch)).toEqual(['up{zone="b"} @1 1'])
  })

  test('layouts stay the same however the series of a target are cut into requests', () => {
    const book = new SeriesBook()
    const all = Array.from({ length: 300 }, (_, i) => ({
      labels: ['__name__', `m${i}`, 'instance', 'a', 'job', 'j'],
      times: [1],
      values: [i],
    }))
    const ids = (series: WriteSeries[]): string[] => decodeWriteV1(encodeWriteV1(series), book, []).batch.rows.map((row) => row.layout.id)
    const whole = new Set(ids(all))
    expect(whole.size).toBe(3)
    for (const id of [...ids(all.slice(0, 100)), ...ids(all.slice(100, 200)), ...ids(all.slice(200))]) expect(whole).toContain(id)
  })

  test('a book at its limit starts empty again, and loses nothing', () => {
    const book = new SeriesBook({ seriesMax: 2 })
    for (let i = 0; i < 6; i++) {
      const { batch } = decodeWriteV1(encodeWriteV1([{ labels: ['__name__', `m${i}`], times: [1], values: [i] }]), book, [])
      expect(samplesOf(batch)).toEqual([`m${i} @1 ${i}`])
      expect(book.seriesCount).toBeLessThanOrEqual(2)
    }
  })
})

describe('remote write 2.0', () => {
  const symbols = ['', '__name__', 'up', 'job', 'j', 'is it up', 'trace_id', 'x']
  const request = oracle('Request', {
    symbols,
    timeseries: [
      {
        labelsRefs: [1, 2, 3, 4],
        samples: [
          { value: 1, timestamp: 10 },
          { value: 2, timestamp: 20, startTimestamp: 15 },
        ],
        exemplars: [{ labelsRefs: [6, 7], value: 4, timestamp: 11 }],
        metadata: { type: 2, helpRef: 5 },
        createdTimestamp: 5,
      },
      { labelsRefs: [1, 99], samples: [{ value: 1, timestamp: 10 }] },
      { labelsRefs: [3, 4], samples: [{ value: 1, timestamp: 10 }] },
    ],
  })

  test('symbols, start times, metadata, exemplars; the same again from memory', () => {
    const book = new SeriesBook()
    for (let i = 0; i < 3; i++) {
      const { batch, written, dropped } = decodeWriteV2(request, book, [])
      expect(samplesOf(batch)).toEqual(['up{job="j"} @10 1', 'up{job="j"} @20 2'])
      expect(batch.rows.map((row) => [...row.startTimes!])).toEqual([[5], [15]])
      expect(batch.metadata).toEqual([{ family: 'up', type: 'gauge', help: 'is it up', unit: '' }])
      expect(batch.rows.flatMap((row) => row.exemplars ?? [])).toEqual([
        { column: 0, labels: ['trace_id', 'x'], value: 4, timestampMs: 11 },
      ])
      expect(written).toEqual({ samples: 2, histograms: 0, exemplars: 1 })
      expect(dropped).toEqual({ invalid_labels: 1, missing_name: 1 })
    }
  })

  test('other symbols at the same references are other series', () => {
    const book = new SeriesBook()
    const named = (name: string): Uint8Array =>
      oracle('Request', { symbols: ['', '__name__', name], timeseries: [{ labelsRefs: [1, 2], samples: [{ value: 1, timestamp: 1 }] }] })
    for (const name of ['a', 'b', 'a', 'b']) expect(samplesOf(decodeWriteV2(named(name), book, []).batch)).toEqual([`${name} @1 1`])
  })
})

test.each([
  ['1.0', decodeWriteV1],
  ['2.0', decodeWriteV2],
])('any bytes in %s: a value or bad_data', (_name, decode) => {
  const book = new SeriesBook()
  const valid = encodeWriteV1([{ labels: UP, times: [1, 2], values: [1, 2] }])
  const flipped = fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })).map(([at, byte]) => valid.with(at, byte))
  const outcome = (bytes: Uint8Array): string => {
    try {
      return decode(bytes, book, []).written.samples >= 0 ? 'value' : 'nothing'
    } catch (error) {
      return kindOf(error)
    }
  }
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), flipped), (bytes) => {
      expect(['value', 'bad_data']).toContain(outcome(bytes))
    }),
    { numRuns: 3000 },
  )
})
