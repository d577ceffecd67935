/** `query`, `query_range`, `query_exemplars`, `format_query`, `parse_query`: the calls that take an expression. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { abortOnClose, paramsOf } from '../../../lib/http/index.ts'
import { labelsToObject } from '../../../lib/model/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { extractSelectors, parseExpr, printExpr, type QueryCall, type QueryResult } from '../../promql/index.ts'
import { sendData, streamData } from './envelope.ts'
import type { PrometheusApiDeps } from './index.ts'
import { formatValue, writeResult } from './json.ts'
import { durationParam, limitParam, rangeParam, timeParam } from './params.ts'

export function queryRoutes(app: FastifyInstance, deps: PrometheusApiDeps): void {
  both(app, '/api/v1/query', async (request, reply) => {
    const params = paramsOf(request)
    const query = requiredParam(params, 'query')
    const timeMs = timeParam(params, 'time', deps.clock.now())
    const limit = limitParam(params)
    const result = await run(deps, request, reply, params, (call) =>
      deps.engine.instant(deps.readerOf(request.tenant).queryable, query, timeMs, call),
    )
    return answer(reply, result, params, limit)
  })

  both(app, '/api/v1/query_range', async (request, reply) => {
    const params = paramsOf(request)
    const query = requiredParam(params, 'query')
    const startMs = timeParam(params, 'start', Number.NaN)
    const endMs = timeParam(params, 'end', Number.NaN)
    const stepMs = durationParam(params, 'step')
    for (const [name, value] of [
      ['start', startMs],
      ['end', endMs],
      ['step', stepMs ?? Number.NaN],
    ] as const) {
      if (Number.isNaN(value))
        throw new SightlineError(
          'bad_data',
          `invalid parameter "${name}": cannot parse "" to a valid ${name === 'step' ? 'duration' : 'timestamp'}`,
        )
    }
    if (endMs < startMs) throw new SightlineError('bad_data', 'invalid parameter "end": end timestamp must not be before start time')
    checkRange(deps, request.tenant, endMs - startMs)
    const limit = limitParam(params)
    const result = await run(deps, request, reply, params, (call) =>
      deps.engine.range(deps.readerOf(request.tenant).queryable, query, startMs, endMs, stepMs!, call),
    )
    return answer(reply, result, params, limit)
  })

  both(app, '/api/v1/query_exemplars', async (request, reply) => {
    const params = paramsOf(request)
    const { startMs, endMs } = rangeParam(params)
    const selectors = extractSelectors(parseExpr(requiredParam(params, 'query'))).map((use) => use.matchers)
    const series = await deps.readerOf(request.tenant).exemplars({ selectors, startMs, endMs }, abortOnClose(reply))
    const data = series.map(({ series: labels, exemplars }) => ({
      seriesLabels: labelsToObject(labels),
      exemplars: exemplars.map((one) => ({
        labels: labelsToObject(one.labels),
        value: formatValue(one.value),
        timestamp: one.timestampMs / 1000,
      })),
    }))
    return sendData(reply, data)
  })

  both(app, '/api/v1/format_query', async (request, reply) =>
    sendData(reply, printExpr(parseExpr(requiredParam(paramsOf(request), 'query')))),
  )
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

/** GET with a query string or POST with a form. */
export function both(app: FastifyInstance, path: string, handler: Handler): void {
  app.route({ method: ['GET', 'POST'], url: path, handler })
}

function requiredParam(params: URLSearchParams, name: string): string {
  const value = params.get(name)
  if (value === null || value === '')
    throw new SightlineError('bad_data', `invalid parameter "${name}": unknown position: parse error: no expression found in input`)
  return value
}

async function run(
  deps: PrometheusApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  params: URLSearchParams,
  work: (call: QueryCall) => Promise<QueryResult>,
): Promise<QueryResult> {
  const limits = deps.limitsOf(request.tenant)
  const signal = abortOnClose(reply)
  const timeoutMs = durationParam(params, 'timeout')
  const lookbackMs = durationParam(params, 'lookback_delta')
  const call: QueryCall = {
    signal,
    samplesMax: limits.query_samples_max,
    timeoutMs: Math.min(timeoutMs ?? Infinity, limits.query_timeout),
    ...(lookbackMs === undefined ? {} : { lookbackMs }),
  }
  return deps.gate.run(request.tenant, signal, () => work(call))
}

function answer(reply: FastifyReply, result: QueryResult, params: URLSearchParams, limit: number): FastifyReply {
  const isCut = limit > 0 && 'series' in result && result.series.length > limit
  const notes = { warnings: isCut ? [...result.warnings, 'results truncated due to limit'] : result.warnings, infos: result.infos }
  return streamData(reply, writeResult(result, limit), notes, params.has('stats') ? statsJson(result) : undefined)
}

function statsJson({ stats }: QueryResult): string {
  const seconds = stats.durationMs / 1000
  return JSON.stringify({
    timings: {
      evalTotalTime: seconds,
      resultSortTime: 0,
      queryPreparationTime: 0,
      innerEvalTime: seconds,
      execQueueTime: 0,
      execTotalTime: seconds,
    },
    samples: { totalQueryableSamples: stats.samples, peakSamples: stats.samples },
  })
}

function checkRange(deps: PrometheusApiDeps, tenant: string, rangeMs: number): void {
  const maxMs = deps.limitsOf(tenant).query_range_max
  if (maxMs > 0 && rangeMs > maxMs)
    throw new SightlineError('bad_data', `the query time range is ${rangeMs} ms, at most ${maxMs} ms are allowed`)
}
