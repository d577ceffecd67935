/**
 * A collector ships to a query node over HTTP: both are killed, the centre is away for a while, the collector's disk runs full; then everything that was
 * acknowledged is at the centre once, and the ledgers of both say so.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeFrames, type JournalRecord } from '../../lib/journal/index.ts'
import { encodeWriteV1 } from '../../lib/wire/remote-write/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'
import type { Ledger } from '../../ledger.ts'
import { eventually } from '../harness/eventually.ts'
import { linesOf } from '../harness/found.ts'
import { HttpProxy } from '../harness/http-proxy.ts'
import { startLogWriter } from '../harness/log-writer.ts'
import { pause, randoms } from '../harness/seeded.ts'
import { SightlineProcess } from '../harness/sightline.ts'
import { startSpanWriter } from '../harness/span-writer.ts'

const SEED = 4_260
const QUIET = 'self: { scrape: false, traces: false }\n'

let processes: SightlineProcess[] = []

afterEach(async () => {
  for (const process of processes) await process.dispose()
  processes = []
})

async function started(role: 'collector' | 'query', config: string): Promise<SightlineProcess> {
  const process = await SightlineProcess.create({ role, config: `${QUIET}${config}` })
  processes.push(process)
  return process.start()
}

const ledgerOf = (process: SightlineProcess): Promise<Ledger> => process.get<Ledger>('/sightline/api/v1/ledger')

async function write(process: SightlineProcess, timeMs: number, name = 'shipped'): Promise<number> {
  const series = Array.from({ length: 20 }, (_, i) => ({
    labels: ['__name__', name, 'job', `j${i % 5}`, 'n', String(i)],
    times: [timeMs],
    values: [timeMs % 1_000_000],
  }))
  const body = snappyEncode(encodeWriteV1(series)) as Uint8Array<ArrayBuffer>
  return fetch(`${process.url}/api/v1/write`, { method: 'POST', body }).then(
    (response) => response.status,
    () => 0,
  )
}

async function timesAt(process: SightlineProcess, name: string): Promise<number[][]> {
  const series = await process.query<{ values: [number, string][] }[]>(`${name}[10m]`)
  return series.map(({ values }) => values.map(([seconds]) => Math.round(seconds * 1000)))
}

/** Every hop agrees: the centre has what the edge's journal holds, up to its end, without a hole. */
async function expectBalanced(edge: SightlineProcess, centre: SightlineProcess): Promise<void> {
  const [here, there] = [await ledgerOf(edge), await ledgerOf(centre)]
  expect(here.destinations).toMatchObject([{ queuedRecords: 0, lostRecords: 0, refusedItems: {} }])
  expect(there.stored.map(({ unaccounted, gaps }) => [unaccounted, gaps])).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ])
  const [ours, theirs] = [here.journal.partitions, partitionsOf(there)]
  const isMerged = ours.some(({ key }) => Number(key.split('/')[1]) >= theirs)
  const ends = new Map(
    ours.map(({ key, end }) => {
      const [signal, partition] = key.split('/') as [string, string]
      return [`${signal}/${Number(partition) % theirs} edge-1${isMerged ? `/${partition}` : ''}`, end - 1] as const
    }),
  )
  const arrived = there.producers.filter(({ producer }) => producer.startsWith('edge-1'))
  expect(new Map(arrived.map(({ key, producer, lastSequence }) => [`${key} ${producer}`, lastSequence]))).toEqual(ends)
}

const partitionsOf = ({ journal }: Ledger): number => 1 + Math.max(...journal.partitions.map(({ key }) => Number(key.split('/')[1])))

