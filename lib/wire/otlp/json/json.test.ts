import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kindThrownBy, oracleDecode } from '../oracle.testkit.ts'
import { otlpJsonToProtobuf } from './index.ts'

describe('otlpJsonToProtobuf', () => {
  test('traces: hex ids, 64-bit text, enums as numbers or names', () => {
    const bytes = otlpJsonToProtobuf(
      'traces',
      JSON.stringify({
        resourceSpans: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 's' } }] },
            scopeSpans: [
              {
                spans: [
                  {
                    traceId: '5B8EFFF798038103D269B633813FC60C',
                    spanId: 'eee19b7ec3c1b174',
                    name: 'x',
                    kind: 'SPAN_KIND_SERVER',
                    startTimeUnixNano: '1544712660000000001',
                    endTimeUnixNano: 1544712661000,
                    status: { code: 2 },
                    attributes: [{ key: 'n', value: { intValue: '-5' } }],
                    unknown: { a: 1 },
                  },
                ],
              },
            ],
          },
        ],
      }),
    )
    const span = oracleDecode('TracesRequest', bytes)['resourceSpans']![0]!['scopeSpans']![0]!['spans']![0]
    expect(span).toMatchObject({
      traceId: '5b8efff798038103d269b633813fc60c',
      kind: 2,
      startTimeUnixNano: '1544712660000000001',
      status: { code: 2 },
      attributes: [{ key: 'n', value: { intValue: '-5' } }],
    })
  })

  test('logs in snake_case, and metrics with packed buckets', () => {
    const logs = oracleDecode(
      'LogsRequest',
      otlpJsonToProtobuf(
        'logs',
        '{"resource_logs":[{"scope_logs":[{"log_records":[{"severity_number":"SEVERITY_NUMBER_INFO2","body":{"bytesValue":"AQI="}}]}]}]}',
      ),
    )
    expect(logs['resourceLogs']![0]!['scopeLogs']![0]!['logRecords']).toEqual([{ severityNumber: 10, body: { bytesValue: '0102' } }])
    const metrics = oracleDecode(
      'MetricsRequest',
      otlpJsonToProtobuf(
        'metrics',
        JSON.stringify({
          resourceMetrics: [
            {
              scopeMetrics: [
                {
                  metrics: [
                    {
                      name: 'h',
                      histogram: {
                        aggregationTemporality: 2,
                        dataPoints: [{ count: '3', sum: 1.5, bucketCounts: ['1', 2], explicitBounds: [0.5] }],
                      },
                    },
                    {
                      name: 'e',
                      exponentialHistogram: { dataPoints: [{ scale: -2, positive: { offset: -3, bucketCounts: [1, '300'] } }] },
                    },
                    { name: 'g', gauge: { dataPoints: [{ asInt: '-7' }, { asDouble: 'NaN' }] } },
                  ],
                },
              ],
            },
          ],
        }),
      ),
    )
    const [h, e, g] = metrics['resourceMetrics']![0]!['scopeMetrics']![0]!['metrics']!
    expect(h!['histogram']).toEqual({
      aggregationTemporality: 2,
      dataPoints: [{ count: '3', sum: 1.5, bucketCounts: ['1', '2'], explicitBounds: [0.5] }],
    })
    expect(e!['exponentialHistogram']).toEqual({ dataPoints: [{ scale: -2, positive: { offset: -3, bucketCounts: ['1', '300'] } }] })
    expect(g!['gauge']!['dataPoints']![0]).toEqual({ asInt: '-7' })
  })

  test('wrong types are bad_data with their path', () => {
    expect(() => otlpJsonToProtobuf('logs', '{"resourceLogs":{}}')).toThrow('$.resourceLogs is not an array')
    expect(() => otlpJsonToProtobuf('traces', '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}')).toThrow(
      /traceId is not hex/,
    )
    expect(() => otlpJsonToProtobuf('logs', '{')).toThrow(/cannot parse OTLP JSON/)
  })

  test('any JSON gives bytes or bad_data', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const thrown = kindThrownBy(() => otlpJsonToProtobuf('metrics', `{"resourceMetrics":${json}}`))
        expect([undefined, 'bad_data']).toContain(thrown)
      }),
    )
  })
})
