/** Tags and their values, for completion: read from the newest spans. */
import type { FastifyInstance } from 'fastify'
import { abortOnClose, paramsOf } from '../../../lib/http/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { TagScope, TagValue } from '../../shard/traces/index.ts'
import { compileQuery } from '../../traceql/index.ts'
import type { TempoApiDeps } from './index.ts'
import { countParam, rangeOf } from './params.ts'

const INTRINSICS = [
  'duration', 'event:name', 'event:timeSinceStart', 'instrumentation:name', 'instrumentation:version', 'kind', 'name', 'rootName', 'rootServiceName',
  'span:duration', 'span:kind', 'span:name', 'span:status', 'span:statusMessage', 'status', 'statusMessage', 'trace:duration', 'trace:rootName',
  'trace:rootService', 'traceDuration',
] // prettier-ignore

const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  status: ['error', 'ok', 'unset'],
  'span:status': ['error', 'ok', 'unset'],
  kind: ['client', 'consumer', 'internal', 'producer', 'server', 'unspecified'],
  'span:kind': ['client', 'consumer', 'internal', 'producer', 'server', 'unspecified'],
}

const SCOPES: readonly TagScope[] = ['resource', 'span', 'event', 'link', 'instrumentation']
const VALUES = 1000
const VALUES_MAX = 10_000

export function tagRoutes(app: FastifyInstance, deps: TempoApiDeps): void {
  app.get('/api/v2/search/tags', async (request, reply) => {
    const params = paramsOf(request)
    const only = params.get('scope')
    const { startMs, endMs } = rangeOf(params, deps.clock.now())
    const tags = await deps.readerOf(request.tenant).tags(startMs, endMs, filterOf(params), abortOnClose(reply))
    const scopes = SCOPES.map((name) => ({ name: name as string, tags: tags[name] })).filter(({ tags: found }) => found.length > 0)
    scopes.push({ name: 'intrinsic', tags: INTRINSICS })
    return reply.send({ scopes: only === null || only === '' || only === 'none' ? scopes : scopes.filter((scope) => scope.name === only) })
  })

  app.get('/api/search/tags', async (request, reply) => {
    const { startMs, endMs } = rangeOf(paramsOf(request), deps.clock.now())
    const tags = await deps.readerOf(request.tenant).tags(startMs, endMs, '{}', abortOnClose(reply))
    return reply.send({ tagNames: [...new Set(SCOPES.flatMap((scope) => tags[scope]))].sort() })
  })

  app.get<{ Params: { name: string } }>('/api/v2/search/tag/:name/values', async (request, reply) => {
    const params = paramsOf(request)
    const range = { ...rangeOf(params, deps.clock.now()), query: filterOf(params), limit: countParam(params, 'limit', VALUES, VALUES_MAX) }
    const values = await valuesOf(deps, request.tenant, request.params.name, range, abortOnClose(reply))
    return reply.send({ tagValues: values })
  })

  app.get<{ Params: { name: string } }>('/api/search/tag/:name/values', async (request, reply) => {
    const range = { ...rangeOf(paramsOf(request), deps.clock.now()), query: '{}', limit: VALUES }
    const values = await valuesOf(deps, request.tenant, `.${request.params.name.replace(/^\./, '')}`, range, abortOnClose(reply))
    return reply.send({ tagValues: values.map((value) => value.value) })
  })
}

/** A filter that isn't whole yet (it is being typed) filters nothing. */
function filterOf(params: URLSearchParams): string {
  const query = params.get('q') ?? ''
  try {
    compileQuery(query)
    return query === '' ? '{}' : query
  } catch {
    return '{}'
  }
}

type ShownValue = { readonly type: TagValue['type'] | 'keyword'; readonly value: string }

async function valuesOf(
  deps: TempoApiDeps,
  tenant: string,
  tag: string,
  range: { startMs: number; endMs: number; query: string; limit: number },
  signal: AbortSignal,
): Promise<readonly ShownValue[]> {
  const reader = deps.readerOf(tenant)
  const keywords = KEYWORDS[tag]
  if (keywords !== undefined) return keywords.map((value) => ({ type: 'keyword' as const, value }))
  if (tag === 'name' || tag === 'span:name' || tag === 'rootName' || tag === 'trace:rootName') {
    return texts(
      (await reader.operations(signal)).map((operation) => operation.name),
      range.limit,
    )
  }
  if (tag === 'rootServiceName' || tag === 'trace:rootService' || tag === 'resource.service.name') {
    return texts(
      (await reader.operations(signal)).map((operation) => operation.service),
      range.limit,
    )
  }
  const match = /^(resource|span|event|link|instrumentation)?\.(.+)$/s.exec(tag)
  if (match === null && INTRINSICS.includes(tag)) return []
  if (match === null)
    throw new SightlineError(
      'bad_data',
      `cannot list values of "${tag}": not an attribute (.name, span.name, resource.name) and not an intrinsic`,
    )
  const name = match[2]!.replace(/^"(.*)"$/s, '$1')
  return reader.tagValues(match[1] as TagScope | undefined, name, range, signal)
}

function texts(values: readonly string[], limit: number): ShownValue[] {
  return [...new Set(values)]
    .filter((value) => value !== '')
    .sort()
    .slice(0, limit)
    .map((value) => ({ type: 'string', value }))
}
