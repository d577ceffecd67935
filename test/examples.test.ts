/** What `examples/` promises: each configuration loads, the shop runs and tells of itself, the demo shows three signals and a notification. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { checkConfig } from '../cli/index.ts'
import { writeDemoConfig } from '../examples/shop/demo-config.ts'
import { SERVICES, startShop, type Shop } from '../examples/shop/shop.ts'
import { loadConfig } from '../lib/config/index.ts'
import { formatLabels } from '../lib/model/index.ts'
import { walkSpans } from '../lib/wire/otlp/traces/index.ts'
import { ExpositionParser } from '../lib/wire/prometheus-text/index.ts'
import { eventually } from './harness/eventually.ts'

const EXAMPLES = join(import.meta.dirname, '../examples')
const CONFIGS = readdirSync(join(EXAMPLES, 'config'))
const ENV = { CLUSTER_NAME: 'c1', NODE_NAME: 'n1', NODE_IP: '10.0.0.1' }
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sightline-examples-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('configurations', () => {
  test.each(CONFIGS)('%s loads', (name) => {
    const { config, warnings } = loadConfig(join(EXAMPLES, 'config', name), ENV)
    // A query node gathers nothing.
    expect(config.scrape_configs.length > 0).toBe(!name.startsWith('query-'))
    expect(warnings.length).toBe(name === 'prometheus.yml' ? 1 : 0)
  })

  test("the demo's passes sightline check, rules and receivers included", () => {
    const { configPath } = writeDemoConfig(folder, 'http://127.0.0.1:1')
    const lines: string[] = []
    expect([checkConfig(configPath, (line) => lines.push(line)), lines[0]]).toEqual([0, `${configPath}: no problems; in force:`])
  })
})

test('links in the documents lead to files', () => {
  const root = join(EXAMPLES, '..')
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
  const links = ['README.md', 'CHANGELOG.md', ...docs.map((name) => join('docs', name))].flatMap((file) =>
    Array.from(readFileSync(join(root, file), 'utf8').matchAll(/\]\(([^)#]+)[^)]*\)/g), (match) => ({ file, to: match[1]! })),
  )
  expect(links.length).toBeGreaterThan(15)
  expect(links.filter(({ file, to }) => !to.startsWith('https://') && !existsSync(join(root, dirname(file), to)))).toEqual([])
})

describe('the shop', () => {
  let shop: Shop
  let collector: Server
  let pods: string
  const spans = new Map<string, number>()

  beforeAll(async () => {
    pods = mkdtempSync(join(tmpdir(), 'sightline-shop-'))
    collector = createServer((request, response) => {
      void bytesOf(request).then((body) => {
        let service = ''
        walkSpans(body, {
          scope: (wrapper) => (service = SERVICES.find((one) => Buffer.from(wrapper).includes(one)) ?? ''),
          span: () => void spans.set(service, (spans.get(service) ?? 0) + 1),
        })
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
      })
    })
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
    shop = await startShop({ podsDir: pods, otlpEndpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}` })
  })
  afterAll(async () => {
    await shop.stop()
    collector.close()
    rmSync(pods, { recursive: true, force: true })
  })

  const post = async (path: string, body: object): Promise<Response> =>
    fetch(`${shop.urls.frontend}${path}`, { method: 'POST', body: JSON.stringify(body) })
  const order = async (basket: string): Promise<number> => {
    await post('/basket', { basket, product: 'teapot' })
    return (await post('/checkout', { basket })).status
  }

  test('takes an order; every service has metrics with exemplars, spans, and log lines of the same trace', async () => {
    expect(await order('b1')).toBe(200)
    const exposed = new Map<string, { series: string[]; traces: string[] }>()
    for (const service of SERVICES) exposed.set(service, await scrape(shop.urls[service]))
    expect(exposed.get('checkout')!.series).toContain('shop_orders_total{outcome="placed"}')
    for (const service of SERVICES) {
      const { series, traces } = exposed.get(service)!
      expect(series.some((one) => one.includes('http_request_duration_seconds_bucket'))).toBe(true)
      expect(traces.length).toBeGreaterThan(0)
      const lines = linesOf(service)
      expect(lines.some((line) => line['msg'] === 'request' && traces.includes(String(line['trace_id'])))).toBe(true)
    }
    const placed = linesOf('checkout').find((line) => line['msg'] === 'order placed')!
    expect(placed['value_euros']).toBe(52)
    // One order is one trace through all four.
    for (const service of SERVICES) expect(linesOf(service).some((line) => line['trace_id'] === placed['trace_id'])).toBe(true)
    await eventually(() => expect([...spans.keys()].toSorted()).toEqual([...SERVICES].toSorted()))
  })

  test('refuses what it cannot do', async () => {
    expect((await post('/checkout', { basket: 'nobody' })).status).toBe(404)
    expect((await post('/basket', { basket: 'b2', product: 'car' })).status).toBe(404)
    expect((await post('/admin/break?mode=all', {})).status).toBe(400)
    expect((await fetch(`${shop.urls.frontend}/etc/passwd`)).status).toBe(404)
    expect((await fetch(`${shop.urls.cart}/items`, { method: 'POST', body: '{' })).status).toBe(400)
  })

  test('fails half of the orders when it is broken, none when it is mended', async () => {
    await shop.break()
    const broken = await Promise.all(Array.from({ length: 40 }, (_, i) => order(`broken ${i}`)))
    expect(broken.filter((status) => status === 500).length).toBeGreaterThan(5)
    expect(broken.filter((status) => status === 200).length).toBeGreaterThan(5)
    await shop.mend()
    const mended = await Promise.all(Array.from({ length: 20 }, (_, i) => order(`mended ${i}`)))
    expect(mended.filter((status) => status !== 200)).toEqual([])
  })

  /** The container log's lines, as the JSON the service wrote. */
  function linesOf(service: string): Record<string, unknown>[] {
    const path = shop.logPaths.find((one) => one.endsWith(`/${service}/0.log`))!
    return readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, text] = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F (.*)$/.exec(line) ?? []
        if (text === undefined) throw new Error(`not a CRI line: ${line}`)
        return JSON.parse(text) as Record<string, unknown>
      })
  }
})

