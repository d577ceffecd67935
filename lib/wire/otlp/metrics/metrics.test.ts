import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CELL_STALE, formatLabels } from '../../../model/index.ts'
import { kindOf } from '../../../runtime/errors.ts'
import { SeriesBook } from '../../remote-write/index.ts'
import { otlpJsonToProtobuf } from '../json/index.ts'
import { decodeOtlpMetrics, metricNameOf, type DecodedMetrics } from './index.ts'

const T = '1700000000000000000'
const T_MS = 1_700_000_000_000
const text = (key: string, value: string): object => ({ key, value: { stringValue: value } })

function decode(metrics: object[], attributes: object[] = []): DecodedMetrics {
  const json = { resourceMetrics: [{ resource: { attributes }, scopeMetrics: [{ metrics }] }] }
  return decodeOtlpMetrics(otlpJsonToProtobuf('metrics', JSON.stringify(json)), new SeriesBook(), [])
}

function samplesOf({ batch }: DecodedMetrics): Record<string, number | string> {
  const out: Record<string, number | string> = {}
  for (const { layout, values, cells } of batch.rows) {
    layout.series.forEach((labels, i) => {
      const cell = cells?.[i] ?? 1
      if (cell !== 0) out[formatLabels(labels)] = cell === 1 ? values[i]! : cell === CELL_STALE ? 'stale' : 'histogram'
    })
  }
  return out
}

/** Expectations of the Prometheus translator's documentation and own tests. */
test.each([
  ['system.filesystem.usage', 'By', 'other', 'system_filesystem_usage_bytes'],
  ['system.cpu.utilization', '1', 'gauge', 'system_cpu_utilization_ratio'],
  ['http.requests', '{request}', 'counter', 'http_requests_total'],
  ['requests_total', '', 'counter', 'requests_total'],
  ['total.requests', '', 'counter', 'requests_total'],
  ['network.io', 'By/s', 'gauge', 'network_io_bytes_per_second'],
  ['broker.messages.consumed.speed', 'By/s', 'other', 'broker_messages_consumed_speed_bytes_per_second'],
  ['duration_seconds', 's', 'other', 'duration_seconds'],
  ['active.time', 'min', 'counter', 'active_time_minutes_total'],
  ['2xx.responses', '', 'other', '_2xx_responses'],
  ['queue.depth', '{item}/s', 'other', 'queue_depth_per_second'],
  ['unknown', 'TestItem', 'other', 'unknown_TestItem'],
  ['...', '', 'other', ''],
] as const)('%s in "%s" as %s is %s', (name, unit, kind, expected) => {
  expect(metricNameOf(name, unit, kind)).toBe(expected)
})

