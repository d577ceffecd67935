/** The Tempo and Jaeger APIs over a real shard on this thread: shapes as Grafana's plugins decode them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseConfig } from '../../../lib/config/index.ts'
import { FakeClock } from '../../../lib/runtime/clock.ts'
import { otlpJsonToProtobuf } from '../../../lib/wire/otlp/json/index.ts'
import { walkSpans } from '../../../lib/wire/otlp/traces/index.ts'
import { ProtoReader } from '../../../lib/wire/protobuf/index.ts'
import { LocalShard, type FragmentRunner } from '../../shard/index.ts'
import { createTracesReader, tracesHost } from '../../shard/traces/index.ts'
import { QueryGate } from '../gate.ts'
import { jaegerApi } from '../jaeger/index.ts'
import { tempoApi } from './index.ts'

const NOW = 1_700_000_000_000
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SHORT = '00000000000000000000000000000abc'

let app: FastifyInstance
let shard: LocalShard
let dir: string

const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } })

function spanJson(traceId: string, spanId: string, parentSpanId: string, name: string, ms: number, more: object = {}): object {
  return { traceId, spanId, parentSpanId, name, kind: 2, startTimeUnixNano: `${NOW}000123`, endTimeUnixNano: `${NOW + ms}000123`, ...more }
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sightline-traces-api-'))
  const limits = { seriesMax: 0, streamsMax: 0, futureMaxMs: 0, repeatWindowMs: 3_600_000, queryBytesMax: 0 }
  shard = await LocalShard.open(
    { dir, journal: 'j', partitions: [0], limits, checkpointIntervalMs: 60_000, checkpointBytes: 1e9 },
    [tracesHost],
    { onCheckpoint: () => {}, onError: () => {} },
  )
  const attributes = [text('http.route', '/cart'), { key: 'count', value: { intValue: '3' } }]
  const events = [{ timeUnixNano: `${NOW + 1}000000`, name: 'exception', attributes: [text('type', 'Boom')] }]
  const payload = otlpJsonToProtobuf(
    'traces',
    JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: [text('service.name', 'front')] },
          scopeSpans: [
            {
              scope: { name: 'lib' },
              spans: [
                spanJson(TRACE, '00f067aa0ba902b7', '', 'GET /cart', 40, { attributes, events, status: { code: 2, message: 'why' } }),
                spanJson(SHORT, '00f067aa0ba902b9', '', 'GET /other', 5),
              ],
            },
          ],
        },
        {
          resource: { attributes: [text('service.name', 'back')] },
          scopeSpans: [{ spans: [spanJson(TRACE, '00f067aa0ba902b8', '00f067aa0ba902b7', 'load', 20)] }],
        },
      ],
    }),
  )
  const mark = { producer: 'p', epoch: 'e', sequence: 0, previous: -1 }
  shard.append({
    signal: 'traces',
    partition: 0,
    offset: 0,
    appendedMs: NOW,
    encoding: 'otlp',
    tenant: 'default',
    items: 3,
    position: '',
    mark,
    payload,
  })
  const runner: FragmentRunner = { query: (kind, tenant, request, signal) => shard.query(kind.name, tenant, request, signal) as never }
  const { config } = parseConfig('{}', 'test', {})
  const deps = {
    readerOf: (tenant: string) => createTracesReader(runner, tenant),
    limitsOf: () => config.limits,
    gate: new QueryGate(() => 4),
    clock: new FakeClock(NOW + 1000),
    build: { version: '1', revision: '' },
    onError: () => {},
  }
  app = Fastify()
  app.decorateRequest('tenant', 'default')
  await app.register(tempoApi(deps), { prefix: '/tempo' })
  await app.register(jaegerApi(deps), { prefix: '/jaeger' })
})

afterAll(async () => {
  await shard.close()
  rmSync(dir, { recursive: true, force: true })
})

async function get(url: string): Promise<{ status: number; json: () => unknown; bytes: Buffer; text: string }> {
  const response = await app.inject({ method: 'GET', url })
  return { status: response.statusCode, json: () => response.json(), bytes: response.rawPayload, text: response.body }
}

describe('Tempo', () => {
  test('a trace by id is protobuf in both versions, and 404 where there is none', async () => {
    const v1 = await get(`/tempo/api/traces/${TRACE}`)
    let spans = 0
    walkSpans(v1.bytes, { scope: () => {}, span: () => spans++ })
    expect(spans).toBe(2)
    const v2 = new ProtoReader((await get(`/tempo/api/v2/traces/${TRACE}`)).bytes)
    expect([v2.next(), v2.field]).toEqual([true, 1])
    expect((await get('/tempo/api/v2/traces/abc')).status).toBe(200)
    expect((await get('/tempo/api/v2/traces/abd')).status).toBe(404)
    expect((await get('/tempo/api/traces/nothex')).status).toBe(400)
  })

  test('a search has exactly the keys that the plugin knows', async () => {
    const search = await get(
      `/tempo/api/search?q=${encodeURIComponent('{ .http.route = "/cart" } | select(.count)')}&start=1699999000&end=1700000100&spss=1`,
    )
    expect(search.json()).toEqual({
      traces: [
        {
          traceID: TRACE.replace(/^0/, ''),
          rootServiceName: 'front',
          rootTraceName: 'GET /cart',
          startTimeUnixNano: `${NOW}000123`,
          durationMs: 40,
          spanSet: expect.any(Object),
          spanSets: [
            {
              matched: 1,
              spans: [
                {
                  spanID: '00f067aa0ba902b7',
                  name: 'GET /cart',
                  startTimeUnixNano: `${NOW}000123`,
                  durationNanos: '40000000',
                  attributes: [
                    { key: 'http.route', value: { stringValue: '/cart' } },
                    { key: 'count', value: { intValue: '3' } },
                  ],
                },
              ],
            },
          ],
          serviceStats: { front: { spanCount: 1, errorCount: 1 }, back: { spanCount: 1 } },
        },
      ],
      metrics: { inspectedTraces: 2, inspectedSpans: '3', completedJobs: 1, totalJobs: 1 },
    })
  })

  test('older search parameters, limits and errors', async () => {
    const found = async (query: string): Promise<number> =>
      ((await get(`/tempo/api/search?${query}`)).json() as { traces: unknown[] }).traces.length
    expect(await found('tags=service.name%3Dfront')).toBe(2)
    expect(await found('tags=service.name%3Dfront&minDuration=30ms')).toBe(1)
    expect(await found('limit=1')).toBe(1)
    expect(await get('/tempo/api/search?q=%7B')).toMatchObject({ status: 400, text: expect.stringContaining('parse error') })
    expect(await get('/tempo/api/metrics/query_range?q=%7B%7D%7Crate()')).toMatchObject({
      status: 400,
      text: 'TraceQL metrics are not built yet',
    })
  })

  test('tags and their values', async () => {
    const tags = (await get('/tempo/api/v2/search/tags')).json() as { scopes: { name: string; tags: string[] }[] }
    expect(tags.scopes.find((scope) => scope.name === 'span')!.tags).toEqual(['count', 'http.route'])
    expect(tags.scopes.find((scope) => scope.name === 'event')!.tags).toEqual(['type'])
    const values = async (tag: string): Promise<unknown> => (await get(`/tempo/api/v2/search/tag/${tag}/values`)).json()
    expect(await values('span.count')).toEqual({ tagValues: [{ type: 'int', value: '3' }] })
    expect(await values('resource.service.name')).toEqual({
      tagValues: [
        { type: 'string', value: 'back' },
        { type: 'string', value: 'front' },
      ],
    })
    expect(await values('status')).toMatchObject({ tagValues: [{ type: 'keyword', value: 'error' }, {}, {}] })
    expect((await get('/tempo/api/echo')).text).toBe('echo')
  })
})

describe('Jaeger', () => {
  test('services, operations and dependencies', async () => {
    expect((await get('/jaeger/api/services')).json()).toMatchObject({ data: ['back', 'front'] })
    expect((await get('/jaeger/api/services/front/operations')).json()).toMatchObject({ data: ['GET /cart', 'GET /other'] })
    expect((await get(`/jaeger/api/dependencies?endTs=${NOW + 1000}&lookback=3600000`)).json()).toMatchObject({
      data: [{ parent: 'front', child: 'back', callCount: 1 }],
    })
  })

  test('a trace has integer microseconds, references, logs and processes', async () => {
    const { data } = (await get(`/jaeger/api/traces/${TRACE}`)).json() as {
      data: { traceID: string; spans: Record<string, unknown>[]; processes: Record<string, unknown> }[]
    }
    const [root, child] = ['GET /cart', 'load'].map((name) => data[0]!.spans.find((span) => span['operationName'] === name)!)
    expect(root).toMatchObject({ traceID: TRACE, startTime: NOW * 1000, duration: 40_000, references: [] })
    expect(root!['tags']).toEqual(
      expect.arrayContaining([
        { key: 'count', type: 'int64', value: 3 },
        { key: 'error', type: 'bool', value: true },
        { key: 'span.kind', type: 'string', value: 'server' },
      ]),
    )
    expect(root!['logs']).toEqual([
      {
        timestamp: (NOW + 1) * 1000,
        fields: [
          { key: 'event', type: 'string', value: 'exception' },
          { key: 'type', type: 'string', value: 'Boom' },
        ],
      },
    ])
    expect(child).toMatchObject({ references: [{ refType: 'CHILD_OF', traceID: TRACE, spanID: '00f067aa0ba902b7' }] })
    expect(data[0]!.processes[child!['processID'] as string]).toMatchObject({ serviceName: 'back' })
  })

  test('searches by service, operation, tags and duration; errors in the envelope', async () => {
    const found = async (query: string): Promise<number> =>
      ((await get(`/jaeger/api/traces?${query}`)).json() as { data: unknown[] }).data.length
    expect(await found('service=front')).toBe(2)
    expect(await found('service=front&operation=GET%20%2Fcart')).toBe(1)
    expect(await found(`service=front&tags=${encodeURIComponent('{"error":"true"}')}`)).toBe(1)
    expect(await found(`service=front&tags=${encodeURIComponent('{"count":"3"}')}`)).toBe(1)
    expect(await found('service=front&minDuration=30ms')).toBe(1)
    expect(await get('/jaeger/api/traces')).toMatchObject({ status: 400, text: expect.stringContaining("parameter 'service' is required") })
    expect(await get('/jaeger/api/traces/abd')).toMatchObject({ status: 404, text: expect.stringContaining('trace not found') })
  })
})
