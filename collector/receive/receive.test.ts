import { gzipSync } from 'node:zlib'
import { credentials, makeGenericClientConstructor, Metadata, type ServiceError } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Authenticator, HttpServer } from '../../lib/http/index.ts'
import { startHttpServer } from '../../lib/http/index.ts'
import { labelsToObject, type Labels } from '../../lib/model/index.ts'
import { createRowsAppender, type Appender, type ProducedBatch } from '../../lib/producer/index.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { decodeLabels, walkStreams } from '../../lib/wire/otlp/logs/index.ts'
import { otlpJsonToProtobuf } from '../../lib/wire/otlp/json/index.ts'
import { encodeWriteV1 } from '../../lib/wire/remote-write/index.ts'
import { decodeRows } from '../../lib/wire/rows/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'
import { createReceivers, type Listeners } from './index.ts'

interface Appended {
  readonly signal: string
  readonly tenant: string
  readonly batch: ProducedBatch
}

const authenticator: Authenticator = {
  isRequired: true,
  identify: async (authorization) => {
    if (authorization !== 'Bearer good') throw new SightlineError('unauthenticated', 'cannot answer: unknown token')
    return { name: 'tester', tenants: ['team-a', 'team-b'], permissions: ['write'] }
  },
}

let appended: Appended[]
let failure: Error | undefined
let server: HttpServer
let listeners: Listeners

beforeEach(async () => {
  appended = []
  failure = undefined
  const appender: Appender = {
    partitionCount: () => 4,
    append: async (signal, tenant, batches) => {
      if (failure !== undefined) throw failure
      await new Promise((resolve) => setImmediate(resolve))
      for (const batch of batches) appended.push({ signal, tenant, batch })
    },
  }
  const rows = createRowsAppender(appender, systemClock)
  const externalLabels: Labels = ['cluster', 'c1']
  const receivers = createReceivers({ appender, rows, externalLabels: () => externalLabels, clock: systemClock, bodyBytesMax: 1024 * 1024 })
  const common = {
    web: { tls: undefined, basicUsers: {}, headers: {} },
    authenticator,
    bodyBytesMax: 1024 * 1024,
    requestsMax: 100,
    onError: () => {},
  }
  const listen = { host: '127.0.0.1', port: 0 }
  server = await startHttpServer({ ...common, listen, raw: receivers.raw, plugins: [] })
  listeners = await receivers.startListeners({ ...common, grpc: listen, http: listen })
})

afterEach(async () => {
  await listeners.close()
  await server.close()
})

interface Answer {
  readonly ok: boolean
  readonly status: number
  readonly retryAfter: boolean
  readonly text: string
}

interface Receiver {
  readonly name: string
  readonly signal: string
  /** Sends a request that holds two good items, or one good and one bad, or no request at all. */
  send(what: 'good' | 'mixed' | 'malformed', headers?: Record<string, string>): Promise<Answer>
  readonly status: {
    readonly full: number
    readonly malformed: number
    readonly forbidden: number
    readonly unknown: number
    readonly down: number
  }
  /** Whether a request of which something was left out is still a success (OTLP's partial success). */
  readonly mixedIsOk: boolean
}

const HTTP_STATUS = { full: 429, malformed: 400, forbidden: 403, unknown: 401, down: 503 }
const NOW_NS = '1700000000000000000'

async function post(url: string, body: Uint8Array | string, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', body: body as string, headers: { authorization: 'Bearer good', ...headers } })
  return { ok: response.ok, status: response.status, retryAfter: response.headers.has('retry-after'), text: await response.text() }
}

