/** `labels`, `label/<name>/values`, `series`, `index/stats`, `index/volume`, `index/volume_range`: what streams there are, and how large. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { paramsOf } from '../../../lib/http/index.ts'
import { labelsKey, labelsToObject, type Labels } from '../../../lib/model/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { LogsReader, StreamsRequest } from '../../shard/logs/index.ts'
import { both, gated, sendJson, type LokiApiDeps } from './deps.ts'
import { limitParam, matchersOf, rangeParam, requiredQuery, stepParam } from './params.ts'
import { volumesOf, type VolumeOptions } from './volume.ts'

const SINCE_MS = 6 * 3_600_000
const VOLUME_LIMIT = 100
const VOLUME_STEPS_MAX = 250

export function labelRoutes(app: FastifyInstance, deps: LokiApiDeps): void {
  indexRoutes(app, deps)
  for (const path of ['/labels', '/label']) {
    both(app, path, async (request, reply) => {
      const streams = streamsRequest(deps, paramsOf(request))
      const reader = deps.readerOf(request.tenant)
      const data = await gated(deps, request, reply, (signal) => reader.labelNames(streams, signal))
      return sendJson(reply, { status: 'success', data, ...warningsOf(reader) })
    })
  }

  both(app, '/label/:name/values', async (request, reply) => {
    const { name } = request.params as { name: string }
    const streams = streamsRequest(deps, paramsOf(request))
    const reader = deps.readerOf(request.tenant)
    const data = await gated(deps, request, reply, (signal) => reader.labelValues(name, streams, signal))
    return sendJson(reply, { status: 'success', data, ...warningsOf(reader) })
  })

  both(app, '/series', async (request, reply) => {
    const params = paramsOf(request)
    const selectors = [...params.getAll('match[]'), ...params.getAll('match')]
    const { startMs, endMs } = streamsRequest(deps, params)
    const requests = (selectors.length === 0 ? [''] : selectors).map((text) => ({ matchers: matchersOf(text), startMs, endMs }))
    const reader = deps.readerOf(request.tenant)
    const found = await gated(deps, request, reply, (signal) => Promise.all(requests.map((one) => reader.series(one, signal))))
    const byKey = new Map<string, Labels>(found.flat().map((labels) => [labelsKey(labels), labels]))
    return sendJson(reply, { status: 'success', data: [...byKey.values()].map(labelsToObject), ...warningsOf(reader) })
  })
}

function warningsOf({ notes }: LogsReader): { warnings?: string[] } {
  const warnings = notes.warnings()
  return warnings.length === 0 ? {} : { warnings }
}

function indexRoutes(app: FastifyInstance, deps: LokiApiDeps): void {
  both(app, '/index/stats', async (request, reply) => {
    const params = paramsOf(request)
    requiredQuery(params)
    const streams = streamsRequest(deps, params)
    return sendJson(reply, await gated(deps, request, reply, (signal) => deps.readerOf(request.tenant).stats(streams, signal)))
  })

  both(app, '/index/volume', async (request, reply) => {
    const { streams, options } = volumeCall(deps, request)
    const volumes = await gated(deps, request, reply, (signal) => deps.readerOf(request.tenant).volume(streams, signal))
    const result = volumesOf(volumes, options).map(({ labels, bytes }) => ({
      metric: labelsToObject(labels),
      value: [streams.endMs / 1000, String(bytes)],
    }))
    return sendJson(reply, { status: 'success', data: { resultType: 'vector', result } })
  })

  both(app, '/index/volume_range', async (request, reply) => {
    const { streams, options } = volumeCall(deps, request)
    const { startMs, endMs } = streams
    const stepMs = stepParam(paramsOf(request), { start: { ms: startMs, subNs: 0 }, end: { ms: endMs, subNs: 0 } })
    const steps = Math.ceil((endMs - startMs) / stepMs)
    if (steps > VOLUME_STEPS_MAX)
      throw new SightlineError(
        'bad_data',
        `exceeded maximum resolution of ${VOLUME_STEPS_MAX} points per volume. Try increasing the value of the step parameter`,
      )
    const series = new Map<string, { labels: Labels; total: number; values: [number, string][] }>()
    await gated(deps, request, reply, async (signal) => {
      for (let from = startMs; from < endMs; from += stepMs) {
        const part = { ...streams, startMs: from, endMs: Math.min(endMs, from + stepMs) - 1 }
        for (const { labels, bytes } of volumesOf(await deps.readerOf(request.tenant).volume(part, signal), {
          ...options,
          limit: Infinity,
        })) {
          const one = series.get(labelsKey(labels)) ?? { labels, total: 0, values: [] }
          series.set(labelsKey(labels), one)
          one.total += bytes
          one.values.push([from / 1000, String(bytes)])
        }
      }
    })
    const result = [...series.values()]
      .sort((a, b) => b.total - a.total)
      .slice(0, options.limit)
      .map(({ labels, values }) => ({ metric: labelsToObject(labels), values }))
    return sendJson(reply, { status: 'success', data: { resultType: 'matrix', result } })
  })
}

export function streamsRequest(deps: LokiApiDeps, params: URLSearchParams): StreamsRequest {
  const { start, end } = rangeParam(params, deps.clock.now(), SINCE_MS)
  return { matchers: matchersOf(params.get('query') ?? ''), startMs: start.ms, endMs: end.ms }
}

function volumeCall(deps: LokiApiDeps, request: FastifyRequest): { streams: StreamsRequest; options: VolumeOptions } {
  const params = paramsOf(request)
  const query = requiredQuery(params)
  const streams = streamsRequest(deps, params)
  const by = params.get('aggregateBy') ?? ''
  if (by !== '' && by !== 'series' && by !== 'labels')
    throw new SightlineError('bad_data', 'invalid aggregateBy option, must be series or labels')
  const targets = params
    .getAll('targetLabels')
    .flatMap((text) => text.split(','))
    .filter((name) => name !== '')
  const names = targets.length > 0 ? targets : matchersOf(query).map(({ name }) => name)
  return { streams, options: { names, byNames: by === 'labels', limit: limitParam(params, VOLUME_LIMIT) } }
}
