/** `query`, `query_range`, `format_query`. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { paramsOf } from '../../../lib/http/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { parseExpr, printExpr, type QueryResult } from '../../logql/index.ts'
import type { QueryNotes } from '../../shard/index.ts'
import { both, gated, queryLimits, sendJson, type LokiApiDeps } from './deps.ts'
import { writeAnswer } from './json.ts'
import { directionParam, limitParam, parseTime, rangeParam, requiredQuery, stepParam } from './params.ts'

export const LINES_DEFAULT = 100
const SINCE_MS = 3_600_000
const FLAGS_HEADER = 'x-loki-response-encoding-flags'

export function queryRoutes(app: FastifyInstance, deps: LokiApiDeps): void {
  both(app, '/query', async (request, reply) => {
    const params = paramsOf(request)
    const query = requiredQuery(params)
    const timeText = params.get('time') ?? ''
    const timeMs = timeText === '' ? deps.clock.now() : parseTime(timeText, 'time').ms
    checkedLimit(deps, request.tenant, params)
    directionParam(params)
    const limits = queryLimits(deps.limitsOf(request.tenant))
    const reader = deps.readerOf(request.tenant)
    const result = await gated(deps, request, reply, (signal) => deps.engine.instant(reader.queryable, query, timeMs, limits, signal))
    return sendResult(request, reply, result, reader.notes)
  })

  both(app, '/query_range', async (request, reply) => {
    const params = paramsOf(request)
    const query = requiredQuery(params)
    const range = rangeParam(params, deps.clock.now(), SINCE_MS)
    checkRange(deps, request.tenant, range.end.ms - range.start.ms)
    if (Number.parseFloat(params.get('interval') ?? '0') > 0)
      throw new SightlineError('bad_data', "cannot run the query: the parameter 'interval' is not built yet")
    const limit = checkedLimit(deps, request.tenant, params)
    const call = { query, ...range, stepMs: stepParam(params, range), direction: directionParam(params), limit }
    const limits = queryLimits(deps.limitsOf(request.tenant))
    const reader = deps.readerOf(request.tenant)
    const result = await gated(deps, request, reply, (signal) => deps.engine.range(reader.queryable, call, limits, signal))
    return sendResult(request, reply, result, reader.notes)
  })

  both(app, '/format_query', async (request, reply) =>
    sendJson(reply, { status: 'success', data: printExpr(parseExpr(requiredQuery(paramsOf(request)))) }),
  )
}

function checkedLimit(deps: LokiApiDeps, tenant: string, params: URLSearchParams): number {
  const limit = limitParam(params, LINES_DEFAULT)
  const max = deps.limitsOf(tenant).log_entries_max
  if (limit > max)
    throw new SightlineError('bad_data', `max entries limit per query exceeded, limit > max_entries_limit_per_query (${limit} > ${max})`)
  return limit
}

function checkRange(deps: LokiApiDeps, tenant: string, rangeMs: number): void {
  const maxMs = deps.limitsOf(tenant).query_range_max
  if (maxMs > 0 && rangeMs > maxMs)
    throw new SightlineError('bad_data', `the query time range exceeds the limit (query length: ${rangeMs}ms, limit: ${maxMs}ms)`)
}

const CHUNK_CHARS = 64 * 1024

function* chunked(pieces: Iterable<string>): Generator<string> {
  let out = ''
  for (const piece of pieces) {
    out += piece
    if (out.length < CHUNK_CHARS) continue
    yield out
    out = ''
  }
  yield out
}

function sendResult(request: FastifyRequest, reply: FastifyReply, result: QueryResult, notes: QueryNotes): FastifyReply {
  const flags = String(request.headers[FLAGS_HEADER] ?? '').split(',')
  const isCategorized = flags.some((flag) => flag.trim() === 'categorize-labels')
  return reply
    .type('application/json; charset=UTF-8')
    .send(Readable.from(chunked(writeAnswer(result, isCategorized, notes.warnings())), { objectMode: false }))
}
