/** A Loki API over log entries in memory, on a fastify of its own. */
import fastify, { type FastifyInstance } from 'fastify'
import { labelsKey, matchesAll, type Labels } from '../../../lib/model/index.ts'
import { compileMatcher } from '../../../lib/regexp/index.ts'
import { FakeClock } from '../../../lib/runtime/clock.ts'
import { createLogEngine } from '../../logql/index.ts'
import { MemorySource, queryableOf, type MemoryEntry } from '../../logql/logqltest/memory-source.ts'
import { QueryNotes } from '../../shard/index.ts'
import type { LogsReader, StreamsRequest } from '../../shard/logs/index.ts'
import { QueryGate } from '../gate.ts'
import { lokiApi } from './index.ts'

export const NOW_MS = 1_700_000_000_000

export interface TestApi {
  readonly app: FastifyInstance
  readonly clock: FakeClock
  add(entry: MemoryEntry): void
}

export async function testApi(): Promise<TestApi> {
  const sources = [new MemorySource(), new MemorySource()]
  const entries: MemoryEntry[] = []
  const clock = new FakeClock(NOW_MS)
  const app = fastify({ routerOptions: { ignoreTrailingSlash: true } })
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, new URLSearchParams(body as string)),
  )
  app.decorateRequest('tenant', '')
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers['authorization'] === 'Basic wrong') await reply.code(401).type('text/plain').send('who are you?')
    request.tenant = 'default'
  })
  const limits = {
    log_entries_max: 5000,
    query_bytes_max: 1 << 30,
    query_timeout: 120_000,
    query_range_max: 0,
    query_concurrency_max: 4,
    log_series_max: 500,
    log_steps_max: 11_000,
    log_cells_max: 20_000_000,
    log_tails_max: 10,
  }
  await app.register(
    lokiApi({
      engine: createLogEngine(),
      readerOf: () => readerOf(entries, sources),
      limitsOf: () => limits as never,
      gate: new QueryGate(() => 4),
      clock,
      build: { version: '1.2.3', revision: 'abc' },
      retentionMs: () => 7 * 86_400_000,
      onError: () => {},
    }),
    { prefix: '/loki/api/v1' },
  )
  return {
    app,
    clock,
    add(entry) {
      entries.push(entry)
      sources[entries.length % 2]!.add(entry)
    },
  }
}

function readerOf(entries: readonly MemoryEntry[], sources: readonly MemorySource[]): LogsReader {
  const matching = ({ matchers, startMs, endMs }: StreamsRequest): MemoryEntry[] => {
    const compiled = matchers.map((spec) => compileMatcher(spec))
    return entries.filter(({ stream, timeMs }) => timeMs >= startMs && timeMs <= endMs && matchesAll(compiled, stream))
  }
  const streams = (request: StreamsRequest): Map<string, { labels: Labels; bytes: number; entries: number }> => {
    const out = new Map<string, { labels: Labels; bytes: number; entries: number }>()
    for (const { stream, line } of matching(request)) {
      const one = out.get(labelsKey(stream)) ?? { labels: stream, bytes: 0, entries: 0 }
      out.set(labelsKey(stream), { labels: stream, bytes: one.bytes + Buffer.byteLength(line), entries: one.entries + 1 })
    }
    return out
  }
  const pairs = (request: StreamsRequest): [string, string][] =>
    [...streams(request).values()].flatMap(({ labels }) =>
      labels.flatMap((text, i): [string, string][] => (i % 2 === 0 ? [[text, labels[i + 1]!]] : [])),
    )
  return {
    notes: new QueryNotes(),
    queryable: queryableOf(sources),
    labelNames: async (request) => [...new Set(pairs(request).map(([name]) => name))].sort(),
    labelValues: async (wanted, request) =>
      [...new Set(pairs(request).flatMap(([name, value]) => (name === wanted ? [value] : [])))].sort(),
    series: async (request) => [...streams(request).values()].map(({ labels }) => labels),
    stats: async (request) => {
      const all = [...streams(request).values()]
      const sum = (of: (one: { bytes: number; entries: number }) => number): number => all.reduce((total, one) => total + of(one), 0)
      return { streams: all.length, chunks: all.length, bytes: sum(({ bytes }) => bytes), entries: sum((one) => one.entries) }
    },
    volume: async (request) => [...streams(request).values()],
  }
}
