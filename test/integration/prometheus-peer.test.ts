/**
 * Debian's Prometheus scrapes a node exporter and itself and sends what it reads here; then both are asked the same questions.
 *
 * Asked at times before the last sample that arrived, so that both hold the same samples; and no subquery step lies on the edge of its range,
 * which belongs to the range in Prometheus 2 but not in 3 and here. Prometheus adds up one row after another in one
 * process; here each shard adds up its own series and the partial sums are merged, so floating point may round the last digits differently:
 * numbers are equal within 1e-12 of their size, everything else is equal as printed.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.ts'
import { startNodeExporter, type NodeExporter } from '../harness/node-exporter.ts'
import { freePorts, SightlineProcess } from '../harness/sightline.ts'

const isInstalled = ['prometheus', 'prometheus-node-exporter'].every((program) => spawnSync(program, ['--version']).status === 0)
const isRunnable = isInstalled || process.env['CI'] !== undefined
if (!isRunnable) console.warn('skipped: no prometheus and prometheus-node-exporter programs on the PATH to compare with')

/** Each is asked at one instant and over a range. */
const QUERIES = [
  'up',
  '{job="node",__name__=~"node_(load1|memory_MemAvailable_bytes|boot.*)"}',
  'prometheus_http_requests_total{handler!~"/api/v1/(query|query_range)",code=~"2.."}',
  'rate(node_cpu_seconds_total{mode!="idle"}[10s])',
  'increase(prometheus_tsdb_head_samples_appended_total[12s])',
  'irate(node_context_switches_total[8s])',
  'sum by (mode) (rate(node_cpu_seconds_total[10s]))',
  'avg without (cpu) (node_cpu_seconds_total)',
  'topk(3, node_cpu_seconds_total)',
  'count by (job) ({__name__=~".+"})',
  'histogram_quantile(0.9, sum by (le) (prometheus_http_response_size_bytes_bucket))',
  'histogram_quantile(0.5, rate(prometheus_http_request_duration_seconds_bucket[10s]))',
  'node_memory_MemFree_bytes offset 4s',
  'process_resident_memory_bytes @ end()',
  'avg_over_time(rate(node_context_switches_total[5s])[9500ms:2s])',
  'node_cpu_seconds_total > 1',
  'node_load1 > bool 0.1',
  'node_filesystem_avail_bytes / node_filesystem_size_bytes',
  'sum by (cpu) (node_cpu_seconds_total) / on (cpu) group_right () node_cpu_seconds_total{mode="user"}',
  'up{job="node"} or up{job="self"} unless on () absent(up)',
  'label_replace(node_cpu_seconds_total{mode="user"}, "core", "c$1", "cpu", "(.*)")',
  'label_join(up, "both", "-", "job", "instance")',
  'absent(no_such_metric{reason="none"})',
  'absent_over_time(up{job="node"}[5s])',
  'quantile_over_time(0.75, process_resident_memory_bytes[10s])',
  'quantile(0.25, node_cpu_seconds_total)',
  'stddev by (mode) (node_cpu_seconds_total)',
  'deriv(node_context_switches_total[10s])',
  'predict_linear(node_memory_MemFree_bytes[10s], 60)',
  'count_values("value", up)',
  'changes(node_context_switches_total[10s])',
  'resets(node_context_switches_total[10s])',
  'avg_over_time(node_load1[10s]) + ignoring (job) stddev_over_time(node_load1[10s])',
  'sort_desc(clamp(round(node_cpu_seconds_total{cpu="0"}, 0.5), 1, 1000))',
  'timestamp(up) - time()',
  'scalar(node_load1) * vector(2)',
  '-count(node_cpu_seconds_total) ^ 2 % 7',
  'sum by (__name__) (last_over_time({job="node"}[5s]))',
]

