/**
 * What query nodes ask of each other, under `/sightline/api/v1/shard`: a fragment of a query over the data of this node alone, how it stands, and to wait until
 * it has applied what is in the journal. For credentials with read for all tenants only: a fragment carries its own limits.
 */
import type { FastifyPluginAsync } from 'fastify'
import { abortOnClose, paramsOf } from '../../../lib/http/index.ts'
import { ERROR_KINDS, kindOf, messageOf, SightlineError } from '../../../lib/runtime/errors.ts'
import { decodeFragmentCall, encodeFragmentAnswer, type NodeStatus } from '../../cluster/index.ts'
import type { QueryIngest } from '../../ingest/index.ts'
import { fragmentKind, type Shards } from '../../shard/index.ts'

export interface ShardApiDeps {
  readonly shards: Shards
  readonly ingest: Pick<QueryIngest, 'fresh' | 'owned'>
  readonly status: () => NodeStatus
  readonly onError: (error: unknown, where: string) => void
}

const NODES_ONLY = { allTenants: true }
/** A node that asks waits no longer itself. */
const FRESH_MS_MAX = 5 * 60_000

export function shardApi({ shards, ingest, status, onError }: ShardApiDeps): FastifyPluginAsync {
  return async (app) => {
    app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.setErrorHandler((error, request, reply) => {
      const kind = kindOf(error)
      if (kind === 'internal' || kind === 'corruption') onError(error, `${request.method} ${request.url}`)
      void reply.code(ERROR_KINDS[kind].http).send({ kind, message: messageOf(error) })
    })

    app.get('/status', { config: NODES_ONLY }, async () => status())

    app.post('/query', { config: NODES_ONLY }, async (request, reply) => {
      const { kind: name, request: fragment } = decodeFragmentCall(request.body as Buffer)
      const kind = fragmentKind(name)
      if (kind === undefined) throw new SightlineError('not_found', `cannot execute fragment ${name}: unsupported`)
      const answer = await shards.query(kind, request.tenant, fragment as never, abortOnClose(reply))
      const holdings = kind.whole === undefined ? undefined : await shards.holdings()
      return reply.type('application/octet-stream').send(encodeFragmentAnswer({ answer, holdings }))
    })

    app.post('/fresh', { config: NODES_ONLY }, async (request, reply) => {
      const timeoutMs = Math.min(FRESH_MS_MAX, Number(paramsOf(request).get('timeout_ms') ?? 0) || 0)
      const fresh = await ingest.fresh(timeoutMs, abortOnClose(reply))
      return reply.send({ fresh, owned: ingest.owned() })
    })
  }
}
