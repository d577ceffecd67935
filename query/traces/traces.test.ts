import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { otlpJsonToProtobuf } from '../../lib/wire/otlp/json/index.ts'
import { walkSpans } from '../../lib/wire/otlp/traces/index.ts'
import type { StoreFile, TraceScan } from '../store/index.ts'
import { openTraceStore, type TraceStore } from './index.ts'

const folders: string[] = []

afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
})

interface TestSpan {
  readonly trace: number
  readonly span: number
  readonly parent?: number
  readonly service?: string
  readonly name?: string
  readonly startMs: number
  readonly durationMs?: number
  readonly status?: number
  readonly attributes?: Record<string, string>
}

const traceIdOf = (trace: number): string => trace.toString(16).padStart(32, '0')
const spanIdOf = (span: number): string => span.toString(16).padStart(16, '0')
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const nanos = (ms: number): string => `${ms}000000`

/** An ExportTraceServiceRequest as an SDK sends it. */
function request(spans: readonly TestSpan[]): Uint8Array {
  const attributesOf = (pairs: Record<string, string>): object[] =>
    Object.entries(pairs).map(([key, stringValue]) => ({ key, value: { stringValue } }))
  const json = {
    resourceSpans: spans.map(({ trace, span, parent, service, name, startMs, durationMs = 1, status, attributes = {} }) => ({
      resource: { attributes: attributesOf({ 'service.name': service ?? 'shop' }) },
      scopeSpans: [
        {
          scope: { name: 'test' },
          spans: [
            {
              traceId: traceIdOf(trace),
              spanId: spanIdOf(span),
              ...(parent === undefined ? {} : { parentSpanId: spanIdOf(parent) }),
              name: name ?? `op${span}`,
              kind: 2,
              startTimeUnixNano: nanos(startMs),
              endTimeUnixNano: nanos(startMs + durationMs),
              attributes: attributesOf(attributes),
              ...(status === undefined ? {} : { status: { code: status, message: 'why' } }),
            },
          ],
        },
      ],
    })),
  }
  return otlpJsonToProtobuf('traces', Buffer.from(JSON.stringify(json)))
}

class Subject {
  readonly dir = mkdtempSync(join(tmpdir(), 'sightline-traces-'))
  #files: readonly StoreFile[] = []
  #state: unknown
  #offset = 0
  store!: TraceStore

  constructor() {
    folders.push(this.dir)
  }