interface Result {
  readonly resultType: string
  readonly result: readonly { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[]
}

describe.runIf(isRunnable)('Prometheus and Sightline, given the same samples', () => {
  let sightline: SightlineProcess
  let prometheus: ChildProcess
  let prometheusUrl: string
  let exporter: NodeExporter
  let folder: string
  let atSeconds: number

  beforeAll(async () => {
    if (!isInstalled) throw new Error('the prometheus and prometheus-node-exporter programs are needed')
    sightline = await SightlineProcess.create({ config: 'self: { scrape: false }\n' })
    await sightline.start()
    exporter = (await startNodeExporter())!
    folder = mkdtempSync(join(tmpdir(), 'sightline-peer-'))
    const address = `127.0.0.1:${(await freePorts(1))[0]}`
    prometheusUrl = `http://${address}`
    const remoteWrite = `{ url: '${sightline.url}/api/v1/write', queue_config: { batch_send_deadline: 500ms } }`
    writeFileSync(
      join(folder, 'prometheus.yml'),
      `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: self, static_configs: [{ targets: ['${address}'] }] }
  - { job_name: node, static_configs: [{ targets: ['${exporter.address}'] }] }
remote_write: [${remoteWrite}]
`,
    )
    const flags = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${address}`]
    prometheus = spawn('prometheus', flags, { stdio: 'ignore' })
    const firstSeconds = await eventually(() => lastSeconds(sightline), 60_000)
    // No window reaches back to before the first sample: Prometheus 2 extrapolates a new counter's increase further back than 3 does.
    const lastArrived = await eventually(async () => {
      const last = await lastSeconds(sightline)
      expect(last - firstSeconds).toBeGreaterThan(32)
      return last
    }, 90_000)
    // Every shard of the sender's queue is past this: it sends at least twice a second.
    atSeconds = Math.floor(lastArrived) - 3
    await eventually(async () =>
      expect(await ask(sightline.url, 'count({job=~".+"})', false)).toEqual(await ask(prometheusUrl, 'count({job=~".+"})', false)),
    )
  }, 180_000)

  afterAll(async () => {
    prometheus?.kill('SIGKILL')
    exporter?.stop()
    await sightline?.dispose()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  const ask = async (base: string, query: string, isRange: boolean): Promise<Result> => {
    const when = isRange ? `query_range?start=${atSeconds - 12}&end=${atSeconds}&step=1` : `query?time=${atSeconds}`
    const response = await fetch(`${base}/api/v1/${when}&query=${encodeURIComponent(query)}`)
    const answer = (await response.json()) as { status: string; data: Result; error?: string }
    if (answer.status !== 'success') throw new Error(`${base} refuses ${query}: ${answer.error}`)
    return answer.data
  }

  test.each(QUERIES)('%s', async (query) => {
    for (const isRange of [false, true]) {
      const theirs = await ask(prometheusUrl, query, isRange)
      const ours = await ask(sightline.url, query, isRange)
      expect(ours.resultType).toBe(theirs.resultType)
      expect(differences(rowsOf(theirs), rowsOf(ours))).toEqual([])
    }
  })

  test('series that would be one without their names are refused by both', async () => {
    const query = 'count_over_time({job="node"}[5s])'
    await expect(ask(prometheusUrl, query, false)).rejects.toThrow('cannot contain metrics with the same labelset')
    await expect(ask(sightline.url, query, false)).rejects.toThrow('cannot contain metrics with the same labelset')
  })

  test('most of those questions have an answer', async () => {
    let answeredCount = 0
    for (const query of QUERIES) if ((await ask(prometheusUrl, query, true)).result.length > 0) answeredCount++
    expect(answeredCount).toBeGreaterThan(QUERIES.length - 5)
  })

  test('series, label names and label values are the same', async () => {
    const window = `start=${atSeconds - 10}&end=${atSeconds}`
    const paths = [
      `/api/v1/label/mode/values?match[]=node_cpu_seconds_total&${window}`,
      `/api/v1/labels?match[]=node_cpu_seconds_total&${window}`,
      `/api/v1/label/job/values?${window}`,
    ]
    for (const path of paths) {
      const theirs = (await (await fetch(`${prometheusUrl}${path}`)).json()) as unknown
      expect(await sightline.get(path)).toEqual(theirs)
    }
    const series = `/api/v1/series?match[]=node_cpu_seconds_total&match[]=up&${window}`
    const keys = (answer: { data: Record<string, string>[] }): string[] => answer.data.map(keyOf).sort()
    const theirs = (await (await fetch(`${prometheusUrl}${series}`)).json()) as { data: Record<string, string>[] }
    expect(keys(await sightline.get(series))).toEqual(keys(theirs))
  })
})

/** Time of the newest sample of the slower job. */
async function lastSeconds(sightline: SightlineProcess): Promise<number> {
  const rows = await sightline.query('timestamp(up)')
  expect(rows).toHaveLength(2)
  return Math.min(...rows.map(({ value }) => Number(value[1])))
}

function keyOf(metric: Record<string, string>): string {
  return JSON.stringify(Object.entries(metric).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** `<labels> @<time>` to the value as printed. */
function rowsOf({ result }: Result): Map<string, string> {
  const rows = new Map<string, string>()
  for (const { metric, value, values } of result) {
    for (const [seconds, text] of values ?? [value!]) rows.set(`${keyOf(metric)} @${seconds}`, text)
  }
  return rows
}

function differences(theirs: ReadonlyMap<string, string>, ours: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  for (const key of new Set([...theirs.keys(), ...ours.keys()])) {
    const [a, b] = [theirs.get(key), ours.get(key)]
    if (a === b) continue
    if (a !== undefined && b !== undefined && Math.abs(Number(a) - Number(b)) <= 1e-12 * Math.abs(Number(a))) continue
    found.push(`${key}: theirs ${a ?? 'absent'}, ours ${b ?? 'absent'}`)
  }
  return found.slice(0, 10)
}
