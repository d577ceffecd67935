/**
 * One HTTP listener: raw ingest routes first, everything else is fastify's.
 *
 * Raw routes get the whole body as one buffer without fastify's parsers (a third less CPU per MiB, measured). They have no fastify
 * hooks, so authentication, tenants and limits are functions that both ways call.
 */
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyReply, type FastifyRequest } from 'fastify'
import type { ListenAddress } from '../config/index.ts'
import { ERROR_KINDS, kindOf, messageOf, SightlineError, type ErrorKind } from '../runtime/errors.ts'
import type { RequestSpan, RequestTelemetry } from '../telemetry/index.ts'
import { tenantOf, type Authenticator, type Permission } from './auth.ts'
import { decompress, readBody } from './body.ts'
import { TENANT_HEADER } from './tenant.ts'
import type { WebConfig } from './web-config.ts'

export interface RawRequest {
  readonly tenant: string
  /** Whether the credentials are good for another tenant that the body names. */
  readonly allows: (tenant: string) => boolean
  readonly headers: IncomingMessage['headers']
  readonly query: URLSearchParams
  /** Decompressed (but for snappy). Valid until `handle` resolves; not shared. */
  readonly body: Buffer
}

export interface RawAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** A route that takes its whole body as bytes. */
export interface RawRoute {
  readonly method: 'POST' | 'PUT'
  readonly path: string
  readonly permission: Permission
  handle(request: RawRequest): Promise<RawAnswer>
  /** An error in this API's own envelope. Default: the message as plain text. */
  answerError?(error: unknown, kind: ErrorKind): RawAnswer
}

export interface HttpServerOptions {
  readonly listen: ListenAddress
  readonly web: WebConfig
  readonly authenticator: Authenticator
  readonly raw: readonly RawRoute[]
  readonly plugins: readonly { readonly prefix: string; readonly plugin: FastifyPluginAsync }[]
  readonly bodyBytesMax: number
  /** Requests in work at once; more are answered 429. */
  readonly requestsMax: number
  /** One line for each failed request of kind `internal` or `corruption`. */
  readonly onError: (error: unknown, where: string) => void
  /** Traces and measures requests of fastify routes; undefined while our own telemetry isn't up. */
  readonly telemetry?: () => RequestTelemetry | undefined
}