describe('OTLP metrics to rows', () => {
  test('gauges and sums: identity, other attributes, types, start times', () => {
    const decoded = decode(
      [
        {
          name: 'temp',
          description: 'how warm',
          unit: 'Cel',
          gauge: { dataPoints: [{ timeUnixNano: T, asInt: '-5', attributes: [text('a.b', '2'), text('a/b', '3')] }] },
        },
        {
          name: 'hits',
          sum: {
            aggregationTemporality: 2,
            isMonotonic: true,
            dataPoints: [{ timeUnixNano: T, startTimeUnixNano: '1600000000000000000', asDouble: 7 }],
          },
        },
      ],
      [text('service.name', 's'), text('service.namespace', 'n'), text('host', 'h')],
    )
    expect(samplesOf(decoded)).toEqual({
      'temp_celsius{a_b="2;3", job="n/s"}': -5,
      'hits_total{job="n/s"}': 7,
      'target_info{host="h", job="n/s"}': 1,
    })
    expect(decoded.batch.metadata).toEqual([
      { family: 'temp_celsius', type: 'gauge', help: 'how warm', unit: 'celsius' },
      { family: 'hits_total', type: 'counter', help: '', unit: '' },
    ])
    expect(decoded.batch.rows.flatMap((row) => [...(row.startTimes ?? [])]).filter((ms) => ms > 0)).toEqual([1_600_000_000_000])
    expect(decoded.batch.rows.every((row) => row.timestampMs === T_MS)).toBe(true)
  })

  test('a classic histogram is cumulative; its exemplar lies on the bucket of its value', () => {
    const exemplars = [{ timeUnixNano: T, asDouble: 0.7, traceId: '0102030405060708090a0b0c0d0e0f10', spanId: '0102030405060708' }]
    const point = { timeUnixNano: T, count: '6', sum: 9.5, bucketCounts: ['1', '2', '3'], explicitBounds: [0.5, 1e-7 + 1], exemplars }
    const decoded = decode([{ name: 'd', unit: 's', histogram: { aggregationTemporality: 2, dataPoints: [point] } }])
    expect(samplesOf(decoded)).toEqual({
      d_seconds_sum: 9.5,
      d_seconds_count: 6,
      'd_seconds_bucket{le="0.5"}': 1,
      'd_seconds_bucket{le="1.0000001"}': 3,
      'd_seconds_bucket{le="+Inf"}': 6,
    })
    const [row] = decoded.batch.rows.filter((one) => one.exemplars !== undefined)
    const [exemplar] = row!.exemplars!
    expect(formatLabels(row!.layout.series[exemplar!.column]!)).toBe('d_seconds_bucket{le="1.0000001"}')
    expect(exemplar!.labels).toEqual(['span_id', '0102030405060708', 'trace_id', '0102030405060708090a0b0c0d0e0f10'])
  })

  test('an exponential histogram is native: indexes move by one, finer scales are merged', () => {
    const point = (scale: number): object => ({
      timeUnixNano: T,
      count: '10',
      sum: 1,
      scale,
      zeroCount: '1',
      positive: { offset: -2, bucketCounts: ['1', '0', '2', '3', '0', '0', '0', '3'] },
    })
    const decoded = decode(
      [3, 9, -5].map((scale, i) => ({ name: `e${i}`, exponentialHistogram: { aggregationTemporality: 2, dataPoints: [point(scale)] } })),
    )
    const histograms = decoded.batch.rows.flatMap((row) => row.histograms ?? []).filter((one) => one !== undefined)
    expect(histograms.map(({ schema, positiveSpans, positiveBuckets }) => ({ schema, positiveSpans, positiveBuckets }))).toEqual([
      {
        schema: 3,
        positiveSpans: [
          { offset: -1, length: 4 },
          { offset: 3, length: 1 },
        ],
        positiveBuckets: [1, 0, 2, 3, 3],
      },
      { schema: 8, positiveSpans: [{ offset: 0, length: 4 }], positiveBuckets: [1, 5, 0, 3] },
    ])
    expect(decoded.rejected).toEqual({ invalid_scale: 1 })
  })

  test('a summary, and points without a value as stale markers', () => {
    const quantileValues = [{ quantile: 0.99, value: 4 }]
    const decoded = decode([
      { name: 's', summary: { dataPoints: [{ timeUnixNano: T, count: '2', sum: 5, quantileValues }] } },
      { name: 'g', gauge: { dataPoints: [{ timeUnixNano: T, flags: 1 }] } },
    ])
    expect(samplesOf(decoded)).toEqual({ s_sum: 5, s_count: 2, 's{quantile="0.99"}': 4, g: 'stale' })
  })

  test('delta temporality is refused point by point', () => {
    const dataPoints = [
      { timeUnixNano: T, asDouble: 1 },
      { timeUnixNano: T, asDouble: 2 },
    ]
    const decoded = decode([{ name: 'd', sum: { aggregationTemporality: 1, isMonotonic: true, dataPoints } }])
    expect(decoded).toMatchObject({ points: 2, rejected: { delta_temporality: 2 }, complaints: ['metric "d" is not cumulative'] })
    expect(decoded.batch.rows).toEqual([])
  })

  test('any bytes: a value or bad_data', () => {
    const outcome = (bytes: Uint8Array): string => {
      try {
        return decodeOtlpMetrics(bytes, new SeriesBook(), []).points >= 0 ? 'value' : 'nothing'
      } catch (error) {
        return kindOf(error)
      }
    }
    const metric = {
      name: 'e',
      exponentialHistogram: {
        aggregationTemporality: 2,
        dataPoints: [{ timeUnixNano: T, count: '1', positive: { offset: 3, bucketCounts: ['1'] } }],
      },
    }
    const valid = otlpJsonToProtobuf('metrics', JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] }))
    const flipped = fc
      .tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 }))
      .map(([at, byte]) => new Uint8Array(valid).with(at, byte))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), flipped), (bytes) => {
        expect(['value', 'bad_data']).toContain(outcome(bytes))
      }),
      { numRuns: 2000 },
    )
  })
})
