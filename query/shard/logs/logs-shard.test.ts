import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashText, labelsKey, labelsOf } from '../../../lib/model/index.ts'
import { LogBatchBuilder } from '../../../lib/wire/otlp/logs/index.ts'
import { openLogStore, type LogStore } from '../../logs/index.ts'
import { createLogEngine, type QueryResult } from '../../logql/index.ts'
import type { FragmentRunner } from '../fragment.ts'
import { runToEnd } from '../index.ts'
import { createLogsReader, logsHost, type LogsReader } from './index.ts'

const PARTITIONS = 3
const START_MS = 1_700_000_000_000
const LIMITS = { seriesMax: 500, stepsMax: 11_000, cellsMax: 1_000_000, bytesMax: 1 << 24, timeoutMs: 60_000 }
const dir = mkdtempSync(join(tmpdir(), 'sightline-logs-shard-'))
const stores: LogStore[] = []
const engine = createLogEngine()
let reader: LogsReader

/** All partitions on this thread, messages copied as between threads. */
const runner: FragmentRunner = {
  async query(kind, tenant, request) {
    const answers = stores.map((store) => {
      const answer = runToEnd(kind.execute(store as never, tenant, structuredClone(request)))
      return structuredClone(answer, { transfer: kind.transfer?.(answer) ?? [] })
    })
    return kind.merge(answers, request)
  },
}

beforeAll(async () => {
  const builder = new LogBatchBuilder({ partitionOf: (labels) => hashText(labelsKey(labels)) % PARTITIONS })
  for (let i = 0; i < 3000; i++) {
    const line = i % 3 === 0 ? `{"level":"error","took":${i % 50},"n":${i}}` : `level=info n=${i} took=${i % 50}ms`
    builder.add(labelsOf({ app: `app${i % 7}`, kind: i % 3 === 0 ? 'json' : 'logfmt' }), START_MS + i * 100, i, line, undefined)
  }
  const limits = { seriesMax: 1000, streamsMax: 1000, futureMaxMs: 600_000, repeatWindowMs: 3_600_000, queryBytesMax: 0 }
  for (let p = 0; p < PARTITIONS; p++) stores.push(await openLogStore({ dir: join(dir, String(p)), files: [], state: undefined, limits }))
  for (const { partition, payload } of builder.finish()) {
    stores[partition]!.append('default', { payload, offset: 0, appendedMs: START_MS + 300_000, positioned: true })
  }
  reader = createLogsReader(runner, 'default')
})

afterAll(async () => {
  for (const store of stores) await store.close()
  rmSync(dir, { recursive: true, force: true })
})

function range(query: string, more: { direction?: 'forward' | 'backward'; limit?: number; stepMs?: number } = {}): Promise<QueryResult> {
  const { direction = 'backward', limit = 10, stepMs = 60_000 } = more
  const [start, end] = [START_MS, START_MS + 300_000].map((ms) => ({ ms, subNs: 0 }))
  return engine.range(reader.queryable, { query, start: start!, end: end!, stepMs, direction, limit }, LIMITS)
}

function linesOf(result: QueryResult): string[] {
  if (result.type !== 'streams') throw new Error('no lines')
  const { lines } = result
  const text = Buffer.from(lines.lineBytes)
  return Array.from({ length: lines.count }, (_, i) => text.toString('utf8', lines.lineStart[i], lines.lineStart[i + 1]))
}

describe('logs on shards', () => {
  test('lines of all partitions come in order, both ways', async () => {
    const newest = linesOf(await range('{app=~".+"} |= "level=info"', { limit: 3 }))
    expect(newest.map((line) => /n=(\d+)/.exec(line)![1])).toEqual(['2999', '2998', '2996'])
    const oldest = linesOf(await range('{kind="json"} | json | took > 45', { direction: 'forward', limit: 2 }))
    expect(oldest).toEqual(['{"level":"error","took":48,"n":48}', '{"level":"error","took":46,"n":96}'])
  })

  test('counts of all partitions add up', async () => {
    const result = await range('sum by (kind) (count_over_time({app=~".+"}[1m]))')
    expect(result).toMatchObject({ type: 'matrix', series: [{ labels: ['kind', 'json'] }, { labels: ['kind', 'logfmt'] }] })
    if (result.type !== 'matrix') return
    // Steps at 0, 1, … 5 minutes; a window is open on the left, and line 0 lies on the first step, its nanoseconds past line 600 on the second.
    expect([...result.series[0]!.values]).toEqual([1, 199, 200, 200, 200, 200])
    expect([...result.series[1]!.values]).toEqual([0, 400, 400, 400, 400, 399 + 1].slice(0, 5).concat(400))
  })

  test('an unwrapped average over several partitions is that of all its lines', async () => {
    const result = await range('avg_over_time({kind="json"} | json | unwrap took [5m]) by (level)', { stepMs: 300_000 })
    if (result.type !== 'matrix') throw new Error('no matrix')
    const last = result.series[0]!
    const took = Array.from({ length: 1000 }, (_, i) => (i * 3) % 50).slice(1)
    expect(last.labels).toEqual(['level', 'error'])
    expect(last.values[1]).toBeCloseTo(took.reduce((sum, value) => sum + value, 0) / took.length, 9)
  })

  test('labels, streams, sizes', async () => {
    const request = { matchers: [], startMs: START_MS, endMs: START_MS + 300_000 }
    const { signal } = new AbortController()
    expect(await reader.labelNames(request, signal)).toEqual(['app', 'kind'])
    expect(await reader.labelValues('kind', request, signal)).toEqual(['json', 'logfmt'])
    expect(await reader.series(request, signal)).toHaveLength(14)
    expect((await reader.stats(request, signal)).entries).toBe(3000)
    const volumes = await reader.volume(request, signal)
    expect(volumes.reduce((sum, { entries }) => sum + entries, 0)).toBe(3000)
  })

  test('every kind is named once', () => {
    const names = logsHost.kinds.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('logs.lines')
  })
})
