import Fastify, { type FastifyInstance } from 'fastify'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseConfig } from '../../../lib/config/index.ts'
import { labelsOf, matchesAll, type SeriesSamples } from '../../../lib/model/index.ts'
import { FakeClock } from '../../../lib/runtime/clock.ts'
import { createEngine } from '../../promql/index.ts'
import { QueryNotes } from '../../shard/index.ts'
import type { MetricsReader } from '../../shard/metrics/index.ts'
import { QueryGate } from '../gate.ts'
import { prometheusApi } from './index.ts'
import { formatValue } from './json.ts'
import { parseTimeMs, unescapeName } from './params.ts'

const series: SeriesSamples[] = [1, 2].map((i) => ({
  labels: labelsOf({ __name__: 'm', i: String(i) }),
  times: Float64Array.of(10_000, 20_000, 30_000),
  values: Float64Array.of(i, i * 2, i * 3.5),
}))

/** Two series of three samples, whoever asks. */
const reader: MetricsReader = {
  notes: new QueryNotes(),
  queryable: { select: async ({ matchers }) => ({ series: series.filter((one) => matchesAll(matchers, one.labels)), warnings: [] }) },
  labelNames: async ({ limit }) => (limit === 0 ? ['__name__', 'i'] : ['__name__', 'i'].slice(0, limit)),
  labelValues: async (name) => (name === 'http.status' ? ['200'] : ['1', '2']),
  series: async () => series.map((one) => one.labels),
  exemplars: async () => [
    {
      series: labelsOf({ __name__: 'm' }),
      exemplars: [{ series: [], labels: labelsOf({ trace_id: 't' }), value: 0.5, timestampMs: 1500 }],
    },
  ],
  metadata: async () => new Map([['m', [{ family: 'm', type: 'gauge', help: 'h', unit: '' }]]]),
  cardinality: async () => {
    throw new Error('not asked for')
  },
}

let app: FastifyInstance

beforeAll(async () => {
  app = Fastify()
  app.decorateRequest('tenant', 'default')
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, new URLSearchParams(body as string)),
  )
  const { config } = parseConfig('{}', 'test', {})
  await app.register(
    prometheusApi({
      engine: createEngine(),
      readerOf: () => reader,
      limitsOf: () => ({ ...config.limits, query_range_max: 3_600_000 }),
      gate: new QueryGate(() => 1),
      clock: new FakeClock(30_000),
      targets: () => [],
      droppedTargets: () => [],
      scrapePools: () => [],
      build: { version: '1', revision: 'r', startedMs: 0, retention: '15d' },
      configText: () => '{}',
      reload: () => ({ success: true, timeMs: 0 }),
      replay: () => ({ totalRecords: 0, doneRecords: 0 }),
      onError: () => {},
    }),
  )
})

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await app.inject({ method: 'GET', url })
  return { status: response.statusCode, body: response.json() }
}

