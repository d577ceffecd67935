/**
 * The Jaeger query API (the JSON of its v1), mounted under `/jaeger`: services, operations, searches, traces by id, dependencies. Times are microseconds, as
 * integers. Errors are in Jaeger's envelope `{"errors":[{code,msg}]}`.
 */
import type { FastifyPluginAsync } from 'fastify'
import type { TenantLimits } from '../../../lib/config/index.ts'
import { abortOnClose, errorHeaders, paramsOf } from '../../../lib/http/index.ts'
import { parseGoDuration } from '../../../lib/model/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import { ERROR_KINDS, kindOf, messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import type { TracesReader } from '../../shard/traces/index.ts'
import type { QueryGate } from '../gate.ts'
import { jaegerTrace } from './trace-json.ts'

export interface JaegerApiDeps {
  readonly readerOf: (tenant: string) => TracesReader
  readonly limitsOf: (tenant: string) => TenantLimits
  readonly gate: QueryGate
  readonly clock: Clock
  readonly onError: (error: unknown, where: string) => void
}

const LIMIT = 100
const LIMIT_MAX = 1500
/** Where a search names no time. */
const LOOKBACK_MS = 48 * 3_600_000

export function jaegerApi(deps: JaegerApiDeps): FastifyPluginAsync {
  return async (app) => {
    app.setErrorHandler((error, request, reply) => {
      const kind = kindOf(error)
      if (kind === 'internal' || kind === 'corruption') deps.onError(error, `${request.method} ${request.url}`)
      const code = ERROR_KINDS[kind].http
      void reply
        .code(code)
        .headers(errorHeaders(error, kind))
        .send({ data: null, total: 0, limit: 0, offset: 0, errors: [{ code, msg: messageOf(error) }] })
    })

    app.get('/api/services', async (request, reply) => {
      const operations = await deps.readerOf(request.tenant).operations(abortOnClose(reply))
      return reply.send(listJson([...new Set(operations.map((operation) => operation.service))].filter((service) => service !== '').sort()))
    })

    app.get<{ Params: { service: string } }>('/api/services/:service/operations', async (request, reply) => {
      const operations = await deps.readerOf(request.tenant).operations(abortOnClose(reply))
      return reply.send(listJson(namesOf(operations, request.params.service)))
    })

    app.get('/api/operations', async (request, reply) => {
      const service = paramsOf(request).get('service') ?? ''
      const operations = await deps.readerOf(request.tenant).operations(abortOnClose(reply))
      return reply.send(listJson(namesOf(operations, service).map((name) => ({ name, spanKind: '' }))))
    })

    app.get('/api/traces', async (request, reply) => {
      const params = paramsOf(request)
      const signal = abortOnClose(reply)
      const ids = params.getAll('traceID')
      const reader = deps.readerOf(request.tenant)
      const found =
        ids.length > 0
          ? await Promise.all(ids.slice(0, LIMIT_MAX).map((id) => reader.traceById(idOf(id), signal)))
          : await deps.gate.runWithin(request.tenant, signal, deps.limitsOf(request.tenant).query_timeout, (either) =>
              reader.find(searchOf(params, deps.clock.now()), either),
            )
      return reply.send(listJson(found.filter((bytes) => bytes !== undefined).map(jaegerTrace)))
    })

    app.get<{ Params: { id: string } }>('/api/traces/:id', async (request, reply) => {
      const bytes = await deps.readerOf(request.tenant).traceById(idOf(request.params.id), abortOnClose(reply))
      if (bytes === undefined) throw new SightlineError('not_found', 'trace not found')
      return reply.send(listJson([jaegerTrace(bytes)]))
    })

    app.get('/api/dependencies', async (request, reply) => {
      const params = paramsOf(request)
      const endMs = Number(params.get('endTs') ?? deps.clock.now())
      const lookbackMs = Number(params.get('lookback') ?? 86_400_000)
      if (!Number.isFinite(endMs) || !Number.isFinite(lookbackMs))
        throw new SightlineError('bad_data', 'unable to parse endTs or lookback: milliseconds are expected')
      const calls = await deps.readerOf(request.tenant).dependencies(endMs - lookbackMs, endMs, abortOnClose(reply))
      return reply.send(listJson(calls.map(({ parent, child, calls: callCount }) => ({ parent, child, callCount }))))
    })
  }
}

