/**
 * `npm run demo`: Sightline and the shop with a load. After half a minute payment breaks, an alert fires and its notification is printed; later it is
 * mended. Ctrl-C stops everything.
 *
 *   --port, --otlp-grpc-port, --otlp-http-port, --webhook-port   0 picks one; 9428, 4317, 4318, 0
 *   --data DIR      keeps configuration and data there; otherwise a temporary folder that goes at the end
 *   --rate N        customers a second
 *   --break-after SECONDS, --mend-after SECONDS
 *   --once SECONDS  ends by itself
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { writeDemoConfig, writeTargets } from './demo-config.ts'
import { startNotificationReceiver, type NotificationReceiver } from './notification-receiver.ts'
import { startShop, type Shop } from './shop.ts'

const ROOT = join(import.meta.dirname, '../..')
const READY_MS = 60_000

const { values: flags } = parseArgs({
  options: {
    port: { type: 'string', default: '9428' },
    'otlp-grpc-port': { type: 'string', default: '4317' },
    'otlp-http-port': { type: 'string', default: '4318' },
    'webhook-port': { type: 'string', default: '0' },
    data: { type: 'string' },
    rate: { type: 'string', default: '4' },
    'break-after': { type: 'string', default: '25' },
    'mend-after': { type: 'string', default: '55' },
    once: { type: 'string' },
  },
})

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const announce = (text: string): void => say(`[${new Date().toLocaleTimeString()}] ${text}`)

interface Sightline {
  readonly url: string
  readonly otlpHttpUrl: string
  readonly child: ChildProcess
}

/** Starts `node main.ts all`; its log goes to a file in `dir`. Errors: it ends or isn't ready within a minute. */
async function startSightline(dir: string, configPath: string, dataDir: string): Promise<Sightline> {
  const address = (port: string): string => `127.0.0.1:${port}`
  const listen = ['--listen', address(flags.port), '--otlp-grpc', address(flags['otlp-grpc-port'])]
  const args = ['all', '--config', configPath, '--data', dataDir, ...listen, '--otlp-http', address(flags['otlp-http-port'])]
  const child = spawn(process.execPath, [join(ROOT, 'main.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const logPath = join(dir, 'sightline.log')
  child.stderr.pipe(createWriteStream(logPath, { flags: 'a' }))
  const banner = await new Promise<string>((done, reject) => {
    let text = ''
    let problems = ''
    const timer = setTimeout(() => reject(new Error(`cannot start Sightline: not ready after ${READY_MS} ms; see ${logPath}`)), READY_MS)
    child.stderr.on('data', (chunk: Buffer) => (problems = (problems + chunk.toString()).slice(-2000)))
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (!text.endsWith('\n')) return
      clearTimeout(timer)
      done(text)
    })
    child.once('exit', (code, signal) => reject(new Error(`cannot start Sightline: it ended with ${code ?? signal}\n${problems}`)))
  })
  say(banner)
  const url = /is ready: (\S+)/.exec(banner)?.[1]
  const otlpHttpUrl = /OTLP over HTTP +(\S+)/.exec(banner)?.[1]
  if (url === undefined || otlpHttpUrl === undefined) throw new Error(`cannot start Sightline: no addresses in "${banner}"`)
  return { url, otlpHttpUrl, child }
}

function whatToLookAt(url: string, dir: string): string {
  const curl = (path: string, query: Record<string, string>): string =>
    `curl -sG '${url}${path}'${Object.entries(query)
      .map(([key, value]) => ` --data-urlencode '${key}=${value}'`)
      .join('')}`
  return `The shop runs under load. What to look at:
  in a browser     ${url}/
  metrics          ${curl('/api/v1/query', { query: 'sum by (service, status) (rate(http_requests_total[1m]))' })}
  exemplars        ${curl('/api/v1/query_exemplars', { query: 'http_request_duration_seconds_bucket', start: '0', end: '4000000000' })}
  logs             ${curl('/loki/api/v1/query_range', { query: '{namespace="shop"} | json | level="error"' })}
  failed traces    ${curl('/tempo/api/search', { q: '{ resource.service.name = "payment" && status = error }' })}
  one trace        curl -s '${url}/jaeger/api/traces/TRACE_ID'
  alerts           curl -s ${url}/api/v1/alerts
  objective        ${curl('/api/v1/query', { query: 'shop:orders_failed:ratio_rate5m' })}

Grafana, with the four datasources and two dashboards linked to each other:
  SIGHTLINE_URL=${url} SIGHTLINE_DASHBOARDS=${join(ROOT, 'dashboards')} \\
  GF_PATHS_PROVISIONING=${join(ROOT, 'dashboards/provisioning')} grafana server --homepath GRAFANA_HOME

Configuration, data and logs are in ${dir}. Ctrl-C stops everything.
`
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

const dir = flags.data === undefined ? mkdtempSync(join(tmpdir(), 'sightline-demo-')) : resolve(flags.data)
mkdirSync(dir, { recursive: true })
let receiver: NotificationReceiver | undefined
let sightline: Sightline | undefined
let shop: Shop | undefined
const timers: NodeJS.Timeout[] = []
let isStopping = false

/** The shop first, so that its last spans and lines still arrive. */
async function stop(code: number): Promise<void> {
  if (isStopping) return
  isStopping = true
  for (const timer of timers) clearTimeout(timer)
  announce('stopping')
  await shop?.stop()
  await end(sightline?.child)
  receiver?.close()
  if (flags.data === undefined && code === 0) rmSync(dir, { recursive: true, force: true })
  process.exit(code)
}

function later(seconds: string, what: string, work: () => Promise<void>): void {
  const run = (): void => {
    announce(what)
    work().catch((error: unknown) => announce(String(error)))
  }
  timers.push(setTimeout(run, Number(seconds) * 1000))
}

process.once('SIGINT', () => void stop(0))
process.once('SIGTERM', () => void stop(0))

try {
  receiver = await startNotificationReceiver(Number(flags['webhook-port']), (text) => announce(`NOTIFICATION ${text}`))
  const folder = writeDemoConfig(dir, receiver.url)
  sightline = await startSightline(dir, folder.configPath, folder.dataDir)
  sightline.child.once('exit', (code, signal) => {
    if (isStopping) return
    announce(`Sightline ended with ${code ?? signal}; its log is in ${dir}`)
    void stop(1)
  })
  shop = await startShop({ podsDir: folder.podsDir, otlpEndpoint: sightline.otlpHttpUrl })
  writeTargets(folder.targetsPath, shop)
  shop.startLoad(Number(flags.rate))
  say(whatToLookAt(sightline.url, dir))
  const { urls, break: breakPayment, mend } = shop
  say(`Payment breaks after ${flags['break-after']} s and is mended after ${flags['mend-after']} s. By hand:
  curl -X POST '${urls.frontend}/admin/break?mode=payment'
  curl -X POST '${urls.frontend}/admin/mend'
`)
  later(flags['break-after'], 'payment breaks: half of the charges fail, all are slow', breakPayment)
  later(flags['mend-after'], 'payment is mended', mend)
  if (flags.once !== undefined) timers.push(setTimeout(() => void stop(0), Number(flags.once) * 1000))
} catch (error) {
  say((error as Error).message)
  await stop(1)
}
