/** `labels`, `label/<name>/values`, `series`, `metadata`, `status/tsdb`: what is there. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { abortOnClose, paramsOf } from '../../../lib/http/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { QueryNotes } from '../../shard/index.ts'
import { sendData, streamData } from './envelope.ts'
import type { PrometheusApiDeps } from './index.ts'
import { writeLabels } from './json.ts'
import { limitParam, rangeParam, selectorsParam, unescapeName } from './params.ts'
import { both } from './query-routes.ts'

const TRUNCATED = 'results truncated due to limit'

export function seriesRoutes(app: FastifyInstance, deps: PrometheusApiDeps): void {
  both(app, '/api/v1/labels', async (request, reply) => {
    const params = paramsOf(request)
    const limit = limitParam(params)
    const query = { selectors: selectorsParam(params), ...rangeParam(params), limit: oneMore(limit) }
    const reader = deps.readerOf(request.tenant)
    return sendTexts(reply, await reader.labelNames(query, abortOnClose(reply)), limit, reader.notes)
  })

  app.get<{ Params: { name: string } }>('/api/v1/label/:name/values', async (request, reply) => {
    const params = paramsOf(request)
    const limit = limitParam(params)
    const name = unescapeName(request.params.name)
    const query = { selectors: selectorsParam(params), ...rangeParam(params), limit: oneMore(limit) }
    const reader = deps.readerOf(request.tenant)
    return sendTexts(reply, await reader.labelValues(name, query, abortOnClose(reply)), limit, reader.notes)
  })

  both(app, '/api/v1/series', async (request, reply) => {
    const params = paramsOf(request)
    const limit = limitParam(params)
    const selectors = selectorsParam(params)
    if (selectors.length === 0) throw new SightlineError('bad_data', 'no match[] parameter provided')
    const query = { selectors, ...rangeParam(params), limit: oneMore(limit) }
    const reader = deps.readerOf(request.tenant)
    const series = await reader.series(query, abortOnClose(reply))
    const shown = limit > 0 ? series.slice(0, limit) : series
    const pieces = function* (): Generator<string> {
      yield '['
      for (const [i, labels] of shown.entries()) yield `${i === 0 ? '' : ','}${writeLabels(labels)}`
      yield ']'
    }
    return streamData(reply, pieces(), { warnings: warningsOf(reader.notes, shown.length < series.length) }, undefined)
  })

  app.get('/api/v1/metadata', async (request, reply) => {
    const params = paramsOf(request)
    const perMetric = limitParam(params, 'limit_per_metric')
    const metadata = await deps
      .readerOf(request.tenant)
      .metadata(params.get('metric') ?? undefined, limitParam(params), abortOnClose(reply))
    const data = [...metadata].map(([family, variants]) => {
      const shown = perMetric > 0 ? variants.slice(0, perMetric) : variants
      return [family, shown.map(({ type, help, unit }) => ({ type, unit, help }))] as const
    })
    return sendData(reply, Object.fromEntries(data))
  })

  app.get('/api/v1/status/tsdb', async (request, reply) => {
    const limit = limitParam(paramsOf(request)) || 10
    const c = await deps.readerOf(request.tenant).cardinality(limit, abortOnClose(reply))
    const { numSeries, numLabelPairs, numChunks: chunkCount, minMs: minTime, maxMs: maxTime } = c
    return sendData(reply, {
      headStats: { numSeries, numLabelPairs, chunkCount, minTime, maxTime },
      seriesCountByMetricName: c.seriesCountByMetricName.slice(0, limit),
      labelValueCountByLabelName: c.labelValueCountByLabelName.slice(0, limit),
      memoryInBytesByLabelName: c.memoryInBytesByLabelName.slice(0, limit),
      seriesCountByLabelValuePair: c.seriesCountByLabelValuePair.slice(0, limit),
    })
  })
}

/** One more than asked for is fetched, to know whether there was more. */
function oneMore(limit: number): number {
  return limit === 0 ? 0 : limit + 1
}

function sendTexts(reply: FastifyReply, texts: readonly string[], limit: number, notes: QueryNotes): FastifyReply {
  const isCut = limit > 0 && texts.length > limit
  return sendData(reply, isCut ? texts.slice(0, limit) : texts, { warnings: warningsOf(notes, isCut) })
}

function warningsOf(notes: QueryNotes, isCut: boolean): string[] {
  return [...notes.warnings(), ...(isCut ? [TRUNCATED] : [])]
}