describe('the Prometheus API', () => {
  test('an instant query is a vector of texts', async () => {
    expect((await get('/api/v1/query?query=m&time=20')).body).toEqual({
      status: 'success',
      data: {
        resultType: 'vector',
        result: [
          { metric: { __name__: 'm', i: '1' }, value: [20, '2'] },
          { metric: { __name__: 'm', i: '2' }, value: [20, '4'] },
        ],
      },
    })
  })

  test('a range query is a matrix, also as a form', async () => {
    const payload = new URLSearchParams({ query: 'm{i="2"}', start: '10', end: '1970-01-01T00:00:30Z', step: '10s' }).toString()
    const response = await app.inject({
      method: 'POST',
      url: '/api/v1/query_range',
      payload,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect(response.json().data.result).toEqual([
      {
        metric: { __name__: 'm', i: '2' },
        values: [
          [10, '2'],
          [20, '4'],
          [30, '7'],
        ],
      },
    ])
  })

  test('scalars, strings, raw samples and limits', async () => {
    expect((await get('/api/v1/query?query=1%2B1&time=4')).body).toMatchObject({ data: { resultType: 'scalar', result: [4, '2'] } })
    expect((await get('/api/v1/query?query=%22a%22&time=4')).body).toMatchObject({ data: { resultType: 'string', result: [4, 'a'] } })
    expect((await get('/api/v1/query?query=m%7Bi%3D%221%22%7D%5B15s%5D&time=30')).body).toMatchObject({
      data: {
        resultType: 'matrix',
        result: [
          {
            values: [
              [20, '2'],
              [30, '3.5'],
            ],
          },
        ],
      },
    })
    expect((await get('/api/v1/query?query=m&limit=1')).body).toMatchObject({
      data: { result: [{ metric: { i: '1' } }] },
      warnings: ['results truncated due to limit'],
    })
    expect((await get('/api/v1/query?query=m&stats=all')).body).toMatchObject({
      data: { stats: { samples: { totalQueryableSamples: expect.any(Number) } } },
    })
  })

  test('errors have the envelope and their status', async () => {
    expect(await get('/api/v1/query?query=m%7B')).toMatchObject({ status: 400, body: { status: 'error', errorType: 'bad_data' } })
    expect(await get('/api/v1/query')).toMatchObject({ status: 400, body: { errorType: 'bad_data' } })
    expect(await get('/api/v1/query_range?query=m&start=30&end=10&step=1')).toMatchObject({ status: 400, body: { errorType: 'bad_data' } })
    expect(await get('/api/v1/query_range?query=m&start=0&end=7200&step=60')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('at most 3600000 ms') },
    })
    expect(await get('/api/v1/query?query=m%20%2B%20on()%20m')).toMatchObject({ status: 422, body: { errorType: 'execution' } })
    expect(await get('/api/v1/series')).toMatchObject({ status: 400, body: { error: 'no match[] parameter provided' } })
    expect(await get('/api/v1/labels?match[]=%7B%7D')).toMatchObject({ status: 400 })
  })

  test('names, values, series, metadata and exemplars', async () => {
    expect((await get('/api/v1/labels')).body).toEqual({ status: 'success', data: ['__name__', 'i'] })
    expect((await get('/api/v1/labels?limit=1')).body).toEqual({
      status: 'success',
      data: ['__name__'],
      warnings: ['results truncated due to limit'],
    })
    expect((await get('/api/v1/label/U__http_2e_status/values')).body).toEqual({ status: 'success', data: ['200'] })
    expect((await get('/api/v1/series?match[]=m')).body).toEqual({
      status: 'success',
      data: [
        { __name__: 'm', i: '1' },
        { __name__: 'm', i: '2' },
      ],
    })
    expect((await get('/api/v1/metadata')).body).toEqual({ status: 'success', data: { m: [{ type: 'gauge', unit: '', help: 'h' }] } })
    // Grafana asks with milliseconds where seconds are meant.
    expect((await get('/api/v1/query_exemplars?query=m&start=1795000000000&end=1795000001000')).body).toMatchObject({
      data: [{ seriesLabels: { __name__: 'm' }, exemplars: [{ labels: { trace_id: 't' }, value: '0.5', timestamp: 1.5 }] }],
    })
  })

  test('what runs', async () => {
    expect((await get('/api/v1/status/buildinfo')).body).toMatchObject({ data: { version: '1', revision: 'r' } })
    expect((await get('/api/v1/format_query?query=sum(m)by(i)')).body).toEqual({ status: 'success', data: 'sum by (i) (m)' })
    expect((await app.inject({ method: 'GET', url: '/api/v1/status/flags' })).statusCode).toBe(404)
  })
})

test("values are written in Go's notation", () => {
  expect([1, 0.1, 1e21, 1e-7, -0, NaN, Infinity, -Infinity, 123456789012345680000].map(formatValue)).toEqual([
    '1', '0.1', '1e+21', '1e-07', '-0', 'NaN', '+Inf', '-Inf', '123456789012345680000',
  ]) // prettier-ignore
})

test('times and escaped names', () => {
  expect(parseTimeMs('1.5', 't')).toBe(1500)
  expect(parseTimeMs('2026-01-01T00:00:00.5Z', 't')).toBe(Date.UTC(2026, 0, 1) + 500)
  expect(() => parseTimeMs('soon', 't')).toThrow('invalid parameter "t"')
  expect(unescapeName('U__a__b_2e_c')).toBe('a_b.c')
  expect(unescapeName('plain')).toBe('plain')
  expect(unescapeName('U__broken_zz')).toBe('U__broken_zz')
})