const remoteWrite: Receiver = {
  name: 'remote write 1.0',
  signal: 'metrics',
  status: { ...HTTP_STATUS, down: 503 },
  mixedIsOk: false,
  send(what, headers = {}) {
    const good = { labels: ['__name__', 'up', 'instance', 'i', 'job', 'j'], times: [1000, 2000], values: [1, 2] }
    const kept = { labels: ['__name__', 'up', 'instance', 'i', 'job', 'j'], times: [1000], values: [1] }
    const bad = { labels: ['instance', 'nameless'], times: [1000], values: [1] }
    const body = what === 'malformed' ? Buffer.from('no snappy') : snappyEncode(encodeWriteV1(what === 'good' ? [good] : [bad, kept]))
    return post(`${server.url}/api/v1/write`, body, { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', ...headers })
  },
}

const loki = (encoding: 'json' | 'gzip'): Receiver => ({
  name: `Loki push, ${encoding}`,
  signal: 'logs',
  status: HTTP_STATUS,
  mixedIsOk: false,
  send(what, headers = {}) {
    const good = {
      stream: { app: 'shop' },
      values: [
        [NOW_NS, 'one', { trace_id: 'x' }],
        [NOW_NS, 'two'],
      ],
    }
    const kept = { stream: { app: 'shop' }, values: [[NOW_NS, 'one']] }
    const bad = { stream: { 'not a name': 'x' }, values: [[NOW_NS, 'lost']] }
    const text = what === 'malformed' ? '{"streams": 7}' : JSON.stringify({ streams: what === 'good' ? [good] : [bad, kept] })
    const body = encoding === 'gzip' ? gzipSync(text) : text
    const compressed: Record<string, string> = encoding === 'gzip' ? { 'content-encoding': 'gzip' } : {}
    return post(`${server.url}/loki/api/v1/push`, body, { 'content-type': 'application/json', ...compressed, ...headers })
  },
})

const ID = '0102030405060708090a0b0c0d0e0f10'
const otlpTraces = (what: 'good' | 'mixed'): object => {
  const span = (spanId: string): object => ({ traceId: ID, spanId, name: 's', startTimeUnixNano: NOW_NS, endTimeUnixNano: NOW_NS })
  const spans = what === 'good' ? [span('0102030405060708'), span('0102030405060709')] : [span('0102030405060708'), span('')]
  return { resourceSpans: [{ resource: { attributes: [] }, scopeSpans: [{ spans }] }] }
}
const otlpMetrics = (what: 'good' | 'mixed'): object => {
  const point = { timeUnixNano: NOW_NS, asDouble: 1 }
  const temperature = { name: 'temperature', unit: 'Cel', gauge: { dataPoints: [point] } }
  const second = { name: 'requests', sum: { aggregationTemporality: what === 'good' ? 2 : 1, isMonotonic: true, dataPoints: [point] } }
  return { resourceMetrics: [{ resource: { attributes: [] }, scopeMetrics: [{ metrics: [temperature, second] }] }] }
}

const otlpHttp = (signal: 'traces' | 'metrics', encoding: 'json' | 'protobuf', base: () => string): Receiver => ({
  name: `OTLP/HTTP ${signal}, ${encoding}`,
  signal,
  status: HTTP_STATUS,
  mixedIsOk: true,
  send(what, headers = {}) {
    const json =
      what === 'malformed'
        ? '{"resourceSpans": 7, "resourceMetrics": 7}'
        : JSON.stringify(signal === 'traces' ? otlpTraces(what) : otlpMetrics(what))
    const protobuf = what === 'malformed' ? Buffer.from([0x0a, 0x7f]) : otlpJsonToProtobuf(signal, json)
    const contentType = encoding === 'json' ? 'application/json' : 'application/x-protobuf'
    return post(`${base()}/v1/${signal}`, encoding === 'json' ? json : protobuf, { 'content-type': contentType, ...headers })
  },
})

const grpc: Receiver = {
  name: 'OTLP/gRPC traces',
  signal: 'traces',
  status: { full: 8, malformed: 3, forbidden: 7, unknown: 16, down: 14 },
  mixedIsOk: true,
  send(what, headers = {}) {
    const raw = (bytes: Buffer): Buffer => bytes
    const Client = makeGenericClientConstructor(
      {
        export: {
          path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
          requestStream: false,
          responseStream: false,
          requestSerialize: raw,
          requestDeserialize: raw,
          responseSerialize: raw,
          responseDeserialize: raw,
        },
      },
      'TraceService',
    )
    const client = new Client(listeners.grpcUrl.replace('http://', ''), credentials.createInsecure())
    const metadata = new Metadata()
    for (const [name, value] of Object.entries({ authorization: 'Bearer good', ...headers })) metadata.set(name, value)
    const body =
      what === 'malformed' ? Buffer.from([0x0a, 0x7f]) : Buffer.from(otlpJsonToProtobuf('traces', JSON.stringify(otlpTraces(what))))
    return new Promise((resolve) => {
      client['export']!(body, metadata, (error: ServiceError | null, response?: Buffer) => {
        client.close()
        const details = error?.metadata.get('grpc-status-details-bin')[0]?.toString() ?? ''
        resolve({
          ok: error === null,
          status: error?.code ?? 0,
          retryAfter: details.includes('google.rpc.RetryInfo'),
          text: error?.details ?? response?.toString() ?? '',
        })
      })
    })
  },
}

const items = (): number => appended.reduce((sum, { batch }) => sum + batch.items, 0)

describe.each<Receiver>([
  remoteWrite,
  loki('json'),
  loki('gzip'),
  otlpHttp('traces', 'protobuf', () => listeners.httpUrl),
  otlpHttp('traces', 'json', () => listeners.httpUrl),
  otlpHttp('metrics', 'protobuf', () => listeners.httpUrl),
  otlpHttp('metrics', 'json', () => `${server.url}/otlp`),
  grpc,
])('every receiver: $name', (receiver) => {
  test('what it acknowledged is appended, for the tenant of the header', async () => {
    const answer = await receiver.send('good', { 'x-scope-orgid': 'team-b' })
    expect(answer).toMatchObject({ ok: true })
    expect(items()).toBe(2)
    expect(appended.map(({ signal, tenant }) => [signal, tenant])).toEqual(appended.map(() => [receiver.signal, 'team-b']))
  })

  test('good data beside bad is kept, and the answer says what was left out', async () => {
    const answer = await receiver.send('mixed')
    expect(answer.ok).toBe(receiver.mixedIsOk)
    expect(answer.text).toMatch(/left out/)
    expect(items()).toBe(1)
    expect(appended[0]!.tenant).toBe('team-a')
  })

  test('a full journal: come back later', async () => {
    failure = new SightlineError('too_many', 'cannot append: the journal is full', { retryAfterMs: 1500 })
    expect(await receiver.send('good')).toMatchObject({ ok: false, status: receiver.status.full, retryAfter: true })
  })

  test('a journal that is away: unavailable', async () => {
    failure = new SightlineError('unavailable', 'cannot append: no shard')
    expect(await receiver.send('good')).toMatchObject({ ok: false, status: receiver.status.down })
  })

  test('a request that is none is the client error it is', async () => {
    const answer = await receiver.send('malformed')
    expect(answer).toMatchObject({ ok: false, status: receiver.status.malformed, retryAfter: false })
    expect(answer.text.length).toBeGreaterThan(10)
    expect(appended).toEqual([])
  })

  test('another tenant and unknown credentials are refused', async () => {
    expect(await receiver.send('good', { 'x-scope-orgid': 'team-c' })).toMatchObject({ status: receiver.status.forbidden })
    expect(await receiver.send('good', { authorization: 'Bearer bad' })).toMatchObject({ status: receiver.status.unknown })
    expect(appended).toEqual([])
  })
})

describe('what receivers make of requests', () => {
  test('remote write: external labels, and a layout that is announced once', async () => {
    await remoteWrite.send('good')
    await remoteWrite.send('good')
    const [first, second] = appended.map(({ batch }) => batch.payload)
    const { rows } = decodeRows(first!, () => undefined)
    expect(rows.map((row) => [row.timestampMs, [...row.values]])).toEqual([
      [1000, [1]],
      [2000, [2]],
    ])
    expect(labelsToObject(rows[0]!.layout.series[0]!)).toEqual({ __name__: 'up', cluster: 'c1', instance: 'i', job: 'j' })
    expect(() => decodeRows(second!, () => undefined)).toThrow(/not known/)
  })

  test('remote write: an unknown message type is 415', async () => {
    const answer = await remoteWrite.send('good', { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v9.Request' })
    expect(answer.status).toBe(415)
  })

  test('remote write 2.0: what was written is in the headers, also beside a series that was left out', async () => {
    const { root } = protobuf.parse(`syntax = "proto3";
      message Sample { double value = 1; int64 timestamp = 2; }
      message Series { repeated uint32 labels_refs = 1; repeated Sample samples = 2; }
      message Request { repeated string symbols = 4; repeated Series timeseries = 5; }`)
    const message = root.lookupType('Request')
    const samples = [{ value: 1, timestamp: 1000 }]
    const timeseries = [
      { labelsRefs: [1, 2], samples },
      { labelsRefs: [1, 9], samples },
    ]
    const response = await fetch(`${server.url}/api/v1/write`, {
      method: 'POST',
      body: Buffer.from(snappyEncode(message.encode(message.fromObject({ symbols: ['', '__name__', 'up'], timeseries })).finish())),
      headers: {
        authorization: 'Bearer good',
        'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
        'content-encoding': 'snappy',
      },
    })
    expect(response.status).toBe(400)
    expect(response.headers.get('x-prometheus-remote-write-samples-written')).toBe('1')
    expect(response.headers.get('x-prometheus-remote-write-histograms-written')).toBe('0')
    expect(response.headers.get('x-prometheus-remote-write-exemplars-written')).toBe('0')
    expect(await response.text()).toContain('invalid_labels 1')
    expect(items()).toBe(1)
  })

  test('remote write: metadata without samples is appended too', async () => {
    const body = snappyEncode(encodeWriteV1([], [{ family: 'up', type: 'gauge', help: 'is it', unit: '' }]))
    expect(await post(`${server.url}/api/v1/push`, body, { 'content-type': 'text/plain' })).toMatchObject({ status: 415 })
    expect(await post(`${server.url}/api/v1/push`, body, { 'content-type': 'application/x-protobuf' })).toMatchObject({ status: 204 })
    expect(decodeRows(appended[0]!.batch.payload, () => undefined).metadata).toHaveLength(1)
  })

  test('Loki push: labels, service name, metadata', async () => {
    await loki('json').send('good')
    const seen: unknown[] = []
    const { payload } = appended[0]!.batch
    walkStreams(payload, { stream: (from, to) => void seen.push(labelsToObject(decodeLabels(payload, from, to))), record: () => {} })
    expect(seen).toEqual([{ app: 'shop', cluster: 'c1', service_name: 'shop' }])
  })

  test('Loki push without streams is refused as Loki does', async () => {
    const answer = await post(`${server.url}/loki/api/v1/push`, '{"streams":[]}', { 'content-type': 'application/json' })
    expect(answer).toMatchObject({ status: 422, text: 'error at least one valid stream is required for ingestion' })
  })

  test('an address in use is a clear error', async () => {
    const receivers = createReceivers({
      appender: { partitionCount: () => 1, append: async () => {} },
      rows: { append: async () => {} },
      externalLabels: () => [],
      clock: systemClock,
      bodyBytesMax: 1000,
    })
    const port = Number(new URL(listeners.httpUrl).port)
    const starting = receivers.startListeners({
      web: { tls: undefined, basicUsers: {}, headers: {} },
      authenticator,
      bodyBytesMax: 1000,
      requestsMax: 10,
      onError: () => {},
      grpc: { host: '127.0.0.1', port: 0 },
      http: { host: '127.0.0.1', port },
    })
    await expect(starting).rejects.toThrow(/cannot listen for OTLP HTTP on 127\.0\.0\.1:\d+: .*EADDRINUSE/)
  })
})