describe('HTTP shipping', () => {
  test('kills of both, the centre away: every sample, line and span once, in order', { timeout: 180_000 }, async () => {
    const centre = await started('query', 'node: centre\njournal: { partitions: 4 }\nshards: { checkpoint_interval: 2s }\n')
    const edge = await SightlineProcess.create({ role: 'collector' })
    processes.push(edge)
    const pods = join(edge.folder, 'pods')
    mkdirSync(pods)
    edge.configure(
      `${QUIET}node: edge-1\ncluster: edge\njournal: { partitions: 8 }\ntail: [{ include: ['${pods}/*/*/*.log'] }]
ship: [{ type: http, name: centre, url: '${centre.url}', max_backoff: 500ms }]\n`,
    )
    await edge.start()
    const logs = startLogWriter(pods, 'writer-1', 10)
    const spans = startSpanWriter(`http://127.0.0.1:${edge.ports.otlpHttp}`, 10)
    const times: number[] = []
    let isWriting = true
    const writing = (async () => {
      while (isWriting) {
        const timeMs = Date.now()
        while ((await write(edge, timeMs)) !== 204) await pause(50)
        times.push(timeMs)
        await pause(50)
      }
    })()
    const random = randoms(SEED)
    for (const victim of [centre, edge, centre, edge, edge, centre]) {
      await pause(500 + random.next().value! * 1500)
      await victim.end('SIGKILL')
      await pause(victim === centre ? random.next().value! * 3000 : 0)
      await victim.start()
    }
    isWriting = false
    await writing
    logs.stop()
    await spans.stop()
    await eventually(async () => expectBalanced(edge, centre), 30_000)

    const stored = await timesAt(centre, 'shipped')
    expect(stored).toHaveLength(20)
    for (const one of stored) expect(one).toEqual(times)
    expect(await linesOf(centre, '{pod="writer-1", cluster="edge"}')).toEqual(logs.lines)
    for (const ids of spans.acknowledged) {
      const [traceId, spanId] = ids.split(' ') as [string, string]
      const trace = await centre.get<{ data: { spans: { spanID: string }[] }[] }>(`/jaeger/api/traces/${traceId}`)
      expect(trace.data[0]!.spans.map((span) => span.spanID)).toEqual([spanId])
    }
  })

  test('a full disk pushes back while the centre is away, and nothing that was taken is lost', { timeout: 120_000 }, async () => {
    const centre = await started('query', 'node: centre\njournal: { partitions: 4 }\n')
    await centre.end('SIGKILL')
    const edge = await started(
      'collector',
      `node: edge-1\njournal: { partitions: 4, segment_size: 64KiB, size_max: 512KiB }\nship: [{ type: http, name: centre, url: '${centre.url}', max_backoff: 300ms }]\n`,
    )
    const taken: number[] = []
    let status = 204
    for (let timeMs = Date.now() - 60_000; status !== 429; timeMs++) {
      status = await write(edge, timeMs)
      if (status === 204) taken.push(timeMs)
      expect(taken.length).toBeLessThan(5000)
    }
    expect((await ledgerOf(edge)).received['metrics']!.refused).toMatchObject({ too_many: expect.any(Number) as number })
    await centre.start()
    await eventually(async () => expectBalanced(edge, centre), 30_000)
    // Of the request that was refused some partitions may have been taken: its sender was told to repeat it.
    for (const one of await timesAt(centre, 'shipped')) expect(one.filter((timeMs) => timeMs <= taken.at(-1)!)).toEqual(taken)
    await eventually(async () => expect(await write(edge, Date.now())).toBe(204), 30_000)
  })

  test(
    'drop_oldest: what was dropped at the collector is a gap at the centre, with its producer and its ends',
    { timeout: 120_000 },
    async () => {
      const centre = await started('query', 'node: centre\njournal: { partitions: 1 }\n')
      const edge = await started(
        'collector',
        `node: edge-1\njournal: { partitions: 1, segment_size: 64KiB, size_max: 256KiB, on_full: drop_oldest }\nship: [{ type: http, name: centre, url: '${centre.url}', max_backoff: 300ms }]\n`,
      )
      const base = Date.now() - 60_000
      const seen = async (): Promise<number> =>
        (await ledgerOf(centre)).producers.find(({ key }) => key === 'metrics/0')?.lastSequence ?? -1
      for (let i = 0; i < 10; i++) expect(await write(edge, base + i)).toBe(204)
      await eventually(async () => expect((await ledgerOf(edge)).destinations[0]!.queuedRecords).toBe(0))
      const before = await seen()
      await centre.end('SIGKILL')
      for (let i = 10; i < 800; i++) expect(await write(edge, base + i)).toBe(204)
      const { end } = (await ledgerOf(edge)).journal.partitions[0]!
      await centre.start()
      await eventually(async () => expect(await seen()).toBe(end - 1), 30_000)
      const [producer] = (await ledgerOf(centre)).producers
      expect(producer).toMatchObject({ producer: 'edge-1', gapCount: 1 })
      // What the forwarder had in hand when the centre went away was sent; one write is one record.
      const { afterSequence, beforeSequence } = producer!.gaps[0]!
      expect(afterSequence).toBeGreaterThanOrEqual(before)
      expect(beforeSequence).toBeGreaterThan(afterSequence + 100)
      expect((await ledgerOf(edge)).destinations[0]).toMatchObject({ lostRecords: beforeSequence - afterSequence - 1 })
      expect((await ledgerOf(centre)).stored.find(({ signal }) => signal === 'metrics')).toMatchObject({ gaps: 1, unaccounted: 0 })
      const there = Array.from({ length: end }, (_, i) => i).filter((i) => i <= afterSequence || i >= beforeSequence)
      for (const one of await timesAt(centre, 'shipped')) expect(one).toEqual(there.map((i) => base + i))
    },
  )
})

