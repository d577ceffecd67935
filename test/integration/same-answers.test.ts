/**
 * The same data over every road: in one process, over HTTP, over Kafka to one node, and to two with partitions that moved in the middle of it. Fifty queries of all three
 * languages have the same answers everywhere. And what others write into the input topics comes out like what they push.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.ts'
import { comparable, pushesOf, queriesOf, STEPS, type Push } from '../harness/fleet-data.ts'
import { lokiVector } from '../harness/found.ts'
import { KafkaServer, whyNoKafka } from '../harness/kafka.ts'
import { SightlineProcess, type SightlineOptions } from '../harness/sightline.ts'

const QUIET = 'self: { scrape: false, traces: false }\njournal: { partitions: 8'
const missing = whyNoKafka()
/** A whole number of steps, so that queries meet samples where they look. */
const END_MS = Math.floor(Date.now() / 60_000) * 60_000 - 60_000

/** Where data go in, and where queries are asked. */
interface Road {
  readonly name: string
  readonly entry: SightlineProcess
  readonly exits: SightlineProcess[]
}

const processes: SightlineProcess[] = []
const roads: Road[] = []
let kafka: KafkaServer

async function started(role: SightlineOptions['role'] & string, config: string): Promise<SightlineProcess> {
  const process = await SightlineProcess.create({ role, config: `${QUIET}${config}` })
  processes.push(process)
  return process.start(60_000)
}

const kafkaSection = (prefix: string): string =>
  `kafka: { brokers: ['${kafka.brokers[0]}'], topic_prefix: ${prefix}, group_id: ${prefix}, session_timeout: 6s, rebalance_timeout: 10s, heartbeat_interval: 300ms }\n`

async function push(road: Road, { path, contentType, body }: Push): Promise<void> {
  const answer = await fetch(`${road.entry.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: new Uint8Array(body),
  })
  if (!answer.ok) throw new Error(`${road.name} ${path}: ${answer.status} ${await answer.text()}`)
}

/** Everything that was pushed is readable at each exit. */
async function arrived(steps: number): Promise<void> {
  for (const { exits } of roads) {
    for (const exit of exits) {
      await eventually(async () => {
        const at = `time=${END_MS / 1000}`
        const [samples] = await exit.query(`sum(count_over_time(http_requests_total[2h]))`, END_MS / 1000)
        expect(Number(samples?.value[1])).toBe(12 * steps)
        const lines = await exit.get<{ data: { result: { value: [number, string] }[] } }>(
          `/loki/api/v1/query?query=${encodeURIComponent('sum(count_over_time({app=~".+"}[2h]))')}&${at}`,
        )
        expect(Number(lines.data.result[0]?.value[1])).toBeGreaterThanOrEqual(24 * (steps - 1))
        const traces = await exit.get<{ traces: unknown[] }>('/tempo/api/search?limit=500&q=%7B%7D')
        expect(traces.traces).toHaveLength(steps)
      }, 60_000)
    }
  }
}

beforeAll(async () => {
  if (missing !== undefined) return
  kafka = await KafkaServer.start()
  const all = await started('all', ' }\n')
  roads.push({ name: 'one process', entry: all, exits: [all] })
  const centre = await started('query', ' }\n')
  const edge = await started('collector', ` }\nship: [{ type: http, name: centre, url: '${centre.url}' }]\n`)
  roads.push({ name: 'HTTP', entry: edge, exits: [centre] })
  const one = await started('query', `, type: kafka }\nnode: one-0\n${kafkaSection('one')}`)
  const toOne = await started('collector', ` }\n${kafkaSection('one')}ship: [{ type: kafka, name: one }]\n`)
  roads.push({ name: 'Kafka, one node', entry: toOne, exits: [one] })
  const two = await Promise.all(['two-0', 'two-1'].map(() => SightlineProcess.create({ role: 'query' })))
  processes.push(...two)
  const nodes = `query_cluster: { timeout: 2s, nodes: [${two.map(({ url }) => `'${url}'`).join(', ')}] }\n`
  for (const [i, node] of two.entries()) node.configure(`${QUIET}, type: kafka }\nnode: two-${i}\n${kafkaSection('two')}${nodes}`)
  await two[0]!.start(60_000)
  const toTwo = await started('collector', ` }\n${kafkaSection('two')}ship: [{ type: kafka, name: two }]\n`)
  const road: Road = { name: 'Kafka, two nodes', entry: toTwo, exits: [two[0]!] }
  roads.push(road)
  const half = STEPS / 2
  for (const one of pushesOf(END_MS, [0, half])) await Promise.all(roads.map((each) => push(each, one)))
  await arrived(half)
  // The second node comes, and half of the partitions move to it: their first halves stay where they are.
  await two[1]!.start(60_000)
  road.exits.push(two[1]!)
  await eventually(async () => {
    const owned = await Promise.all(two.map((node) => node.get<{ owned: number[] }>('/sightline/api/v1/shard/status')))
    expect(owned.map((status) => status.owned.length)).toEqual([4, 4])
  }, 60_000)
  for (const one of pushesOf(END_MS, [half, STEPS])) await Promise.all(roads.map((each) => push(each, one)))
  await arrived(STEPS)
}, 240_000)

afterAll(async () => {
  for (const process of processes) await process.dispose()
  await kafka?.stop()
}, 60_000)

async function answerOf(process: SightlineProcess, path: string): Promise<unknown> {
  const response = await fetch(`${process.url}${path}`)
  const text = await response.text()
  expect([path, response.status, response.status === 200 ? '' : text]).toEqual([path, 200, ''])
  return comparable(text)
}

describe.skipIf(missing !== undefined)(`the same answers${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  const queries = queriesOf(END_MS)

  test('there are fifty queries of all three languages', () => {
    expect(queries.length).toBeGreaterThanOrEqual(50)
  })

  test.each(queries.map((path) => [decodeURIComponent(path).replace(/&(time|start|end|step|limit|spss)=[^&]*/g, ''), path]))(
    '%s',
    { timeout: 30_000 },
    async (_name, path) => {
      const expected = await answerOf(roads[0]!.exits[0]!, path)
      expect(JSON.stringify(expected).length).toBeGreaterThan(60)
      for (const { name, exits } of roads.slice(1)) {
        for (const [i, exit] of exits.entries()) expect([name, i, await answerOf(exit, path)]).toEqual([name, i, expected])
      }
    },
  )
})

