/** `detected_labels`, `detected_fields`, `detected_field/<name>/values`, `patterns`: what Grafana's Logs Drilldown asks, answered from a sample of the newest lines. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { paramsOf } from '../../../lib/http/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { parseExpr, type LogLines } from '../../logql/index.ts'
import { both, gated, queryLimits, sendJson, type LokiApiDeps } from './deps.ts'
import { detectFields } from './fields.ts'
import { streamsRequest } from './label-routes.ts'
import { limitParam, rangeParam, requiredQuery, stepParam } from './params.ts'
import { minePatterns } from './patterns.ts'

const SINCE_MS = 3_600_000
/** Lines looked at for fields, and for patterns. */
const FIELD_LINES = 1000
const PATTERN_LINES = 5000
const FIELDS_LIMIT = 1000
/** Labels that count even where all their values are ids. */
const ALWAYS: readonly string[] = ['cluster', 'namespace', 'instance', 'pod']
const ID = /^(?:[+-]?\d+(?:\.\d+)?|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})$/

export function detectedRoutes(app: FastifyInstance, deps: LokiApiDeps): void {
  both(app, '/detected_labels', async (request, reply) => {
    const streams = streamsRequest(deps, paramsOf(request))
    const series = await gated(deps, request, reply, (signal) => deps.readerOf(request.tenant).series(streams, signal))
    const values = new Map<string, Set<string>>()
    for (const labels of series) {
      for (let i = 0; i < labels.length; i += 2) {
        const known = values.get(labels[i]!) ?? new Set()
        values.set(labels[i]!, known.add(labels[i + 1]!))
      }
    }
    const detectedLabels = [...values]
      .filter(([label, all]) => ALWAYS.includes(label) || [...all].some((value) => !ID.test(value)))
      .map(([label, all]) => ({ label, cardinality: all.size }))
      .sort((a, b) => (a.label < b.label ? -1 : 1))
    return sendJson(reply, { detectedLabels })
  })

  both(app, '/detected_fields', async (request, reply) => {
    const limit = limitParam(paramsOf(request), FIELDS_LIMIT)
    const fields = detectFields(await sample(deps, request, reply, FIELD_LINES)).slice(0, limit)
    return sendJson(reply, {
      fields: fields.map(({ label, type, values, parsers, jsonPath }) => ({
        label,
        type,
        cardinality: values.size,
        parsers: parsers.size === 0 ? null : [...parsers],
        ...(jsonPath === undefined ? {} : { jsonPath }),
      })),
      limit,
    })
  })

  both(app, '/detected_field/:name/values', async (request, reply) => {
    const { name } = request.params as { name: string }
    const limit = limitParam(paramsOf(request), FIELDS_LIMIT)
    const field = detectFields(await sample(deps, request, reply, FIELD_LINES)).find(({ label }) => label === name)
    return sendJson(reply, { values: [...(field?.values ?? [])].sort().slice(0, limit), limit })
  })

  both(app, '/patterns', async (request, reply) => {
    const params = paramsOf(request)
    const stepMs = stepParam(params, rangeParam(params, deps.clock.now(), SINCE_MS))
    const patterns = minePatterns(await sample(deps, request, reply, PATTERN_LINES), stepMs)
    return sendJson(reply, {
      status: 'success',
      data: patterns.map(({ pattern, level, samples }) => ({ pattern, ...(level === '' ? {} : { level }), samples })),
    })
  })
}

/** The newest lines of the query. */
async function sample(deps: LokiApiDeps, request: FastifyRequest, reply: FastifyReply, lines: number): Promise<LogLines> {
  const params = paramsOf(request)
  const query = requiredQuery(params)
  if (parseExpr(query).kind !== 'log') throw new SightlineError('bad_data', 'parse error : only log selector is supported')
  const range = rangeParam(params, deps.clock.now(), SINCE_MS)
  const limit = Math.min(lines, limitParam(params, lines, 'line_limit'))
  const call = { query, ...range, stepMs: 0, direction: 'backward', limit } as const
  const limits = queryLimits(deps.limitsOf(request.tenant))
  const result = await gated(deps, request, reply, (signal) =>
    deps.engine.range(deps.readerOf(request.tenant).queryable, call, limits, signal),
  )
  if (result.type !== 'streams') throw new SightlineError('internal', 'BUG: a log query gave no lines')
  return result.lines
}