describe('the demo', () => {
  let demo: ChildProcess | undefined
  afterEach(() => void demo?.kill('SIGKILL'))

  test('breaks the shop, notifies, and ends cleanly on Ctrl-C', { timeout: 90_000 }, async () => {
    const ports = ['--port', '0', '--otlp-grpc-port', '0', '--otlp-http-port', '0']
    const args = [join(EXAMPLES, 'shop/demo.ts'), ...ports, '--data', folder, '--rate', '8', '--break-after', '5']
    demo = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(demo, 'exit')
    let output = ''
    demo.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await eventually(() => expect(output).toContain('NOTIFICATION [FIRING] ShopOrdersBudgetBurnsFast'), 60_000)
    const url = /is ready: (\S+)/.exec(output)![1]!
    const json = async (path: string): Promise<string> => (await fetch(`${url}${path}`)).text()
    const errors = await json(`/loki/api/v1/query_range?query=${encodeURIComponent('{container="payment"} | json | level="error"')}`)
    const traceId = /"trace_id":"([0-9a-f]{32})"/.exec(errors)?.[1]
    await eventually(async () => {
      const trace = await json(`/jaeger/api/traces/${traceId}`)
      for (const service of SERVICES) expect(trace).toContain(`"serviceName":"${service}"`)
    })
    const exemplars = await json(`/api/v1/query_exemplars?query=http_request_duration_seconds_bucket&start=0&end=4000000000`)
    expect(exemplars).toMatch(/"trace_id":"[0-9a-f]{32}"/)
    demo.kill('SIGINT')
    expect(await exited).toEqual([0, null])
  })
})

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A service's `/metrics` as our own scraper reads it. */
async function scrape(url: string): Promise<{ series: string[]; traces: string[] }> {
  const response = await fetch(`${url}/metrics`)
  expect(response.headers.get('content-type')).toContain('application/openmetrics-text')
  const series: string[] = []
  const parser = new ExpositionParser({ format: 'openmetrics', onSeries: (labels) => series.push(formatLabels(labels)) - 1 })
  const { exemplars } = parser.parse(Buffer.from(await response.arrayBuffer()))
  const traces = exemplars.map(({ labels }) => labels[labels.indexOf('trace_id') + 1]!)
  return { series, traces }
}