describe.skipIf(missing !== undefined)('input topics', () => {
  test("an OpenTelemetry SDK's requests, written by kafkajs, come out of the APIs once", { timeout: 120_000 }, async () => {
    const requests = await requestsOfSdk()
    const producer = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).producer()
    await producer.connect()
    for (const [signal, bodies] of requests) {
      for (const value of bodies) await producer.send({ topic: `two.in.${signal}`, messages: [{ value }] })
      // What can't be read is left out, and doesn't hold up what comes behind it.
      await producer.send({ topic: `two.in.${signal}`, messages: [{ value: Buffer.from('not OTLP') }] })
      await producer.send({
        topic: `two.in.${signal}`,
        messages: bodies.map((value) => ({ value, headers: { 'X-Scope-OrgID': 'acme' } })),
      })
    }
    await producer.disconnect()
    for (const node of roads.at(-1)!.exits) {
      for (const headers of [{}, { 'x-scope-orgid': 'acme' }]) {
        await eventually(async () => {
          const path = `/api/v1/query?query=${encodeURIComponent('orders_total')}`
          const metrics = await node.get<{ data: { result: { value: [number, string] }[] } }>(path, headers)
          expect(metrics.data.result.map(({ value }) => value[1])).toEqual(['7'])
          const search = await node.get<{ traces: { rootTraceName: string }[] }>(
            `/tempo/api/search?q=${encodeURIComponent('{ resource.service.name = "kafka-app" }')}`,
            headers,
          )
          expect(search.traces.map(({ rootTraceName }) => rootTraceName).sort()).toEqual(['order 0', 'order 1', 'order 2'])
          const logs = await node.get<{ data: { result: { values: [string, string][] }[] } }>(
            `/loki/api/v1/query_range?query=${encodeURIComponent('{service_name="kafka-app"}')}`,
            headers,
          )
          const lines = logs.data.result.flatMap(({ values }) => values.map(([, line]) => line))
          expect(lines.sort()).toEqual(['order 0 taken', 'order 1 taken', 'order 2 taken'])
        }, 30_000)
      }
    }
    expect(await lokiVector(roads[0]!.exits[0]!, '{service_name="kafka-app"}').catch(() => [])).toEqual([])
  })
})

