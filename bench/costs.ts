/**
 * What one sample, one line and one span cost: CPU of the whole Sightline process and bytes on disk, through the public ways in. One process a row, on a
 * folder of its own; the load is made here, in another process, and its CPU isn't counted. `npm run bench:costs`.
 */
import { createServer } from 'node:http'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { otlpJsonToProtobuf } from '../lib/wire/otlp/json/index.ts'
import { eventually } from '../test/harness/eventually.ts'
import { SightlineProcess } from '../test/harness/sightline.ts'

interface Row {
  readonly what: string
  readonly items: number
  readonly cpuSeconds: number
  readonly storeBytes: number
  readonly journalBytes: number
  readonly rssBytes: number
}

/** A checkpoint comes a minute after the last: the load's filters, compression and files are part of its cost. */
const CHECKPOINT_MS = 65_000
/** With one checkpoint in it, and the first, slow scrapes. */
const SCRAPE_MS = 90_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** User and system time of a process and its threads, from /proc, in seconds. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()!.split(' ')
  // Fields 14 and 15; clock ticks are hundredths on Linux.
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

function bytesIn(dir: string): number {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

/** Runs a load against a fresh process; CPU counts from ready to after a checkpoint. */
async function measure(what: string, config: string, load: (sightline: SightlineProcess) => Promise<number>): Promise<Row> {
  const sightline = await SightlineProcess.create({
    config: `self: { scrape: false, traces: false }\n${config}`,
  })
  try {
    await sightline.start()
    const before = cpuOf(sightline.pid)
    const items = await load(sightline)
    const cpuSeconds = cpuOf(sightline.pid) - before
    const rssBytes = rssOf(sightline.pid)
    await sightline.end('SIGTERM')
    const data = join(sightline.folder, 'data')
    return { what, items, cpuSeconds, storeBytes: bytesIn(join(data, 'store')), journalBytes: bytesIn(join(data, 'journal')), rssBytes }
  } finally {
    await sightline.dispose()
  }
}

/** 20 targets of 1,000 series with 8 labels, half counters and half gauges, every second. */
async function scraping(): Promise<Row> {
  let scrapes = 0
  const server = createServer((request, response) => {
    scrapes++
    const target = Number(request.url!.slice(2))
    const lines = Array.from({ length: 1000 }, (_, i) => {
      const value = i % 2 === 0 ? scrapes * ((i % 17) + 1) : Math.round(1000 * Math.sin(scrapes / 10 + i)) / 10
      return `bench_metric_${i % 20}_total{route="/api/items/${i}",method="GET",code="200",pod="web-${target}-5f7d8",zone="eu-${i % 3}"} ${value}\n`
    })
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(lines.join(''))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const jobs = Array.from(
    { length: 20 },
    (_, i) => `  - { job_name: bench-${i}, metrics_path: '/t${i}', scrape_interval: 1s, static_configs: [{ targets: ['${address}'] }] }`,
  )
  try {
    return await measure('a scraped sample', `scrape_configs:\n${jobs.join('\n')}\n`, async (sightline) => {
      await pause(SCRAPE_MS)
      const [stored] = await sightline.query('sum(count_over_time({__name__=~"bench_metric_.*"}[5m]))')
      return Number(stored!.value[1])
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** 600,000 CRI lines of JSON in six files, read as fast as it goes. */
async function tailing(): Promise<Row> {
  const lines = 600_000
  const podsDir = join((await SightlineProcess.create()).folder, 'pods')
  for (let file = 0; file < 6; file++) {
    const dir = join(podsDir, `bench_web-${file}_uid/app`)
    mkdirSync(dir, { recursive: true })
    for (let chunk = 0; chunk < 10; chunk++) {
      const text = Array.from({ length: lines / 60 }, (_, i) => {
        const n = chunk * 10_000 + i
        const at = new Date(Date.now() - 60_000 + (n % 60_000)).toISOString()
        return `${at} stdout F {"level":"${n % 20 === 0 ? 'error' : 'info'}","msg":"request served","path":"/api/items/${n % 1000}","status":${n % 20 === 0 ? 500 : 200},"ms":${n % 317},"trace_id":"${(n * 2_654_435_761).toString(16).padStart(32, '0')}"}\n`
      })
      appendFileSync(join(dir, '0.log'), text.join(''))
    }
  }
  return measure('a tailed line', `tail: [{ include: ['${podsDir}/*/*/*.log'] }]\n`, async (sightline) => {
    await eventually(async () => {
      const metrics = await (await fetch(`${sightline.url}/metrics`)).text()
      if (!metrics.includes(`sightline_tail_lines_total{source="containers"} ${lines}`)) throw new Error('not all lines are in')
    }, 120_000)
    await pause(CHECKPOINT_MS)
    return lines
  })
}

/** 200,000 spans in requests of 500 over OTLP/HTTP. */
async function exporting(): Promise<Row> {
  const spans = 200_000
  return measure('an exported span', '', async (sightline) => {
    for (let request = 0; request < spans / 500; request++) {
      const body = otlpJsonToProtobuf('traces', JSON.stringify(traceRequest(request)))
      const response = await fetch(`http://127.0.0.1:${sightline.ports.otlpHttp}/v1/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body,
      })
      if (!response.ok) throw new Error(`export refused: ${response.status}`)
    }
    await pause(CHECKPOINT_MS)
    return spans
  })
}

function traceRequest(request: number): object {
  const nowNs = BigInt(Date.now()) * 1_000_000n
  const attribute = (key: string, stringValue: string): object => ({ key, value: { stringValue } })
  const spans = Array.from({ length: 500 }, (_, i) => ({
    traceId: (request * 100 + Math.floor(i / 5) + 1).toString(16).padStart(32, '0'),
    spanId: (request * 500 + i + 1).toString(16).padStart(16, '0'),
    ...(i % 5 === 0 ? {} : { parentSpanId: (request * 500 + i).toString(16).padStart(16, '0') }),
    name: `GET /api/items/${i % 40}`,
    kind: 2,
    startTimeUnixNano: String(nowNs + BigInt(i)),
    endTimeUnixNano: String(nowNs + BigInt(i + 1) * 1_000_000n),
    attributes: [
      attribute('http.method', 'GET'),
      attribute('http.route', `/api/items/${i % 40}`),
      attribute('user.id', `user-${(request * 7 + i) % 5000}`),
      attribute('net.peer.name', '10.0.3.7'),
    ],
  }))
  return {
    resourceSpans: [
      {
        resource: { attributes: [attribute('service.name', 'bench'), attribute('k8s.pod.name', 'bench-1')] },
        scopeSpans: [{ scope: { name: 'bench' }, spans }],
      },
    ],
  }
}

for (const run of [scraping, tailing, exporting]) {
  const row = await run()
  const perItem = (value: number, digits: number): string => (value / row.items).toFixed(digits)
  console.log(
    `${row.what.padEnd(18)} ${String(row.items).padStart(9)} items  ${perItem(row.cpuSeconds * 1e9, 0).padStart(6)} ns CPU  ${perItem(row.storeBytes, 2).padStart(7)} B in the store  ` +
      `${perItem(row.journalBytes, 1).padStart(6)} B in the journal  ${(row.rssBytes / 2 ** 20).toFixed(0).padStart(5)} MiB RSS`,
  )
}
