/** Logs in Elasticsearch, from end to end: pushed and tailed lines, a kill -9 of Sightline in between, LogQL out, every line once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canRunElasticsearch, ElasticsearchServer } from '../harness/elasticsearch.ts'
import { eventually } from '../harness/eventually.ts'
import { startLogWriter, type LogWriter } from '../harness/log-writer.ts'
import { SightlineProcess } from '../harness/sightline.ts'

interface Streams {
  readonly data: { readonly result: readonly { readonly stream: Record<string, string>; readonly values: readonly [string, string][] }[] }
}

describe.skipIf(!canRunElasticsearch())('logs in Elasticsearch', () => {
  const podsDir = mkdtempSync(join(tmpdir(), 'sightline-pods-'))
  let server: ElasticsearchServer
  let sightline: SightlineProcess
  let writer: LogWriter | undefined

  beforeAll(async () => {
    server = await ElasticsearchServer.start()
    const config = `
journal: { partitions: 4 }
shards: { workers: 2, checkpoint_interval: 2s }
self: { scrape: false, traces: false }
logs: { store: elasticsearch }
elasticsearch: { nodes: ['${server.url}'], replicas: 0, index_prefix: end-to-end }
tail: [{ include: ['${podsDir}/*/*/*.log'] }]
`
    sightline = await SightlineProcess.create({ config })
    await sightline.start()
  }, 180_000)

  afterAll(async () => {
    writer?.stop()
    await sightline.dispose()
    await server.stop()
    rmSync(podsDir, { recursive: true, force: true })
  })

  const startNs = `${Date.now() - 600_000}000000`

  async function lines(query: string): Promise<string[]> {
    const params = new URLSearchParams({ query, start: startNs, end: `${Date.now() + 60_000}000000`, limit: '5000', direction: 'forward' })
    const { data } = await sightline.get<Streams>(`/loki/api/v1/query_range?${params.toString()}`)
    return data.result.flatMap(({ values }) => values.map(([, line]) => line))
  }

  /** As a client does: the same request again until it is answered. */
  async function push(from: number, count: number): Promise<void> {
    const at = Date.now()
    const values = Array.from({ length: count }, (_, i) => [`${at}${String(i).padStart(6, '0')}`, `pushed ${from + i}`])
    const body = JSON.stringify({ streams: [{ stream: { app: 'push' }, values }] })
    await eventually(async () => {
      const answer = await fetch(`${sightline.url}/loki/api/v1/push`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      expect(answer.status).toBe(204)
    }, 60_000)
  }

  test('every line is there once, whatever is killed in between', async () => {
    writer = startLogWriter(podsDir, 'writer-1', 10)
    for (let i = 0; i < 20; i++) await push(i * 50, 50)
    await eventually(async () => expect((await lines('{app="push"}')).length).toBe(1000))
    await sightline.end('SIGKILL')
    const restarted = sightline.start()
    const pushing = (async () => {
      for (let i = 20; i < 40; i++) await push(i * 50, 50)
    })()
    await restarted
    await pushing
    await sightline.end('SIGKILL')
    await sightline.start()
    const { lines: written } = writer
    writer.stop()
    await eventually(async () => {
      const pushed = await lines('{app="push"}')
      expect(pushed.toSorted()).toEqual(Array.from({ length: 2000 }, (_, i) => `pushed ${i}`).toSorted())
      const tailed = await lines('{pod="writer-1"}')
      expect(tailed.toSorted()).toEqual([...written].toSorted())
    }, 60_000)
    expect(await lines('{app="push"} |= "ed 199"')).toHaveLength(11)
    expect((await sightline.get<{ data: string[] }>(`/loki/api/v1/labels?start=${startNs}`)).data).toContain('pod')
    await eventually(async () => {
      const text = await (await fetch(`${sightline.url}/metrics`)).text()
      expect(text).toMatch(/sightline_elasticsearch_bulk_requests_total\{outcome="ok"\} [1-9]/)
      expect(text).toMatch(/sightline_elasticsearch_queue_bytes 0/)
    })
    expect(await sightline.end('SIGTERM')).toBe(0)
    await sightline.start()
    expect((await lines('{app="push"}')).length).toBe(2000)
  }, 180_000)

  test('while Elasticsearch is away logs wait, and metrics go on', async () => {
    await server.kill()
    await push(2000, 10)
    const answer = await fetch(`${sightline.url}/loki/api/v1/query_range?query=${encodeURIComponent('{app="push"}')}`)
    expect(answer.status).toBe(503)
    expect((await fetch(`${sightline.url}/api/v1/query?query=1`)).status).toBe(200)
    await server.restart()
    await eventually(async () => expect((await lines('{app="push"}')).length).toBe(2010), 60_000)
  }, 180_000)
})