describe('what happens on the way', () => {
  test(
    'answers that get lost, and requests that somebody else said yes to: nothing twice, nothing missing',
    { timeout: 120_000 },
    async () => {
      const centre = await started('query', 'node: centre\njournal: { partitions: 1 }\n')
      const proxy = await HttpProxy.start(centre.ports.http)
      try {
        const edge = await started(
          'collector',
          `node: edge-1\njournal: { partitions: 1 }\nship: [{ type: http, name: centre, url: '${proxy.url}', max_backoff: 300ms }]\n`,
        )
        const base = Date.now() - 60_000
        let n = 0
        const isJournal = (method: string, path: string): boolean => method === 'POST' && path.includes('/journal/')
        proxy.swallowsAnswer = (method, path) => isJournal(method, path) && n++ % 3 === 1
        for (let i = 0; i < 40; i++) {
          expect(await write(edge, base + i)).toBe(204)
          if (i % 10 === 9) await pause(300)
        }
        // A gateway that says yes and loses it: the next request is a gap, and the collector goes back.
        proxy.swallowsAnswer = () => false
        await eventually(async () => expect((await ledgerOf(edge)).destinations[0]!.queuedRecords).toBe(0), 20_000)
        let lies = 2
        proxy.intercept = (method, path) =>
          isJournal(method, path) && lies-- > 0 ? { status: 200, body: '{"appended":1,"repeated":0}' } : undefined
        for (let i = 40; i < 60; i++) {
          expect(await write(edge, base + i)).toBe(204)
          await pause(50)
        }
        await eventually(async () => expectBalanced(edge, centre), 30_000)
        expect(lies).toBeLessThanOrEqual(0)
        for (const one of await timesAt(centre, 'shipped')) expect(one).toEqual(Array.from({ length: 60 }, (_, i) => base + i))
      } finally {
        await proxy.stop()
      }
    },
  )

  test('lines and spans go on as OTLP to whoever takes it, over a time in which nobody does', { timeout: 120_000 }, async () => {
    const other = await started('query', 'node: other\njournal: { partitions: 4 }\n')
    const proxy = await HttpProxy.start(other.ports.http)
    try {
      proxy.intercept = () => ({ status: 503, body: '{}' })
      const edge = await started(
        'collector',
        `node: edge-1\njournal: { partitions: 4 }\nship: [{ type: otlp, name: other, url: '${proxy.url}/otlp', max_backoff: 300ms }]\n`,
      )
      const values = Array.from({ length: 10 }, (_, i) => [`${Date.now()}00000${i}`, `line ${i} of otlp`])
      const pushed = await fetch(`${edge.url}/loki/api/v1/push`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ streams: [{ stream: { app: 'otlp' }, values }] }),
      })
      expect(pushed.status).toBe(204)
      const spans = startSpanWriter(`http://127.0.0.1:${edge.ports.otlpHttp}`, 50)
      await pause(1500)
      await spans.stop()
      expect((await ledgerOf(edge)).destinations[0]).toMatchObject({
        shippedRecords: 0,
        lastError: expect.stringContaining('503') as string,
      })
      proxy.intercept = () => undefined
      await eventually(async () => expect((await ledgerOf(edge)).destinations[0]!.queuedRecords).toBe(0), 20_000)
      // Labels travel as resource attributes under their names: over there they are what its OTLP rules make of them.
      const query = '{service_name=~".+"} | app="otlp"'
      await eventually(async () => expect((await linesOf(other, query)).sort()).toEqual(values.map(([, line]) => line)))
      for (const ids of spans.acknowledged) {
        const [traceId] = ids.split(' ') as [string]
        expect(await other.get(`/jaeger/api/traces/${traceId}`)).toMatchObject({ data: [{ spans: [{}] }] })
      }
    } finally {
      await proxy.stop()
    }
  })
})