describe.skipIf(missing !== undefined)('a node that gives no answer', () => {
  interface Warned {
    readonly warnings?: readonly string[]
    readonly data: { readonly result: readonly { readonly value: [number, string] }[] }
  }
  const missingNode = [expect.stringMatching(/^incomplete: node "two-1" gave no answer/)]

  async function expectIncomplete(node: SightlineProcess): Promise<void> {
    const at = END_MS / 1000
    const count = encodeURIComponent('count(http_requests_total)')
    const metrics = await node.get<Warned>(`/api/v1/query?query=${count}&time=${at}`)
    expect(metrics.warnings).toEqual(missingNode)
    expect(Number(metrics.data.result[0]?.value[1] ?? 0)).toBeLessThan(12)
    expect((await node.get<Warned>('/api/v1/labels')).warnings).toEqual(missingNode)
    const lines = encodeURIComponent('sum(count_over_time({app=~".+"}[2h]))')
    expect((await node.get<Warned>(`/loki/api/v1/query?query=${lines}&time=${at}`)).warnings).toEqual(missingNode)
    const traces = await node.get<{ metrics: object }>('/tempo/api/search?limit=500&q=%7B%7D')
    expect(traces.metrics).toMatchObject({ completedJobs: 1, totalJobs: 2 })
  }

  test(
    'is named in the answers of the other, slow or dead, within a bounded time; back, nothing is missing',
    { timeout: 120_000 },
    async () => {
      const [here, there] = roads.at(-1)!.exits as [SightlineProcess, SightlineProcess]
      process.kill(there.pid, 'SIGSTOP')
      const startMs = performance.now()
      await expectIncomplete(here)
      // Four requests of at most two seconds each; once a probe has failed they cost nothing.
      expect(performance.now() - startMs).toBeLessThan(12_000)
      await there.end('SIGKILL')
      await expectIncomplete(here)
      await there.start(60_000)
      await eventually(async () => {
        for (const exit of [here, there]) {
          const metrics = await exit.get<Warned>(
            `/api/v1/query?query=${encodeURIComponent('count(http_requests_total)')}&time=${END_MS / 1000}`,
          )
          expect([metrics.warnings, metrics.data.result[0]?.value[1]]).toEqual([undefined, '12'])
        }
      }, 60_000)
    },
  )
})

/** What a real SDK exports of three orders, as the bytes a collector would hand on. */
async function requestsOfSdk(): Promise<Map<string, Buffer[]>> {
  const bodies = new Map<string, Buffer[]>([
    ['metrics', []],
    ['logs', []],
    ['traces', []],
  ])
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      bodies.get(request.url!.split('/').at(-1)!)!.push(Buffer.concat(chunks))
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const resource = resourceFromAttributes({ 'service.name': 'kafka-app' })
  const traces = new TracerProvider({
    resource,
    spanProcessors: [new SimpleSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${url}/traces` }) })],
  })
  const logs = new LoggerProvider({
    resource,
    processors: [new SimpleLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${url}/logs` }) })],
  })
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url: `${url}/metrics` }),
    exportIntervalMillis: 60_000,
  })
  const metrics = new MeterProvider({ resource, readers: [reader] })
  metrics.getMeter('test').createCounter('orders').add(7)
  for (let i = 0; i < 3; i++) {
    traces.getTracer('test').startSpan(`order ${i}`).end()
    logs.getLogger('test').emit({ body: `order ${i} taken` })
  }
  await Promise.all([traces.forceFlush(), logs.forceFlush(), metrics.forceFlush()])
  await Promise.all([traces.shutdown(), logs.shutdown()])
  server.close()
  server.closeAllConnections()
  expect([...bodies.values()].map((all) => all.length)).toEqual([expect.any(Number), 3, 3])
  return bodies
}
