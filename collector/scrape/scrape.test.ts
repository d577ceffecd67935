import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { parseConfig } from '../../lib/config/index.ts'
import { createHttpClient } from '../../lib/http/index.ts'
import { CELL_ABSENT, CELL_FLOAT, CELL_STALE, formatLabels, labelsOf } from '../../lib/model/index.ts'
import { createRelabeler } from '../../lib/relabel/index.ts'
import { FakeClock } from '../../lib/runtime/clock.ts'
import type { Row } from '../../lib/wire/rows/index.ts'
import { BodyPool } from './bodies.ts'
import { nextInstant, ScrapeLoop } from './loop.ts'
import { TargetSamples } from './samples.ts'
import { targetOf } from './target.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

interface Endpoint {
  address: string
  body: string
  status: number
  delayMs: number
  contentType: string
  gzip: boolean
}

/** A real endpoint whose next answer the test sets. */
async function newEndpoint(body: string): Promise<Endpoint> {
  const endpoint: Endpoint = { address: '', body, status: 200, delayMs: 0, contentType: 'text/plain; version=0.0.4', gzip: false }
  const server = createServer((_request, response) => {
    setTimeout(() => {
      response.writeHead(endpoint.status, {
        'content-type': endpoint.contentType,
        ...(endpoint.gzip ? { 'content-encoding': 'gzip' } : {}),
      })
      response.end(endpoint.gzip ? gzipSync(endpoint.body) : endpoint.body)
    }, endpoint.delayMs)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint.address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return endpoint
}

/** A loop over a real endpoint; each `scrape` returns what its row holds. */
function newLoop(
  endpoint: Endpoint,
  scrapeYaml = '',
  externalLabels: Record<string, string> = {},
): { loop: ScrapeLoop; rows: Row[]; scrape: () => Promise<Record<string, number | 'stale'>> } {
  const { config } = parseConfig(`scrape_configs:\n- job_name: j\n  scrape_timeout: 1s\n  scrape_interval: 5s\n${scrapeYaml}`, 'test', {})
  const scrapeConfig = config.scrape_configs[0]!
  const group = { source: '0', targets: [endpoint.address], labels: { zone: 'a' } }
  const target = targetOf(endpoint.address, group, scrapeConfig, config.global, createRelabeler(scrapeConfig.relabel_configs))!
  const rows: Row[] = []
  const clock = new FakeClock(1_000_000)
  const samples = new TargetSamples({
    config: scrapeConfig,
    targetLabels: target.labels,
    externalLabels: labelsOf(externalLabels),
    metricRelabeler: createRelabeler(scrapeConfig.metric_relabel_configs),
  })
  const appender = { append: async (_tenant: string, batch: { rows: readonly Row[] }) => void rows.push(...batch.rows) }
  const loop = new ScrapeLoop(target, samples, {
    config: scrapeConfig,
    tenant: 'default',
    appender,
    client: createHttpClient(scrapeConfig),
    bodies: new BodyPool(),
    clock,
  })
  const scrape = async (): Promise<Record<string, number | 'stale'>> => {
    await loop.scrape(clock.now())
    return cellsOf(rows.at(-1)!)
  }
  return { loop, rows, scrape }
}

/** Present cells by series, without the target's own labels; report series but `up` left out. */
function cellsOf(row: Row): Record<string, number | 'stale'> {
  const out: Record<string, number | 'stale'> = {}
  for (const [i, labels] of row.layout.series.entries()) {
    const cell = row.cells?.[i] ?? CELL_FLOAT
    const name = formatLabels(labels)
      .replace(/(, )?(instance="127[^"]*"|job="j"|zone="a")/g, '')
      .replace('{, ', '{')
      .replace('{}', '')
    if (cell !== CELL_ABSENT && !name.startsWith('scrape_')) out[name] = cell === CELL_STALE ? 'stale' : row.values[i]!
  }
  return out
}

describe('a scrape', () => {
  test('is one row with up; a series that goes is stale once, and comes back', async () => {
    const endpoint = await newEndpoint('a 1\nb{x="1"} 2\n')
    const { scrape } = newLoop(endpoint)
    expect(await scrape()).toEqual({ up: 1, a: 1, 'b{x="1"}': 2 })
    endpoint.body = 'a 5\n'
    expect(await scrape()).toEqual({ up: 1, a: 5, 'b{x="1"}': 'stale' })
    expect(await scrape()).toEqual({ up: 1, a: 5 })
    endpoint.body = 'a 6\nb{x="1"} 7\n'
    expect(await scrape()).toEqual({ up: 1, a: 6, 'b{x="1"}': 7 })
  })

  test('keeps its layout while the series stay the same', async () => {
    const endpoint = await newEndpoint('a 1\nb 2\n')
    const { rows, scrape } = newLoop(endpoint)
    await scrape()
    await scrape()
    expect(rows[1]!.layout).toBe(rows[0]!.layout)
    expect(rows[1]!.cells).toBeUndefined()
  })

  test('that fails has up 0 and everything else stale, with the cause', async () => {
    const endpoint = await newEndpoint('a 1\n')
    const { loop, scrape } = newLoop(endpoint)
    await scrape()
    endpoint.status = 500
    expect(await scrape()).toEqual({ up: 0, a: 'stale' })
    expect(loop.state).toMatchObject({ health: 'down', lastError: 'server returned HTTP status 500' })
    endpoint.status = 200
    endpoint.body = 'a{ 1\n'
    expect(await scrape()).toEqual({ up: 0 })
    expect(loop.state.lastError).toContain('cannot parse exposition, line 1')
    endpoint.body = 'a 2\n'
    expect(await scrape()).toEqual({ up: 1, a: 2 })
  })

  test('that takes longer than the timeout fails', async () => {
    const endpoint = await newEndpoint('a 1\n')
    endpoint.delayMs = 3000
    const { loop, scrape } = newLoop(endpoint)
    expect(await scrape()).toEqual({ up: 0 })
    expect(loop.state.lastError).toContain('context deadline exceeded')
  })

  test('reads gzip and OpenMetrics with exemplars', async () => {
    const endpoint = await newEndpoint('a_total 1 # {trace_id="t1"} 0.5\n# EOF\n')
    endpoint.contentType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    endpoint.gzip = true
    const { rows, scrape } = newLoop(endpoint)
    expect(await scrape()).toEqual({ up: 1, a_total: 1 })
    expect(rows[0]!.exemplars).toMatchObject([{ value: 0.5, labels: ['trace_id', 't1'] }])
  })

  test('target labels win, and the exposed ones are kept as exported; honor_labels turns it round', async () => {
    const endpoint = await newEndpoint('a{job="own",zone="z"} 1\n')
    expect(Object.keys(await newLoop(endpoint).scrape())).toContain('a{exported_job="own", exported_zone="z"}')
    expect(Object.keys(await newLoop(endpoint, '  honor_labels: true\n').scrape())).toContain('a{job="own", zone="z"}')
  })

  test('metric relabeling drops and renames; external labels are added where there are none', async () => {
    const endpoint = await newEndpoint('a 1\nb 2\nc{region="us"} 3\n')
    const rules =
      '  metric_relabel_configs:\n  - { source_labels: [__name__], regex: a, action: drop }\n  - { source_labels: [__name__], regex: b, target_label: __name__, replacement: d }\n'
    const cells = await newLoop(endpoint, rules, { region: 'eu' }).scrape()
    expect(cells).toEqual({ 'up{region="eu"}': 1, 'd{region="eu"}': 2, 'c{region="us"}': 3 })
  })

  test('limits fail the whole scrape', async () => {
    const endpoint = await newEndpoint('a 1\nb{long_label_name="x"} 2\n')
    for (const [limit, cause] of [
      ['sample_limit: 1', 'sample limit exceeded'],
      ['label_limit: 4', 'label_limit exceeded'],
      ['label_name_length_limit: 10', 'label_name_length_limit exceeded'],
      ['label_value_length_limit: 2', 'label_value_length_limit exceeded'],
      ['body_size_limit: 5B', 'larger than 5 bytes'],
    ] as const) {
      const { loop, scrape } = newLoop(endpoint, `  ${limit}\n`)
      expect([limit, (await scrape())['up']]).toEqual([limit, 0])
      expect(loop.state.lastError).toContain(cause)
    }
  })

  test('samples with timestamps of their own are rows of their own, unless they are not honoured', async () => {
    const endpoint = await newEndpoint('a 1 500000\nb 2\n')
    const { rows, scrape } = newLoop(endpoint)
    await scrape()
    expect(rows.map((row) => row.timestampMs)).toEqual([1_000_000, 500_000])
    const ignoring = newLoop(endpoint, '  honor_timestamps: false\n')
    expect(await ignoring.scrape()).toEqual({ up: 1, a: 1, b: 2 })
  })

  test('a target that goes away leaves everything stale', async () => {
    const endpoint = await newEndpoint('a 1\n')
    const { loop, rows, scrape } = newLoop(endpoint)
    await scrape()
    await loop.stop(true)
    expect(cellsOf(rows.at(-1)!)).toEqual({ up: 'stale', a: 'stale' })
  })

  test('many series coming and going leave only the present ones in the layout', async () => {
    const endpoint = await newEndpoint('')
    const { rows, scrape } = newLoop(endpoint)
    for (let round = 0; round < 30; round++) {
      endpoint.body = Array.from({ length: 50 }, (_, i) => `m{i="${round * 50 + i}"} ${i}\n`).join('')
      const cells = await scrape()
      expect(Object.values(cells).filter((cell) => cell !== 'stale').length).toBe(51)
    }
    expect(rows.at(-1)!.layout.series.length).toBeLessThan(200)
  })
})

test('instants of a target are an interval apart, on its phase', () => {
  expect(nextInstant(1000, 100, 30)).toBe(1030)
  expect(nextInstant(1030, 100, 30)).toBe(1130)
  expect(nextInstant(1029, 100, 30)).toBe(1030)
})