export interface HttpServer {
  readonly app: FastifyInstance
  /** `http://host:port` as it really listens. */
  readonly url: string
  close(): Promise<void>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The tenant this request may read or change. */
    tenant: string
  }
  interface FastifyContextConfig {
    /** What the route needs; default `read`. `none`: no credentials (health checks). */
    permission?: Permission | 'none'
    /** Only for credentials that are good for every tenant: other nodes, not users. */
    allTenants?: boolean
  }
}

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const routes = new Map(options.raw.map((route) => [`${route.method} ${route.path}`, route]))
  const state = { inWork: 0, isClosing: false }
  const app = fastify({
    logger: false,
    bodyLimit: options.bodyBytesMax,
    routerOptions: { maxParamLength: 4096, ignoreTrailingSlash: true },
    serverFactory: (handler) =>
      listener(options, (req, res) => {
        const path = pathOf(req.url ?? '/')
        const route = routes.get(`${req.method} ${path}`)
        if (route === undefined) return handler(req, res)
        void runRaw(options, route, req, res, state)
      }),
  })
  const spans = new WeakMap<FastifyRequest, RequestSpan>()
  addFormParser(app)
  app.decorateRequest('tenant', '')
  app.addHook('onRequest', async (request, reply) => {
    for (const [name, value] of Object.entries(options.web.headers)) void reply.header(name, value)
    const permission = request.routeOptions.config.permission ?? 'read'
    if (permission === 'none') return
    const identity = await options.authenticator.identify(request.headers.authorization)
    request.tenant = tenantOf(identity, headerOf(request.headers, TENANT_HEADER), permission)
    if (request.routeOptions.config.allTenants === true && !identity.tenants.includes('*')) {
      throw new SightlineError('forbidden', `cannot do this: the credentials of "${identity.name}" are not for all tenants`)
    }
    const route = request.routeOptions.url
    // Our own scrapes would be most of the requests that are traced.
    const telemetry = options.telemetry?.()
    if (telemetry !== undefined && route !== undefined && route !== '/metrics')
      spans.set(request, telemetry.begin(request.method, route, request.tenant))
  })
  app.addHook('onResponse', async (request, reply) => spans.get(request)?.end(reply.statusCode))
  app.setErrorHandler((error, request, reply) => sendPlainError(error, request, reply, options.onError))
  app.addHook('preClose', async () => {
    state.isClosing = true
  })
  for (const { prefix, plugin } of options.plugins) await app.register(plugin, { prefix })
  await app.listen({ host: options.listen.host, port: options.listen.port })
  const address = app.server.address()
  const port = address !== null && typeof address === 'object' ? address.port : options.listen.port
  const host = options.listen.host.includes(':') ? `[${options.listen.host}]` : options.listen.host
  return {
    app,
    url: `${options.web.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    async close() {
      const closed = app.close()
      app.server.closeIdleConnections()
      await closed
    },
  }
}

function listener(options: HttpServerOptions, handler: (req: IncomingMessage, res: ServerResponse) => void): Server {
  // A read of 256 KiB instead of 64 KiB: fewer turns of the event loop for each large body (measured).
  const settings = { highWaterMark: 256 * 1024, keepAliveTimeout: 75_000 }
  return options.web.tls === undefined ? createHttp(settings, handler) : createHttps({ ...settings, ...options.web.tls.options }, handler)
}

async function runRaw(
  options: HttpServerOptions,
  route: RawRoute,
  request: IncomingMessage,
  response: ServerResponse,
  state: { inWork: number; isClosing: boolean },
): Promise<void> {
  state.inWork++
  let answer: RawAnswer
  try {
    if (state.inWork > options.requestsMax)
      throw new SightlineError('too_many', 'cannot take the request: too many are in work', { retryAfterMs: 1000 })
    const identity = await options.authenticator.identify(request.headers.authorization)
    const tenant = tenantOf(identity, headerOf(request.headers, TENANT_HEADER), route.permission)
    const raw = await readBody(request, options.bodyBytesMax)
    const body = await decompress(raw, request.headers['content-encoding'], options.bodyBytesMax)
    const allows = (other: string): boolean => identity.tenants.includes('*') || identity.tenants.includes(other)
    answer = await route.handle({ tenant, allows, headers: request.headers, query: queryOf(request.url ?? '/'), body })
  } catch (error) {
    const kind = kindOf(error)
    if (kind === 'internal' || kind === 'corruption') options.onError(error, `${route.method} ${route.path}`)
    const given = route.answerError?.(error, kind) ?? {
      status: ingestStatus(kind),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: messageOf(error),
    }
    answer = { ...given, headers: { ...given.headers, ...errorHeaders(error, kind) } }
  } finally {
    state.inWork--
  }
  const body = answer.body === undefined ? undefined : Buffer.from(answer.body as string)
  response.writeHead(answer.status, {
    ...options.web.headers,
    ...answer.headers,
    'content-length': body?.length ?? 0,
    ...(state.isClosing || !request.complete ? { connection: 'close' } : {}),
  })
  response.end(body)
}

/** On ingest, a body over the limit is 413, where a query over a limit is 422. */
export function ingestStatus(kind: ErrorKind): number {
  return kind === 'too_large' ? 413 : ERROR_KINDS[kind].http
}

/** Headers every error answer carries, whatever its envelope: when to try again, and how to authenticate. */
export function errorHeaders(error: unknown, kind: ErrorKind): Record<string, string> {
  const retryAfterMs = error instanceof SightlineError ? error.retryAfterMs : undefined
  return {
    ...(retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }),
    ...(kind === 'unauthenticated' ? { 'www-authenticate': 'Basic realm="sightline"' } : {}),
  }
}

function sendPlainError(error: unknown, request: FastifyRequest, reply: FastifyReply, onError: HttpServerOptions['onError']): void {
  const status = (error as { statusCode?: number }).statusCode
  const kind = error instanceof SightlineError || status === undefined || status >= 500 ? kindOf(error) : 'bad_data'
  if (kind === 'internal' || kind === 'corruption') onError(error, `${request.method} ${request.url}`)
  void reply
    .code(error instanceof SightlineError || status === undefined ? ERROR_KINDS[kind].http : status)
    .headers(errorHeaders(error, kind))
    .type('text/plain; charset=utf-8')
    .send(messageOf(error))
}

/** Prometheus' and Loki's clients send queries as forms; the fields are read through `paramsOf`. */
function addFormParser(app: FastifyInstance): void {
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, new URLSearchParams(body as string)),
  )
}

/** Parameters of the form, where the body is one, then of the query string: the order of Go's `r.Form`. */
export function paramsOf(request: FastifyRequest): URLSearchParams {
  const form = request.body instanceof URLSearchParams ? [...request.body] : []
  return new URLSearchParams([...form, ...queryOf(request.raw.url ?? '/')])
}

/** Aborts when the client goes away before it has its answer. */
export function abortOnClose(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.on('close', () => {
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}

function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

function queryOf(url: string): URLSearchParams {
  const start = url.indexOf('?')
  return new URLSearchParams(start === -1 ? '' : url.slice(start + 1))
}

function headerOf(headers: IncomingMessage['headers'], name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}