  async open(): Promise<this> {
    const limits = { seriesMax: 0, streamsMax: 0, futureMaxMs: 600_000, repeatWindowMs: 3_600_000, queryBytesMax: 0 }
    this.store = await openTraceStore({ dir: this.dir, files: this.#files, state: this.#state, limits })
    return this
  }

  append(spans: readonly TestSpan[], tenant = 'default'): ReturnType<TraceStore['append']> {
    return this.store.append(tenant, { payload: request(spans), offset: this.#offset++, appendedMs: 10_000_000, positioned: false })
  }

  async checkpoint(): Promise<void> {
    const { files, state } = await this.store.checkpoint()
    this.#files = files
    this.#state = JSON.parse(JSON.stringify(state))
    await this.store.release()
  }

  async reopen(): Promise<void> {
    await this.checkpoint()
    await this.store.close()
    await this.open()
  }

  search(conditions: TraceScan['conditions'] = {}, startMs = 0, endMs = 1e12): string[] {
    const out: string[] = []
    for (const trace of this.store.scan('default', { startMs, endMs, conditions })) {
      if (trace !== undefined)
        out.push(`${Number.parseInt(trace.traceId, 16)}:${trace.spans.map((span) => Number.parseInt(span.spanId, 16)).join(',')}`)
    }
    return out
  }
}

function finish<T>(task: Generator<void, T, void>): T {
  for (;;) {
    const step = task.next()
    if (step.done === true) return step.value
  }
}

describe('the trace store', () => {
  test('a trace is found by id, whole, with its fields and attributes', async () => {
    const subject = await new Subject().open()
    subject.append([{ trace: 7, span: 1, startMs: 1000, durationMs: 5, status: 2, attributes: { 'http.route': '/cart' } }])
    subject.append([{ trace: 7, span: 2, parent: 1, service: 'db', startMs: 1001 }])
    const trace = finish(subject.store.traceById('default', bytesOf(traceIdOf(7))))!
    expect(trace.spans.map((span) => [span.spanId, span.parentId, span.service, span.name])).toEqual([
      [spanIdOf(1), '', 'shop', 'op1'],
      [spanIdOf(2), spanIdOf(1), 'db', 'op2'],
    ])
    expect(trace.spans[0]).toMatchObject({ kind: 2, statusCode: 2, statusMessage: 'why', startMs: 1000, durationNs: 5_000_000 })
    expect(trace.spans[0]!.attributes()).toEqual([{ key: 'http.route', type: 'string', value: '/cart' }])
    expect(trace.spans[1]!.resource()[0]).toMatchObject({ key: 'service.name', value: 'db' })
    expect(finish(subject.store.traceById('default', bytesOf(traceIdOf(8))))).toBeUndefined()
    expect(finish(subject.store.traceById('other', bytesOf(traceIdOf(7))))).toBeUndefined()
  })

  test('the bytes of a trace hold all its spans', async () => {
    const subject = await new Subject().open()
    subject.append([{ trace: 7, span: 1, startMs: 1000 }])
    await subject.checkpoint()
    subject.append([{ trace: 7, span: 2, startMs: 1001 }])
    const bytes = finish(subject.store.traceBytes('default', bytesOf(traceIdOf(7))))!
    let spans = 0
    walkSpans(bytes, { scope: () => {}, span: () => spans++ })
    expect(spans).toBe(2)
  })

  test('searches use service, name, status, duration, range and needles; newest first', async () => {
    const subject = await new Subject().open()
    subject.append([
      { trace: 1, span: 1, startMs: 1000, name: 'GET /', durationMs: 10 },
      { trace: 2, span: 2, startMs: 2000, name: 'GET /cart', durationMs: 500, status: 2, attributes: { user: 'alice-from-berlin' } },
      { trace: 3, span: 3, startMs: 3000, service: 'db', name: 'SELECT' },
    ])
    const check = (): void => {
      expect(subject.search()).toEqual(['3:3', '2:2', '1:1'])
      expect(subject.search({ service: 'db' })).toEqual(['3:3'])
      expect(subject.search({ name: 'GET /cart' })).toEqual(['2:2'])
      expect(subject.search({ statusCode: 2 })).toEqual(['2:2'])
      expect(subject.search({ durationMinNs: 50e6, durationMaxNs: 600e6 })).toEqual(['2:2'])
      expect(subject.search({}, 1500, 2500)).toEqual(['2:2'])
      // All three lie in one block: a needle only tells whether the block can be passed over.
      expect(subject.search({ needles: ['berlin'] }).length).toBe(3)
      expect(subject.search({ needles: ['nobody-at-all-xyz'] }).length).toBe(0)
    }
    await subject.reopen()
    check()
  })

  test('a retried export is dropped, before and after a restart; the same ids at another time are not', async () => {
    const subject = await new Subject().open()
    const spans = [
      { trace: 1, span: 1, startMs: 1000 },
      { trace: 1, span: 2, startMs: 1000 },
    ]
    expect(subject.append(spans)).toEqual({ stored: 2, dropped: {} })
    expect(subject.append(spans)).toEqual({ stored: 0, dropped: { duplicate: 2 } })
    await subject.reopen()
    expect(subject.append(spans)).toEqual({ stored: 0, dropped: { duplicate: 2 } })
    expect(subject.append([{ trace: 1, span: 1, startMs: 1001 }])).toEqual({ stored: 1, dropped: {} })
  })

  test('spans too far ahead are counted', async () => {
    const subject = await new Subject().open()
    expect(
      subject.append([
        { trace: 1, span: 1, startMs: 10_600_001 },
        { trace: 1, span: 2, startMs: 1 },
      ]),
    ).toEqual({ stored: 1, dropped: { future: 1 } })
  })

  test('operations are counted through restarts', async () => {
    const subject = await new Subject().open()
    subject.append([
      { trace: 1, span: 1, startMs: 1, name: 'a' },
      { trace: 2, span: 2, startMs: 1, name: 'a' },
      { trace: 3, span: 3, startMs: 1, name: 'b', service: 'db' },
    ])
    const expected = [
      { service: 'shop', name: 'a', spans: 2 },
      { service: 'db', name: 'b', spans: 1 },
    ]
    expect(finish(subject.store.operations('default'))).toEqual(expected)
    await subject.reopen()
    expect(finish(subject.store.operations('default'))).toEqual(expected)
  })

  test('retention drops files whose newest span is too old', async () => {
    const subject = await new Subject().open()
    subject.append([{ trace: 1, span: 1, startMs: 1000 }])
    await subject.checkpoint()
    subject.append([{ trace: 2, span: 2, startMs: 9000 }])
    await subject.checkpoint()
    expect(subject.store.dropBefore(() => 5000)).toBeGreaterThan(0)
    await subject.reopen()
    expect(subject.search()).toEqual(['2:2'])
  })

  test('whatever is appended is found whole, the same after checkpoint, restart and merging', async () => {
    const span = fc.record({
      trace: fc.integer({ min: 1, max: 6 }),
      span: fc.integer({ min: 1, max: 1e9 }),
      startMs: fc.integer({ min: 1, max: 100 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(span, { minLength: 1, maxLength: 6 }), { minLength: 5, maxLength: 9 }), async (requests) => {
        const subject = await new Subject().open()
        const expected = new Map<number, Set<string>>()
        for (const spans of requests) {
          subject.append(spans)
          await subject.checkpoint()
          for (const one of spans) expected.set(one.trace, (expected.get(one.trace) ?? new Set()).add(`${one.span}@${one.startMs}`))
        }
        const check = (): void => {
          expect(subject.search().length).toBe(expected.size)
          for (const [trace, spans] of expected) {
            const found = finish(subject.store.traceById('default', bytesOf(traceIdOf(trace))))!
            expect(found.spans.map((one) => `${Number.parseInt(one.spanId, 16)}@${one.startMs}`).sort()).toEqual([...spans].sort())
          }
        }
        check()
        await subject.reopen()
        check()
        expect(finish(subject.store.compact(0))).toBe(true)
        check()
        await subject.reopen()
        check()
        expect(readdirSync(subject.dir).length).toBeLessThan(requests.length)
        await subject.store.close()
      }),
      { numRuns: 25 },
    )
  })
})
