/**
 * The sender: makes its load from a seed, keeps it ready, and sends it when it is told to. A process of its own, so that none of its time is the server's.
 * A full server (429, 503) is asked again after a moment, as clients do.
 */
import { createServer, Agent, request as httpRequest } from 'node:http'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { linesSlices } from './lines.ts'
import type { FromSender, LoadSpec, Sent, ToSender } from './messages.ts'
import { metricsSlices, scrapeBodies, type BodiesSpec } from './metrics-load.ts'
import type { Request, Slice } from './slice.ts'
import { spansSlices } from './spans.ts'

const TRIES_MAX = 100
const RETRY_MS = 50

const say = (message: FromSender): void => void process.send!(message)

export function slicesOf(spec: LoadSpec, count: number): Slice[] {
  switch (spec.kind) {
    case 'remote-write':
    case 'otlp-metrics':
      return metricsSlices(spec, count)
    case 'otlp-traces':
      return spansSlices(spec, count)
    default:
      return linesSlices(spec, count)
  }
}

/** Status of one POST, and the start of the answer's text where it isn't a 2xx. */
function post(url: string, agent: Agent, { headers, body }: Request): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: 'POST', agent, headers: { ...headers, 'content-length': body.length } }, (response) => {
      const status = response.statusCode!
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status, text: status < 300 ? '' : Buffer.concat(chunks).toString().slice(0, 300) }))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}

async function send(slice: Slice, url: string): Promise<Sent> {
  let requests = 0
  let refused = 0
  let firstRefusal = ''
  const startMs = performance.now()
  const runLane = async (lane: readonly Request[]): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (const request of lane) {
      requests++
      for (let tries = 1; ; tries++) {
        const { status, text } = await post(url, agent, request)
        if (status < 300) break
        if ((status === 429 || status === 503) && tries < TRIES_MAX) {
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
          continue
        }
        refused++
        if (firstRefusal === '') firstRefusal = `${status} ${text}`
        break
      }
    }
    agent.destroy()
  }
  await Promise.all(slice.lanes.map(runLane))
  return { answer: 'sent', items: slice.items, wallMs: performance.now() - startMs, requests, refused, firstRefusal }
}

/** Files appear under their final name with all of their lines. */
function put(slice: Slice, folder: string): Sent {
  const startMs = performance.now()
  for (const { path, bytes } of slice.files!) {
    const target = join(folder, path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(`${target}.part`, bytes)
    renameSync(`${target}.part`, target)
  }
  return { answer: 'sent', items: slice.items, wallMs: performance.now() - startMs, requests: 0, refused: 0, firstRefusal: '' }
}

/** Every target goes through the same bodies from its own first one. */
function serve(spec: BodiesSpec): Promise<string> {
  const bodies = scrapeBodies(spec)
  const scrapes = new Map<string, number>()
  const server = createServer((request, response) => {
    // Two programs that scrape the same target have their own counts: their connections differ in the user agent.
    const key = `${request.headers['user-agent']} ${request.url}`
    const count = scrapes.get(key) ?? 0
    scrapes.set(key, count + 1)
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(bodies[count % bodies.length])
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`))
  })
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  let slices: Slice[] = []
  const answer = async (message: ToSender): Promise<FromSender> => {
    switch (message.ask) {
      case 'prepare': {
        slices = slicesOf(message.spec, message.slices)
        const requests = slices.flatMap(({ lanes }) => lanes.flat())
        const files = slices.flatMap((slice) => slice.files ?? [])
        return {
          answer: 'prepared',
          bytes: [...requests.map(({ body }) => body), ...files.map(({ bytes }) => bytes)].reduce((sum, { length }) => sum + length, 0),
        }
      }
      case 'send': {
        const slice = slices[message.slice]!
        return slice.files === undefined ? send(slice, message.to) : put(slice, message.to)
      }
      case 'serve':
        return { answer: 'serving', address: await serve(message.spec) }
    }
  }
  process.on('message', (message: ToSender) => {
    answer(message).then(say, (error: unknown) => say({ answer: 'failed', reason: error instanceof Error ? error.message : String(error) }))
  })
  process.on('disconnect', () => process.exit(0))
}