function listJson(data: readonly unknown[]): object {
  return { data, total: data.length, limit: 0, offset: 0, errors: null }
}

function namesOf(operations: readonly { service: string; name: string }[], service: string): string[] {
  return [...new Set(operations.filter((operation) => operation.service === service).map((operation) => operation.name))].sort()
}

function idOf(text: string): Uint8Array {
  if (!/^[0-9a-fA-F]{1,32}$/.test(text))
    throw new SightlineError('bad_data', `cannot parse trace id "${text.slice(0, 100)}": at most 32 hex digits are expected`)
  return new Uint8Array(Buffer.from(text.padStart(32, '0'), 'hex'))
}

/** Jaeger's search parameters as TraceQL. */
function searchOf(params: URLSearchParams, nowMs: number): { query: string; startMs: number; endMs: number; limit: number } {
  const service = params.get('service') ?? ''
  if (service === '') throw new SightlineError('bad_data', "parameter 'service' is required")
  const parts = [`resource.service.name = ${JSON.stringify(service)}`]
  const operation = params.get('operation')
  if (operation !== null && operation !== '' && operation !== 'all') parts.push(`name = ${JSON.stringify(operation)}`)
  for (const [name, op] of [
    ['minDuration', '>='],
    ['maxDuration', '<='],
  ] as const) {
    const text = params.get(name)
    if (text === null || text === '') continue
    const ns = parseGoDuration(text)
    if (ns === undefined) throw new SightlineError('bad_data', `could not parse ${name}: ${text} is no duration`)
    parts.push(`duration ${op} ${ns}ns`)
  }
  for (const [key, value] of tagsOf(params)) parts.push(tagCondition(key, value))
  const limit = Number(params.get('limit') ?? LIMIT)
  if (!Number.isInteger(limit) || limit < 0) throw new SightlineError('bad_data', `could not parse limit: ${params.get('limit')}`)
  const endMs = microsParam(params, 'end') ?? nowMs
  return {
    query: `{ ${parts.join(' && ')} }`,
    startMs: microsParam(params, 'start') ?? endMs - LOOKBACK_MS,
    endMs,
    limit: Math.min(limit === 0 ? LIMIT : limit, LIMIT_MAX),
  }
}

/** `tags={"k":"v"}`, and `tag=k:v` as often as wanted. */
function tagsOf(params: URLSearchParams): [string, string][] {
  const out: [string, string][] = params.getAll('tag').map((tag) => {
    const colon = tag.indexOf(':')
    if (colon === -1) throw new SightlineError('bad_data', `malformed 'tag' parameter, expecting key:value, received: ${tag}`)
    return [tag.slice(0, colon), tag.slice(colon + 1)]
  })
  const text = params.get('tags')
  if (text === null || text === '') return out
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new SightlineError('bad_data', "malformed 'tags' parameter, cannot unmarshal JSON")
  }
  if (parsed === null || typeof parsed !== 'object')
    throw new SightlineError('bad_data', "malformed 'tags' parameter, an object is expected")
  return [...out, ...Object.entries(parsed).map(([key, value]) => [key, String(value)] as [string, string])]
}

/** Jaeger compares texts; an attribute may be a number or a truth value. `error=true` is the status. */
function tagCondition(key: string, value: string): string {
  if (key === 'error') return value === 'true' ? 'status = error' : 'status != error'
  const field = `.${JSON.stringify(key)}`
  const options = [`${field} = ${JSON.stringify(value)}`]
  if (value !== '' && Number.isFinite(Number(value))) options.push(`${field} = ${Number(value)}`)
  if (value === 'true' || value === 'false') options.push(`${field} = ${value}`)
  return options.length === 1 ? options[0]! : `(${options.join(' || ')})`
}

function microsParam(params: URLSearchParams, name: string): number | undefined {
  const text = params.get(name)
  if (text === null || text === '') return undefined
  const micros = Number(text)
  if (!Number.isFinite(micros))
    throw new SightlineError('bad_data', `unable to parse param '${name}': ${text} is no Unix time in microseconds`)
  return micros / 1000
}
