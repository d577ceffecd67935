import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.ts'
import { freePorts, SightlineProcess } from '../harness/sightline.ts'

const isInstalled = spawnSync('prometheus', ['--version']).status === 0
const isRunnable = isInstalled || process.env['CI'] !== undefined
if (!isRunnable) console.warn('skipped: no prometheus program on the PATH to send with')

describe.runIf(isRunnable)('a real Prometheus sends its samples by remote write', () => {
  let sightline: SightlineProcess
  let prometheus: ChildProcess
  let folder: string
  let port: number

  beforeAll(async () => {
    if (!isInstalled) throw new Error('the prometheus program is needed')
    sightline = await SightlineProcess.create({ config: 'self: { scrape: false }\ncluster: c1\n' })
    await sightline.start()
    folder = mkdtempSync(join(tmpdir(), 'sightline-prometheus-'))
    port = (await freePorts(1))[0]!
    writeFileSync(
      join(folder, 'prometheus.yml'),
      `global: { scrape_interval: 1s }
scrape_configs: [{ job_name: self, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]
remote_write: [{ url: '${sightline.url}/api/v1/write', queue_config: { batch_send_deadline: 500ms }, metadata_config: { send_interval: 1s } }]
`,
    )
    const flags = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=127.0.0.1:${port}`]
    prometheus = spawn('prometheus', flags, { stdio: 'ignore' })
  }, 60_000)

  afterAll(async () => {
    prometheus?.kill('SIGKILL')
    await sightline?.dispose()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  test('what it scraped of itself is answered here, sample by sample, with our cluster label', async () => {
    const there = async (query: string, time: number): Promise<{ metric: Record<string, string>; value: [number, string] }[]> => {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}&time=${time}`)
      const answer = (await response.json()) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } }
      return answer.data.result
    }
    const query = '{job="self"}'
    const time = await eventually(async () => {
      const [up] = await sightline.query('timestamp(up{job="self"})')
      expect(Number(up?.value[1])).toBeGreaterThan(0)
      return Number(up!.value[1])
    }, 40_000)
    await eventually(async () => {
      const theirs = await there(query, time)
      const ours = await sightline.query(query, time)
      const plain = (rows: typeof theirs): string[] =>
        rows
          .map(({ metric, value }) => {
            const { cluster: _, ...labels } = metric
            return `${JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))} ${value[1]}`
          })
          .sort()
      expect(theirs.length).toBeGreaterThan(300)
      expect(plain(ours)).toEqual(plain(theirs))
      expect(ours.every(({ metric }) => metric['cluster'] === 'c1')).toBe(true)
    }, 20_000)
  }, 90_000)

  test('what its metadata says of a family is answered here', async () => {
    await eventually(async () => {
      const answer = await sightline.get<{ data: Record<string, { type: string; help: string }[]> }>(
        '/api/v1/metadata?metric=prometheus_build_info',
      )
      expect(answer.data['prometheus_build_info']?.[0]?.type).toBe('gauge')
    }, 20_000)
  }, 30_000)
})
