import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { labelsOf } from '../../../lib/model/index.ts'
import { NOW_MS, testApi, type TestApi } from './loki.testkit.ts'

let api: TestApi

beforeEach(async () => {
  api = await testApi()
  const add = (app: string, ago: number, line: string, metadata: Record<string, string> = {}): void =>
    api.add({ stream: labelsOf({ app, service_name: app }), timeMs: NOW_MS - ago * 1000, subNs: 5, line, metadata: labelsOf(metadata) })
  add('web', 60, '{"level":"error","took":"20ms","user":{"id":7}}', { trace_id: 'abc' })
  add('web', 50, '{"level":"info","took":"5ms","user":{"id":8}}', { trace_id: 'def' })
  add('db', 40, 'level=info rows=12 msg="query 17 done"', { detected_level: 'info' })
  add('db', 30, 'level=info rows=13 msg="query 18 done"', { detected_level: 'info' })
})

afterEach(() => api.app.close())

const base = '/loki/api/v1'

async function get(path: string, params: Record<string, string> = {}, headers: Record<string, string> = {}) {
  const answer = await api.app.inject({ method: 'GET', url: `${base}${path}?${new URLSearchParams(params).toString()}`, headers })
  return { status: answer.statusCode, type: answer.headers['content-type'], text: answer.payload, json: () => JSON.parse(answer.payload) }
}

const nanos = (ms: number): string => `${ms}000000`
const HOUR = { start: nanos(NOW_MS - 3_600_000), end: nanos(NOW_MS) }

describe('query', () => {
  test("Grafana's health check gets one sample of value 2", async () => {
    const { json } = await get('/query', { query: 'vector(1)+vector(1)', time: '4000000000', direction: 'backward' })
    expect(json().data).toMatchObject({ resultType: 'vector', result: [{ metric: {}, value: [4_000_000_000, '2'] }] })
  })

  test('an instant query of a metric', async () => {
    const query = 'sum by (app) (count_over_time({app=~".+"}[5m]))'
    const { json } = await get('/query', { query, time: nanos(NOW_MS) })
    expect(json().data.result).toEqual([
      { metric: { app: 'db' }, value: [NOW_MS / 1000, '2'] },
      { metric: { app: 'web' }, value: [NOW_MS / 1000, '2'] },
    ])
  })

  test('a log query is refused, as is what does not parse', async () => {
    expect(await get('/query', { query: '{app="web"}' })).toMatchObject({
      status: 400,
      text: expect.stringContaining('log queries are not supported'),
    })
    const broken = await get('/query', { query: 'sum(' })
    expect(broken).toMatchObject({
      status: 400,
      type: 'text/plain; charset=utf-8',
      text: 'parse error at line 1, col 5: syntax error: unexpected $end',
    })
  })

  test('POST takes a form', async () => {
    const answer = await api.app.inject({
      method: 'POST',
      url: `${base}/query`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'query=2*3&time=10',
    })
    expect(answer.json().data).toMatchObject({ resultType: 'scalar', result: [10, '6'] })
  })
})

