/**
 * The Tempo HTTP API, mounted under `/tempo`: traces by id, TraceQL search, tags and their values. Trace ids may come short and are padded.
 *
 * Bodies are what Grafana's plugin decodes: protobuf for traces, and for searches exactly the keys its protobuf knows (it refuses others). Errors are
 * plain text. TraceQL metrics answer that they are not built.
 */
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { TenantLimits } from '../../../lib/config/index.ts'
import { abortOnClose, errorHeaders, paramsOf } from '../../../lib/http/index.ts'
import { parseGoDuration } from '../../../lib/model/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import { ERROR_KINDS, kindOf, messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import { ProtoWriter } from '../../../lib/wire/protobuf/index.ts'
import type { TracesReader } from '../../shard/traces/index.ts'
import type { QueryGate } from '../gate.ts'
import { searchJson } from './json.ts'
import { countParam, rangeOf, traceIdOf } from './params.ts'
import { tagRoutes } from './tag-routes.ts'

export interface TempoApiDeps {
  readonly readerOf: (tenant: string) => TracesReader
  readonly limitsOf: (tenant: string) => TenantLimits
  readonly gate: QueryGate
  readonly clock: Clock
  readonly build: { readonly version: string; readonly revision: string }
  readonly onError: (error: unknown, where: string) => void
}

const LIMIT = 20
const LIMIT_MAX = 1000
const SPANS_PER_SPANSET = 3
const SPANS_PER_SPANSET_MAX = 1000

export function tempoApi(deps: TempoApiDeps): FastifyPluginAsync {
  return async (app) => {
    app.setErrorHandler((error, request, reply) => {
      const kind = kindOf(error)
      if (kind === 'internal' || kind === 'corruption') deps.onError(error, `${request.method} ${request.url}`)
      void reply.code(ERROR_KINDS[kind].http).headers(errorHeaders(error, kind)).type('text/plain; charset=utf-8').send(messageOf(error))
    })

    app.get('/api/echo', { config: { permission: 'none' } }, async (_request, reply) => reply.type('text/plain').send('echo'))

    app.get('/api/status/buildinfo', async (_request, reply) =>
      reply.send({ version: deps.build.version, revision: deps.build.revision, branch: '', buildUser: '', buildDate: '', goVersion: '' }),
    )

    app.get<{ Params: { id: string } }>('/api/traces/:id', async (request, reply) => {
      const bytes = await deps.readerOf(request.tenant).traceById(traceIdOf(request.params.id), abortOnClose(reply))
      if (bytes === undefined) return notFound(reply, request.params.id)
      return reply.type('application/protobuf').send(Buffer.from(bytes))
    })

    app.get<{ Params: { id: string } }>('/api/v2/traces/:id', async (request, reply) => {
      const reader = deps.readerOf(request.tenant)
      const bytes = await reader.traceById(traceIdOf(request.params.id), abortOnClose(reply))
      if (bytes === undefined) return notFound(reply, request.params.id)
      // TraceByIDResponse { 1 trace, 3 status: COMPLETE (0, not written) or PARTIAL (1), 4 message }
      const message = reader.notes.warnings().join('; ')
      const writer = new ProtoWriter(bytes.length + 16 + message.length)
      writer.bytes(1, bytes)
      if (message !== '') {
        writer.uint(3, 1)
        writer.bytes(4, Buffer.from(message))
      }
      return reply.type('application/protobuf').send(Buffer.from(writer.take()))
    })

    app.get('/api/search', async (request, reply) => {
      const params = paramsOf(request)
      const signal = abortOnClose(reply)
      const search = {
        query: queryOf(params),
        ...rangeOf(params, deps.clock.now()),
        limit: countParam(params, 'limit', LIMIT, LIMIT_MAX),
        spansPerSpanset: countParam(params, 'spss', SPANS_PER_SPANSET, SPANS_PER_SPANSET_MAX),
      }
      const { query_timeout } = deps.limitsOf(request.tenant)
      const reader = deps.readerOf(request.tenant)
      const answer = await deps.gate.runWithin(request.tenant, signal, query_timeout, (either) => reader.search(search, either))
      return reply.send(searchJson(answer, reader.notes))
    })

    for (const path of ['/api/metrics/query_range', '/api/metrics/query']) {
      app.get(path, async () => {
        throw new SightlineError('bad_data', 'TraceQL metrics are not built yet')
      })
    }
    tagRoutes(app, deps)
  }
}

function notFound(reply: FastifyReply, id: string): FastifyReply {
  return reply.code(404).type('text/plain').send(`trace not found: ${id}`)
}

/** TraceQL in `q`, or the older `tags` (logfmt), `minDuration` and `maxDuration`. */
function queryOf(params: URLSearchParams): string {
  const query = params.get('q')
  if (query !== null && query !== '') return query
  const parts = [...(params.get('tags') ?? '').matchAll(/([^\s=]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g)].map(([, name, quoted, bare]) => {
    const value = JSON.stringify(quoted ?? bare ?? '')
    return name === 'name' ? `name = ${value}` : `.${/^[\w.-]+$/.test(name!) ? name : JSON.stringify(name)} = ${value}`
  })
  for (const [name, op] of [
    ['minDuration', '>='],
    ['maxDuration', '<='],
  ] as const) {
    const text = params.get(name)
    if (text === null || text === '') continue
    if (parseGoDuration(text) === undefined) throw new SightlineError('bad_data', `invalid ${name}: ${text} is no duration`)
    parts.push(`duration ${op} ${text}`)
  }
  return `{ ${parts.join(' && ')} }`
}
