/**
 * A small HTTP service: routes with JSON in and out, `/metrics`, `/healthz`, one server span and one log line a request, calls to other services
 * with the trace passed on. The four services of the shop are routes on top of it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { SpanKind, SpanStatusCode, type Span } from '@opentelemetry/api'
import { Counter, Histogram, type Registry } from 'prom-client'
import {
  createRegistry,
  inCallersTrace,
  inSpan,
  logTo,
  startTracing,
  traceHeaders,
  traceIds,
  type Fields,
  type Level,
} from './telemetry.ts'

export type Json = Readonly<Record<string, unknown>>

/** What a route gets. */
export interface Call {
  readonly query: URLSearchParams
  readonly body: Json
}

export interface Tools {
  readonly registry: Registry
  readonly log: (level: Level, message: string, fields?: Fields) => void
  /** Asks another service, by its name. Errors: `Refusal` with its status. */
  readonly ask: (service: string, method: 'GET' | 'POST', path: string, body?: Json) => Promise<Json>
}

/** Keys are `METHOD /path`. */
export type Routes = Readonly<Record<string, (call: Call) => Promise<Json>>>

/** Ends a request with this status. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const BODY_BYTES_MAX = 64 * 1024
const CALL_TIMEOUT_MS = 5000
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/**
 * Runs a service until SIGTERM, SIGINT, or the end of the process that started it.
 * Arguments: `--port` (0 picks one), `--namespace`, `--pod`, `--peer NAME=URL` for each service it calls. The first line of output is
 * `{"msg":"listening","url":…}`.
 */
export async function runService(service: string, routesOf: (tools: Tools) => Routes): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      namespace: { type: 'string', default: 'shop' },
      pod: { type: 'string', default: `${service}-0` },
      peer: { type: 'string', multiple: true, default: [] },
    },
  })
  const peers = new Map(values.peer.map((peer) => peer.split(/=(.*)/s).slice(0, 2) as [string, string]))
  const stopTracing = startTracing({ service, namespace: values.namespace, pod: values.pod })
  // prom-client's types tie a metric to the registry's text format; a metric is the same in both.
  const registry = createRegistry() as unknown as Registry
  const log = logTo(service)
  const ask = askOf(peers)
  const server = createServer(listenerOf(routesOf({ registry, log, ask }), { registry, log }))
  await new Promise<void>((resolve) => server.listen(Number(values.port), '127.0.0.1', resolve))
  log('info', 'listening', { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  stopOnSignal(server, log, stopTracing)
}

function stopOnSignal(server: Server, log: Tools['log'], stopTracing: () => Promise<void>): void {
  let isStopping = false
  const stop = async (): Promise<void> => {
    if (isStopping) return
    isStopping = true
    log('info', 'stopping')
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeIdleConnections()
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CALL_TIMEOUT_MS))])
    await stopTracing()
    process.exit(0)
  }
  process.once('SIGTERM', () => void stop())
  process.once('SIGINT', () => void stop())
  process.once('disconnect', () => void stop())
}

function askOf(peers: ReadonlyMap<string, string>): Tools['ask'] {
  return async (service, method, path, body) => {
    const url = peers.get(service)
    if (url === undefined) throw new Error(`cannot call ${service}: start with --peer ${service}=URL`)
    return inSpan(`${method} ${service}`, SpanKind.CLIENT, { 'http.request.method': method, 'peer.service': service }, async (span) => {
      const response = await fetch(new URL(path, url), {
        method,
        headers: { 'content-type': 'application/json', ...traceHeaders() },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      })
      span.setAttribute('http.response.status_code', response.status)
      const answer = (await response.json()) as Json
      if (!response.ok) throw new Refusal(response.status, `${service} answered ${response.status}: ${String(answer['error'])}`)
      return answer
    })
  }
}

function listenerOf(routes: Routes, { registry, log }: Pick<Tools, 'registry' | 'log'>) {
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_SECONDS,
    enableExemplars: true,
    registers: [registry],
  })
  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests answered.',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  })

  const serve = async (request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams): Promise<void> => {
    const method = request.method ?? 'GET'
    const handler = routes[`${method} ${path}`]
    // A path nobody serves must not become a label value.
    const route = handler === undefined ? 'unknown' : path
    const startMs = performance.now()
    await inSpan(`${method} ${route}`, SpanKind.SERVER, { 'http.request.method': method, 'http.route': route }, async (span) => {
      const { status, answer } = await answerOf(handler, request, query, span)
      send(response, status, answer)
      const seconds = (performance.now() - startMs) / 1000
      const labels = { method, route, status: String(status) }
      duration.observe({ labels, value: seconds, exemplarLabels: traceIds() })
      requests.inc(labels)
      const level = status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info'
      const cause = status >= 400 ? { error: String(answer['error']) } : {}
      log(level, 'request', { method, route, status, duration_ms: Math.round(seconds * 1e5) / 100, ...cause })
    })
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === '/healthz') return send(response, 200, { status: 'ok' })
    const work = pathname === '/metrics' ? expose(response, registry) : serveInTrace(request, response, pathname, searchParams)
    work.catch((error: unknown) => {
      log('error', 'cannot answer', { error: String(error) })
      if (!response.headersSent) send(response, 500, { error: 'internal' })
    })
  }

  function serveInTrace(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams): Promise<void> {
    return inCallersTrace(request.headers, () => serve(request, response, path, query))
  }
}

/** The status and body for a request; a `Refusal` of a route or of a service behind it becomes ours. */
async function answerOf(
  handler: Routes[string] | undefined,
  request: IncomingMessage,
  query: URLSearchParams,
  span: Span,
): Promise<{ status: number; answer: Json }> {
  let status = 200
  let answer: Json
  try {
    if (handler === undefined) throw new Refusal(404, 'no such route')
    answer = await handler({ query, body: await bodyOf(request) })
  } catch (error) {
    status = error instanceof Refusal ? error.status : 500
    answer = { error: (error as Error).message }
    span.recordException(error as Error)
    if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message })
  }
  span.setAttribute('http.response.status_code', status)
  return { status, answer }
}

async function bodyOf(request: IncomingMessage): Promise<Json> {
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > BODY_BYTES_MAX) throw new Refusal(413, `cannot read a body of more than ${BODY_BYTES_MAX} bytes`)
  }
  if (text === '') return {}
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new Refusal(400, 'cannot read the body: not JSON')
  }
}

async function expose(response: ServerResponse, registry: Registry): Promise<void> {
  const text = await registry.metrics()
  response.writeHead(200, { 'content-type': registry.contentType }).end(text)
}

function send(response: ServerResponse, status: number, answer: Json): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(answer)}\n`)
}

/** Resolves after a random time between the two: work that takes time. */
export function busy(minMs: number, maxMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, minMs + Math.random() * (maxMs - minMs)))
}