describe('query_range', () => {
  test('lines, newest first, all labels in the stream', async () => {
    const { json } = await get('/query_range', { query: '{app="web"} | json', ...HOUR, limit: '1' })
    expect(json().data.result).toEqual([
      {
        stream: { app: 'web', level: 'info', service_name: 'web', took: '5ms', trace_id: 'def', user_id: '8' },
        values: [[`${NOW_MS - 50_000}000005`, '{"level":"info","took":"5ms","user":{"id":8}}']],
      },
    ])
    expect(json().data.stats.summary).toMatchObject({ totalLinesProcessed: expect.any(Number), execTime: expect.any(Number) })
  })

  test('categorised: the flag comes before the result, every entry is a triple', async () => {
    const headers = { 'x-loki-response-encoding-flags': 'categorize-labels' }
    const { text, json } = await get('/query_range', { query: '{app=~"web|db"} | logfmt rows', ...HOUR, direction: 'forward' }, headers)
    expect(text.indexOf('encodingFlags')).toBeLessThan(text.indexOf('"result":'))
    expect(json().data.encodingFlags).toEqual(['categorize-labels'])
    const [db, web] = json().data.result
    expect(db.stream).toEqual({ app: 'db', service_name: 'db' })
    expect(db.values[0][2]).toEqual({ structuredMetadata: { detected_level: 'info' }, parsed: { rows: '12' } })
    expect(web.values[0][2].structuredMetadata).toEqual({ trace_id: 'abc' })
  })

  test('an entry without other labels has an empty third element', async () => {
    api.add({ stream: labelsOf({ app: 'bare' }), timeMs: NOW_MS - 1000, line: 'x' })
    const headers = { 'x-loki-response-encoding-flags': 'categorize-labels' }
    const { json } = await get('/query_range', { query: '{app="bare"}', ...HOUR }, headers)
    expect(json().data.result[0].values).toEqual([[`${NOW_MS - 1000}000000`, 'x', {}]])
  })

  test('a matrix, with a step in milliseconds', async () => {
    const end = NOW_MS
    const { json } = await get('/query_range', {
      query: 'count_over_time({app="web"} |= "error" [30s])',
      start: nanos(end - 60_000),
      end: nanos(end),
      step: '30000ms',
    })
    expect(json().data).toMatchObject({
      resultType: 'matrix',
      result: [{ metric: { app: 'web', service_name: 'web', trace_id: 'abc' }, values: [[(end - 30_000) / 1000, '1']] }],
    })
  })

  test('limits have their texts', async () => {
    expect((await get('/query_range', { query: '{app="web"}', limit: '9999' })).text).toBe(
      'max entries limit per query exceeded, limit > max_entries_limit_per_query (9999 > 5000)',
    )
    const fine = { query: 'rate({app="web"}[1m])', start: '0', end: '100000', step: '1' }
    expect((await get('/query_range', fine)).text).toContain('exceeded maximum resolution of 11,000 points')
    expect((await get('/query_range', { query: '{app="web"}', start: 'yesterday' })).status).toBe(400)
  })

  test('a line that fails in a metric query is named', async () => {
    const { status, text } = await get('/query_range', { query: 'rate({app="db"} | json [1m])', ...HOUR, step: '60' })
    expect(status).toBe(400)
    expect(text).toContain("pipeline error: 'JSONParserErr' for series")
  })
})

describe('streams', () => {
  test('labels, values, series', async () => {
    expect((await get('/labels', HOUR)).json()).toEqual({ status: 'success', data: ['app', 'service_name'] })
    expect((await get('/label', { ...HOUR, query: '{app="db"}' })).json().data).toEqual(['app', 'service_name'])
    expect((await get('/label/app/values', { start: '2023-11-14T00:00:00Z', end: '2023-11-15T00:00:00Z' })).json().data).toEqual([
      'db',
      'web',
    ])
    expect((await get('/series', { ...HOUR, 'match[]': '{app="web"}' })).json().data).toEqual([{ app: 'web', service_name: 'web' }])
  })

  test('index/stats has no envelope', async () => {
    const { json } = await get('/index/stats', { ...HOUR, query: '{app="db"}' })
    expect(json()).toEqual({ streams: 1, chunks: 1, bytes: 76, entries: 2 })
  })

  test('index/volume groups by the labels of the selector', async () => {
    const { json } = await get('/index/volume', { ...HOUR, query: '{service_name=~".+"}', limit: '5000' })
    expect(json().data).toEqual({
      resultType: 'vector',
      result: [
        { metric: { service_name: 'web' }, value: [NOW_MS / 1000, '92'] },
        { metric: { service_name: 'db' }, value: [NOW_MS / 1000, '76'] },
      ],
    })
  })

  test('index/volume_range gives a value a step', async () => {
    const params = { query: '{app="db"}', targetLabels: 'app', start: nanos(NOW_MS - 60_000), end: nanos(NOW_MS), step: '30s' }
    const { json } = await get('/index/volume_range', params)
    expect(json().data).toEqual({
      resultType: 'matrix',
      result: [
        {
          metric: { app: 'db' },
          values: [
            [(NOW_MS - 60_000) / 1000, '38'],
            [(NOW_MS - 30_000) / 1000, '38'],
          ],
        },
      ],
    })
  })
})

