/**
 * The shop: frontend → cart, checkout → cart, payment; a process each, with its output in a container log file. `startShop` is for programs and tests;
 * run as a program it prints one JSON line with the addresses and goes on until it is told to stop:
 *
 *   node examples/shop/shop.ts --pods ./pods --rate 4
 *
 * Spans go to OTEL_EXPORTER_OTLP_ENDPOINT. Nothing here knows of Sightline.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ContainerLog } from './container-log.ts'

export const SERVICES = ['payment', 'cart', 'checkout', 'frontend'] as const
export type ServiceName = (typeof SERVICES)[number]

/** In the order they start, whom each calls. */
const PEERS: Readonly<Record<ServiceName, readonly ServiceName[]>> = {
  payment: [],
  cart: [],
  checkout: ['cart', 'payment'],
  frontend: ['cart', 'checkout', 'payment'],
}

export interface ShopOptions {
  /** Where the log files go, as a node's `/var/log/pods`. */
  readonly podsDir: string
  /** Base URL of OTLP over HTTP; without it the environment's, or http://localhost:4318. */
  readonly otlpEndpoint?: string
  readonly namespace?: string
  /** Ports by service; those not named are picked. */
  readonly ports?: Partial<Record<ServiceName, number>>
}

export interface Shop {
  readonly urls: Readonly<Record<ServiceName, string>>
  readonly pods: Readonly<Record<ServiceName, string>>
  /** Log files, one a service. */
  readonly logPaths: readonly string[]
  /** Customers a second, from a process of its own. */
  startLoad(rate: number): void
  stopLoad(): Promise<void>
  /** Payment answers 500 to half of the charges, and slowly. */
  readonly break: () => Promise<void>
  readonly mend: () => Promise<void>
  /** Services end their requests and send their last spans. */
  stop(): Promise<void>
}

const START_MS = 30_000

/** Errors: a service that doesn't listen within 30 s; then none is left running. */
export async function startShop({ podsDir, otlpEndpoint, namespace = 'shop', ports = {} }: ShopOptions): Promise<Shop> {
  const env = { ...process.env, ...(otlpEndpoint === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint }) }
  const urls: Partial<Record<ServiceName, string>> = {}
  const pods = Object.fromEntries(SERVICES.map((service) => [service, podName(service)])) as Record<ServiceName, string>
  const children: Running[] = []
  const logs: ContainerLog[] = []
  let load: Running | undefined

  const stop = async (): Promise<void> => {
    await end(load)
    // Those that are called end last.
    for (const child of children.toReversed()) await end(child)
    for (const log of logs) log.close()
  }

  try {
    for (const service of SERVICES) {
      const log = new ContainerLog(podsDir, { namespace, pod: pods[service], uid: randomUUID(), container: service })
      logs.push(log)
      const peers = PEERS[service].flatMap((peer) => ['--peer', `${peer}=${urls[peer]}`])
      const args = ['--port', String(ports[service] ?? 0), '--namespace', namespace, '--pod', pods[service], ...peers]
      const running = start(`${service}.ts`, args, { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
      children.push(running)
      const { child } = running
      child.stderr!.on('data', (chunk: Buffer) => log.write('stderr', chunk))
      urls[service] = await listening(service, child, log)
    }
  } catch (error) {
    await stop()
    throw error
  }
  const ready = urls as Record<ServiceName, string>
  const admin = async (path: string): Promise<void> => {
    const response = await fetch(`${ready.frontend}${path}`, { method: 'POST' })
    if (!response.ok) throw new Error(`cannot turn the switch: POST ${path} answered ${response.status}`)
  }
  return {
    urls: ready,
    pods,
    logPaths: logs.map(({ path }) => path),
    startLoad(rate) {
      const args = ['--url', ready.frontend, '--rate', String(rate)]
      load ??= start('load.ts', args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    },
    async stopLoad() {
      await end(load)
      load = undefined
    },
    break: () => admin('/admin/break?mode=payment'),
    mend: () => admin('/admin/mend'),
    stop,
  }
}

/** Writes the child's output to its log; resolves with the address in its first line. */
function listening(service: ServiceName, child: ChildProcess, log: ContainerLog): Promise<string> {
  return new Promise((done, reject) => {
    let head = ''
    let isListening = false
    const fail = (cause: string): void => reject(new Error(`cannot start ${service}: ${cause}; its output is in ${log.path}`))
    const timer = setTimeout(() => fail(`it doesn't listen after ${START_MS} ms`), START_MS)
    child.once('exit', (code, signal) => fail(`it ended with ${code ?? signal}`))
    child.stdout!.on('data', (chunk: Buffer) => {
      log.write('stdout', chunk)
      if (isListening) return
      head += chunk.toString()
      if (!head.includes('\n')) return
      isListening = true
      clearTimeout(timer)
      done((JSON.parse(head.slice(0, head.indexOf('\n'))) as { url: string }).url)
    })
  })
}

interface Running {
  readonly child: ChildProcess
  /** Its end, and that of its output. */
  readonly closed: Promise<unknown>
}

function start(file: string, args: readonly string[], options: SpawnOptions): Running {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], options)
  return { child, closed: once(child, 'close') }
}

async function end(running: Running | undefined): Promise<void> {
  running?.child.kill('SIGTERM')
  await running?.closed
}

/** As a Deployment's pods are named. */
function podName(service: ServiceName): string {
  return `${service}-${randomBytes(4).toString('hex')}-${randomBytes(3).toString('hex').slice(0, 5)}`
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { pods: { type: 'string', default: './pods' }, rate: { type: 'string', default: '4' } } })
  const shop = await startShop({ podsDir: resolve(values.pods) })
  process.stdout.write(`${JSON.stringify({ urls: shop.urls, logs: shop.logPaths })}\n`)
  if (Number(values.rate) > 0) shop.startLoad(Number(values.rate))
  const stop = (): void => void shop.stop().then(() => process.exit(0))
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}
