import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import type { SpanView, TraceView } from '../store/index.ts'
import { compileQuery, contextOf } from './index.ts'
import { parse } from './parser.ts'
import { validate } from './validate.ts'

const QUERIES = new URL('../../../shared/testdata/traceql/queries.yaml', import.meta.url)

/** Metrics queries: answered by name as not built. */
const isMetrics = (query: string): boolean => /\b(rate|\w+_over_time|compare|topk|bottomk)\s*\(/.test(query)

describe('upstream queries', () => {
  if (!existsSync(QUERIES)) {
    test('are there', ({ skip }) => {
      expect(process.env['CI'], 'the upstream queries are missing in CI').toBeUndefined()
      skip('the upstream queries are not beside this checkout')
    })
    return
  }
  const queries = parseYaml(readFileSync(QUERIES, 'utf8')) as Record<'valid' | 'parse_fails' | 'validate_fails' | 'unsupported', string[]>

  test.each(queries.valid.filter((query) => !isMetrics(query)))('valid: %s', (query) => {
    expect(() => validate(parse(query))).not.toThrow()
  })

  test.each(queries.valid.filter(isMetrics))('metrics, not built: %s', (query) => {
    expect(() => parse(query)).toThrow(expect.objectContaining({ kind: 'bad_data' }))
  })

  test.each(queries.parse_fails)('does not parse: %s', (query) => {
    expect(() => parse(query)).toThrow(expect.objectContaining({ kind: 'bad_data' }))
  })

  test.each(queries.validate_fails.filter((query) => !isMetrics(query)))('parses and is invalid: %s', (query) => {
    const pipeline = parse(query)
    expect(() => validate(pipeline)).toThrow(/invalid TraceQL query/)
  })

  test.each(queries.unsupported.filter((query) => !isMetrics(query)))('parses and is unsupported: %s', (query) => {
    const pipeline = parse(query)
    expect(() => validate(pipeline)).toThrow(/unsupported/)
  })
})

function span(
  spanId: string,
  parentId: string,
  more: Partial<SpanView> & { attrs?: Record<string, string | number | boolean>; res?: Record<string, string> } = {},
): SpanView {
  const { attrs = {}, res = {}, ...rest } = more
  const typed = (pairs: Record<string, string | number | boolean>): ReturnType<SpanView['attributes']> =>
    Object.entries(pairs).map(([key, value]) => ({
      key,
      value,
      type: typeof value === 'number' ? 'int' : typeof value === 'boolean' ? 'bool' : 'string',
    }))
  return {
    spanId,
    parentId,
    name: `op-${spanId}`,
    service: 'shop',
    kind: 2,
    statusCode: 0,
    statusMessage: '',
    startMs: 1000,
    startSubNs: 0,
    durationNs: 1e6,
    attributes: () => typed(attrs),
    resource: () => typed({ 'service.name': 'shop', ...res }),
    scope: () => ({ name: 'lib', version: '1', attributes: [] }),
    events: () => [],
    links: () => [],
    ...rest,
  }
}

/** a → b → c, a → d */
const TRACE: TraceView = {
  traceId: '0'.repeat(31) + '1',
  spans: [
    span('a', '', { durationNs: 5e9, attrs: { 'http.method': 'GET', count: 3, big: true } }),
    span('b', 'a', { statusCode: 2, attrs: { db: 'mysql', count: 7 } }),
    span('c', 'b', { kind: 3, res: { 'service.name': 'db' } }),
    span('d', 'a', {
      startMs: 1001,
      events: () => [{ name: 'exception', timeMs: 1002, subNs: 0, attributes: [{ key: 'type', type: 'string', value: 'Boom' }] }],
    }),
  ],
}

/** Ids of the spans of each spanset: `ab c`. */
function matches(query: string): string {
  return compileQuery(query)
    .match(contextOf(TRACE))
    .map((set) => set.spans.map((one) => one.spanId).join(''))
    .join(' ')
}

describe('searching a trace', () => {
  test('span filters', () => {
    expect(matches('{}')).toBe('abcd')
    expect(matches('{ status = error }')).toBe('b')
    expect(matches('{ name = "op-a" }')).toBe('a')
    expect(matches('{ duration > 1s }')).toBe('a')
    expect(matches('{ kind = client && resource.service.name = "db" }')).toBe('c')
    expect(matches('{ .db =~ "my.*" || span.http.method = "GET" }')).toBe('ab')
    expect(matches('{ .count > 2 + 2 }')).toBe('b')
    expect(matches('{ .big }')).toBe('a')
    expect(matches('{ !(.count = 3) }')).toBe('bcd')
    expect(matches('{ .count != 3 }')).toBe('b')
    expect(matches('{ .count = nil }')).toBe('cd')
    expect(matches('{ .count != nil }')).toBe('ab')
    expect(matches('{ event.type = "Boom" }')).toBe('d')
    expect(matches('{ event:timeSinceStart = 1ms }')).toBe('d')
    expect(matches('{ .count = "3" }')).toBe('')
    expect(matches('{ nestedSetParent < 0 }')).toBe('a')
    expect(matches('{ span:childCount = 2 }')).toBe('a')
    expect(matches('{ rootName = "op-a" && traceDuration >= 5s }')).toBe('abcd')
  })

  test('spansets together', () => {
    expect(matches('{ status = error } && { kind = client }')).toBe('bc')
    expect(matches('{ status = error } && { name = "nope" }')).toBe('')
    expect(matches('{ status = error } || { name = "nope" }')).toBe('b')
    expect(matches('{ name = "op-a" } > {}')).toBe('bd')
    expect(matches('{ name = "op-a" } >> {}')).toBe('bcd')
    expect(matches('{ name = "op-c" } << {}')).toBe('ab')
    expect(matches('{ name = "op-b" } ~ {}')).toBe('d')
    expect(matches('{ name = "op-a" } &> { name = "op-b" }')).toBe('ab')
    expect(matches('{ name = "op-a" } !> {}')).toBe('ac')
  })

  test('pipelines', () => {
    expect(matches('{} | count() > 3')).toBe('abcd')
    expect(matches('{ status = error } | count() > 1')).toBe('')
    expect(matches('{} | avg(.count) = 5')).toBe('abcd')
    expect(matches('{} | max(duration) > 4s')).toBe('abcd')
    expect(matches('{} | by(kind)')).toBe('abd c')
    expect(matches('{} | by(kind) | count() > 1')).toBe('abd')
    expect(matches('{} | by(kind) | coalesce()')).toBe('abcd')
    expect(matches('{} | { .db = "mysql" } | select(.db)')).toBe('b')
  })

  test('a ring of parents ends', () => {
    const ring: TraceView = { traceId: '1', spans: [span('a', 'b'), span('b', 'a')] }
    expect(compileQuery('{} >> {}').match(contextOf(ring)).length).toBe(1)
    expect(compileQuery('{ nestedSetLeft > 0 }').match(contextOf(ring)).length).toBe(0)
  })

  test('what a store can use', () => {
    expect(
      compileQuery('{ resource.service.name = "a" && name = "b" && status = error && duration > 1s && .x = "needle" }').conditions,
    ).toEqual({
      service: 'a',
      name: 'b',
      statusCode: 2,
      durationMinNs: 1e9,
      needles: ['needle'],
    })
    expect(compileQuery('{ name = "a" } || { name = "b" }').conditions).toEqual({})
    expect(compileQuery('{ name = "a" || status = ok }').conditions).toEqual({})
  })

  test('attributes that the query names are shown', () => {
    const context = contextOf(TRACE)
    expect(compileQuery('{ .db = "mysql" } | select(.count, status)').shownAttributes(TRACE.spans[1]!, context)).toEqual([
      { key: 'db', value: 'mysql' },
      { key: 'count', value: 7 },
      { key: 'status', value: 2 },
    ])
  })

  test('deep nesting and long queries are refused', () => {
    expect(() => compileQuery(`{ ${'('.repeat(5000)}1 = 1${')'.repeat(5000)} }`)).toThrow('nested deeper')
    expect(() => compileQuery(`{ .a = "${'x'.repeat(200_000)}" }`)).toThrow('at most')
  })
})