describe('detected', () => {
  test('labels with their cardinality', async () => {
    expect((await get('/detected_labels', { query: '' })).json()).toEqual({
      detectedLabels: [
        { label: 'app', cardinality: 2 },
        { label: 'service_name', cardinality: 2 },
      ],
    })
  })

  test('fields with type, parsers and path', async () => {
    const { json } = await get('/detected_fields', { query: '{app=~".+"}', ...HOUR })
    expect(json().limit).toBe(1000)
    expect(json().fields).toEqual([
      { label: 'detected_level', type: 'string', cardinality: 1, parsers: null },
      { label: 'level', type: 'string', cardinality: 2, parsers: ['logfmt', 'json'] },
      { label: 'msg', type: 'string', cardinality: 2, parsers: ['logfmt'] },
      { label: 'rows', type: 'int', cardinality: 2, parsers: ['logfmt'] },
      { label: 'took', type: 'duration', cardinality: 2, parsers: ['json'], jsonPath: ['took'] },
      { label: 'trace_id', type: 'string', cardinality: 2, parsers: null },
      { label: 'user_id', type: 'int', cardinality: 2, parsers: ['json'], jsonPath: ['user', 'id'] },
    ])
    expect((await get('/detected_field/rows/values', { query: '{app="db"}', ...HOUR })).json()).toEqual({
      values: ['12', '13'],
      limit: 1000,
    })
  })

  test('patterns can be used as filters', async () => {
    const { json } = await get('/patterns', { query: '{app="db"}', ...HOUR, step: '1h' })
    const [first] = json().data
    expect(first).toMatchObject({ pattern: 'level=info rows=<_> msg="<_>"', level: 'info', samples: [[expect.any(Number), 2]] })
    const found = await get('/query_range', { query: `{app="db"} |> \`${first.pattern}\``, ...HOUR })
    expect(found.json().data.result[0].values).toHaveLength(2)
  })
})

test('build, limits, format', async () => {
  expect((await get('/status/buildinfo')).json()).toMatchObject({ version: '1.2.3', revision: 'abc' })
  expect((await get('/drilldown-limits')).json()).toMatchObject({
    limits: { retention_period: '1w', volume_enabled: true, max_entries_limit_per_query: 5000 },
    pattern_ingester_enabled: true,
    version: '1.2.3',
  })
  expect((await get('/format_query', { query: '{ a = "b" }|="x"' })).json()).toEqual({ status: 'success', data: '{a="b"} |= "x"' })
})

describe('tail', () => {
  const connect = async (query: string, headers: Record<string, string> = {}, more = ''): Promise<WebSocket> => {
    if (!api.app.server.listening) await api.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = api.app.server.address() as AddressInfo
    return new WebSocket(`ws://127.0.0.1:${port}${base}/tail?query=${encodeURIComponent(query)}${more}`, { headers })
  }
  const message = (socket: WebSocket): Promise<{ streams: unknown[]; dropped_entries: unknown }> =>
    new Promise((resolve, reject) => {
      socket.once('message', (data: Buffer) => resolve(JSON.parse(data.toString())))
      socket.once('error', reject)
    })

  test('sends what is there, then what comes, each once', async () => {
    const socket = await connect('{app="db"} | logfmt | rows > 12')
    const first = await message(socket)
    expect(first).toMatchObject({
      streams: [{ stream: { app: 'db', rows: '13' }, values: [[`${NOW_MS - 30_000}000005`, expect.any(String)]] }],
    })
    expect(first.dropped_entries).toBeNull()
    api.add({ stream: labelsOf({ app: 'db' }), timeMs: NOW_MS + 100, line: 'rows=99' })
    const next = message(socket)
    await api.clock.advance(1000)
    expect((await next).streams).toEqual([{ stream: { app: 'db', rows: '99' }, values: [[`${NOW_MS + 100}000000`, 'rows=99']] }])
    socket.close()
  })

  test('what a full first answer left out stays out', async () => {
    for (let i = 0; i < 5; i++) api.add({ stream: labelsOf({ app: 'late' }), timeMs: NOW_MS - 1000 + i, line: `n=${i}` })
    const limited = await connect('{app="late"}', {}, '&limit=2')
    const first = await message(limited)
    expect(first.streams).toMatchObject([
      {
        values: [
          [expect.any(String), 'n=3'],
          [expect.any(String), 'n=4'],
        ],
      },
    ])
    api.add({ stream: labelsOf({ app: 'late' }), timeMs: NOW_MS, line: 'n=5' })
    const next = message(limited)
    await api.clock.advance(1000)
    expect((await next).streams).toMatchObject([{ values: [[expect.any(String), 'n=5']] }])
    limited.close()
  })

  test('what the ordinary route refuses is refused before the upgrade', async () => {
    const refusal = (socket: WebSocket): Promise<number> =>
      new Promise((resolve) => {
        socket.on('unexpected-response', (_request, response) => resolve(response.statusCode!))
        socket.on('error', () => {})
      })
    expect(await refusal(await connect('{app="db"'))).toBe(400)
    expect(await refusal(await connect('rate({app="db"}[1m])'))).toBe(400)
    expect(await refusal(await connect('{app="db"}', { authorization: 'Basic wrong' }))).toBe(401)
    expect((await get('/tail', { query: '{app="db"}' })).status).toBe(426)
  })
})