const record = (sequence: number, tenant = 'default', changes: Partial<JournalRecord> = {}): JournalRecord => ({
  signal: 'logs',
  partition: 0,
  offset: sequence,
  appendedMs: 0,
  encoding: 'otlp',
  tenant,
  items: 0,
  position: '',
  mark: { producer: 'p', epoch: 'e', sequence, previous: sequence - 1 },
  payload: new Uint8Array(0),
  ...changes,
})

describe('the journal protocol', () => {
  const post = async (
    centre: SightlineProcess,
    records: readonly JournalRecord[] | Buffer,
    { path = 'logs/0', token = '' } = {},
  ): Promise<[number, Record<string, unknown>]> => {
    const body = Buffer.isBuffer(records) ? records : encodeFrames(records)
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(`${centre.url}/sightline/api/v1/journal/${path}`, { method: 'POST', body: new Uint8Array(body), headers })
    return [response.status, (await response.json()) as Record<string, unknown>]
  }

  test('repeats are left out, gaps are refused until they are accepted, over a restart too', { timeout: 60_000 }, async () => {
    const centre = await started('query', 'journal: { partitions: 2 }\n')
    expect(await centre.get('/sightline/api/v1/journal')).toMatchObject({ versions: [1], partitions: { metrics: 2, logs: 2, traces: 2 } })
    expect(await post(centre, [record(0), record(1)])).toEqual([200, { appended: 2, repeated: 0 }])
    expect(await post(centre, [record(0), record(1), record(2)])).toEqual([200, { appended: 1, repeated: 2 }])
    const gap = { producer: 'p', epoch: 'e', lastSequence: 3 }
    expect(await post(centre, [record(3), record(5)])).toMatchObject([409, { appended: 1, ...gap }])
    await centre.end('SIGKILL')
    await centre.start()
    expect(await post(centre, [record(5)])).toMatchObject([409, { appended: 0, ...gap }])
    expect(await post(centre, [record(2), record(3)])).toEqual([200, { appended: 0, repeated: 2 }])
    expect(await post(centre, [record(5), record(6)], { path: 'logs/0?gaps=accept' })).toEqual([200, { appended: 2, repeated: 0 }])
    expect(await post(centre, [record(4)])).toEqual([200, { appended: 0, repeated: 1 }])
  })

  test('damaged and misplaced records are refused by name, and nothing of the request is taken', { timeout: 60_000 }, async () => {
    const centre = await started('query', 'journal: { partitions: 2 }\n')
    const bytes = encodeFrames([record(0), record(1)])
    expect(await post(centre, bytes.subarray(0, bytes.length - 1))).toMatchObject([400, { error: expect.stringContaining('frame 1') }])
    expect(await post(centre, [record(0), record(1, 'default', { partition: 1 })])).toMatchObject([400, { record: 1 }])
    expect(await post(centre, [record(0, 'a/b')])).toMatchObject([400, { error: expect.stringContaining('tenant') }])
    expect(await post(centre, [record(0)])).toEqual([200, { appended: 1, repeated: 0 }])
  })

  test('a credential writes for its own tenants only', { timeout: 60_000 }, async () => {
    const tokens = `[{ name: edge, token: edge-token, tenants: [acme], permissions: [write] }]`
    const centre = await started('query', `journal: { partitions: 2 }\nserver: { tokens: ${tokens} }\n`)
    expect((await post(centre, [record(0, 'acme')]))[0]).toBe(401)
    expect(await post(centre, [record(0, 'acme'), record(1, 'other')], { token: 'edge-token' })).toMatchObject([
      403,
      { record: 1, tenant: 'other' },
    ])
    expect(await post(centre, [record(0, 'acme')], { token: 'edge-token' })).toEqual([200, { appended: 1, repeated: 0 }])
  })
})
