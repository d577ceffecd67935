import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CELL_FLOAT, CELL_STALE, labelsKey, labelsOf, matchesAll, type SeriesSamples } from '../../lib/model/index.ts'
import { SightlineError, kindOf } from '../../lib/runtime/errors.ts'
import { evaluateRangeFunction, mergePartials, partialAggregate, rangeFunctionDropsName } from './functions/index.ts'
import { createEngine, extractSelectors, parseExpr, printExpr, type MetricsQueryable, type QueryResult, type RangeResult } from './index.ts'

const engine = createEngine()

function holder(series: readonly SeriesSamples[]): MetricsQueryable {
  return {
    select: ({ matchers, startMs, endMs }) => {
      const found = series.filter((one) => matchesAll(matchers, one.labels)).map((one) => cut(one, startMs, endMs))
      return Promise.resolve({ series: found.filter((one) => one.times.length > 0), warnings: [] })
    },
  }
}

function cut(series: SeriesSamples, startMs: number, endMs: number): SeriesSamples {
  const rows = [...series.times.keys()].filter((row) => series.times[row]! >= startMs && series.times[row]! <= endMs)
  return {
    labels: series.labels,
    times: Float64Array.from(rows, (row) => series.times[row]!),
    values: Float64Array.from(rows, (row) => series.values[row]!),
    cells: Uint8Array.from(rows, (row) => series.cells![row]!),
  }
}

/** Several holders that compute beside their data, as shards do. */
function sharded(shards: readonly (readonly SeriesSamples[])[]): MetricsQueryable & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    ...holder(shards.flat()),
    asked,
    async range(request, context): Promise<RangeResult | undefined> {
      const parts = []
      for (const shard of shards) {
        const { series } = await holder(shard).select({ matchers: request.matchers, startMs: 0, endMs: 1e9 }, context)
        const evaluated = evaluateRangeFunction(request.func, series, request)
        if (evaluated === undefined) return undefined
        if (request.aggregate === undefined) parts.push(evaluated.series)
        else parts.push(partialAggregate(evaluated.series, request.aggregate, rangeFunctionDropsName(request.func))!)
      }
      asked.push(request.func)
      const series = request.aggregate === undefined ? parts.flat() : mergePartials(parts, request.aggregate)
      return { series, warnings: [], infos: [] }
    },
  }
}

const cell = fc.record({
  gapMs: fc.integer({ min: 1, max: 90_000 }),
  value: fc.integer({ min: 0, max: 50 }),
  stale: fc.integer({ min: 0, max: 9 }),
})

const data = fc.array(fc.array(cell, { minLength: 1, maxLength: 25 }), { minLength: 1, maxLength: 5 }).map((all) =>
  all.map((samples, n) => {
    let timeMs = 0
    return {
      labels: labelsOf({ __name__: 'x_total', job: `j${n % 2}`, instance: `i${n}` }),
      times: Float64Array.from(samples, ({ gapMs }) => (timeMs += gapMs)),
      values: Float64Array.from(samples, ({ value }) => value),
      cells: Uint8Array.from(samples, ({ stale }) => (stale === 0 ? CELL_STALE : CELL_FLOAT)),
    }
  }),
)

const QUERIES = [
  'x_total',
  'x_total offset 30s',
  'rate(x_total[2m])',
  'increase(x_total[90s])',
  'irate(x_total[2m])',
  'sum by (job) (rate(x_total[2m]))',
  'count(x_total)',
  'max without (instance) (x_total)',
  'min by (job) (max_over_time(x_total[1m]))',
  'avg by (job) (changes(x_total[3m]))',
  'stddev_over_time(x_total[3m])',
  'x_total > 10 or sum(x_total)',
  'x_total / on (job) group_left sum by (job) (x_total)',
  'sum_over_time(rate(x_total[1m])[2m:20s])',
  'absent(x_total)',
  'resets(x_total[5m] @ 300)',
]

/** Samples by labels and time. */
function pointsOf(result: QueryResult): Map<string, number> {
  const points = new Map<string, number>()
  if (result.type !== 'vector' && result.type !== 'matrix') return points
  for (const { labels, values, present } of result.series) {
    for (let k = 0; k < values.length; k++) {
      if (present[k] === 1) points.set(`${labelsKey(labels)}@${result.grid.startMs + k * result.grid.stepMs}`, values[k]!)
    }
  }
  return points
}

describe('equalities', () => {
  test('a range query is many instant queries', async () => {
    const property = fc.asyncProperty(data, fc.constantFrom(...QUERIES), async (series, query) => {
      const range = await engine.range(holder(series), query, 60_000, 600_000, 45_000)
      const instants = new Map<string, number>()
      for (let timeMs = 60_000; timeMs <= 600_000; timeMs += 45_000) {
        for (const [key, value] of pointsOf(await engine.instant(holder(series), query, timeMs))) instants.set(key, value)
      }
      expect(Object.fromEntries(pointsOf(range))).toEqual(Object.fromEntries(instants))
    })
    await fc.assert(property, { numRuns: 60 })
  })

  test('many shards that compute are one that selects', async () => {
    const property = fc.asyncProperty(data, fc.constantFrom(...QUERIES), async (series, query) => {
      const shards = sharded([series.filter((_, n) => n % 2 === 0), series.filter((_, n) => n % 2 === 1)])
      const whole = pointsOf(await engine.range(holder(series), query, 60_000, 600_000, 45_000))
      const parts = pointsOf(await engine.range(shards, query, 60_000, 600_000, 45_000))
      const rounded = (points: ReadonlyMap<string, number>): Record<string, string> =>
        Object.fromEntries([...points].map(([key, value]) => [key, value.toPrecision(10)]))
      expect(rounded(parts)).toEqual(rounded(whole))
    })
    await fc.assert(property, { numRuns: 60 })
  })

  test('storage that computes is asked to', async () => {
    const shards = sharded([[]])
    await engine.range(shards, 'sum by (job) (rate(x_total[2m])) + max(x_total)', 0, 60_000, 15_000)
    expect(shards.asked).toEqual(['rate', ''])
  })
})

/** 'stable' where the text is refused properly, or what is printed prints as itself. */
function outcomeOf(text: string): string {
  let printed: string
  try {
    printed = printExpr(parseExpr(text))
  } catch (error) {
    return kindOf(error) === 'bad_data' ? 'stable' : `threw ${String(error)}`
  }
  const again = printExpr(parseExpr(printed))
  return again === printed ? 'stable' : `${printed} became ${again}`
}

describe('hostile input', () => {
  test('any text parses or is bad_data', () => {
    const token = fc.constantFrom(
      'x',
      '(',
      ')',
      '[5m]',
      '{',
      '}',
      'sum',
      'by',
      '"',
      '+',
      '-',
      ' ',
      '1',
      '5m',
      ',',
      'rate',
      'offset',
      '@',
      ':',
      '=~',
      '\ufffd',
      '[',
      ']',
      'a="b"',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(token).map((parts) => parts.join('')),
        ),
        (text) => {
          expect(outcomeOf(text)).toBe('stable')
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['parentheses', '('.repeat(200_000)],
    ['unary operators', '-'.repeat(200_000) + 'x'],
    ['binary operators', 'x' + '+x'.repeat(100_000)],
    ['subqueries', 'x' + '[5m:]'.repeat(100_000)],
    ['durations', `x[${'('.repeat(100_000)}`],
    ['offsets', `x offset ${'-'.repeat(100_000)}1`],
    ['calls', 'abs('.repeat(100_000)],
  ])('deeply nested %s are refused', (_what, text) => {
    expect(() => parseExpr(text)).toThrow(SightlineError)
  })

  test('what is as deep as allowed is evaluated', async () => {
    const deep = '1' + ' + 1'.repeat(900)
    const result = await engine.instant(holder([]), deep, 0)
    expect(result).toMatchObject({ type: 'scalar', values: Float64Array.of(901) })
  })
})

describe('limits', () => {
  const series = [
    {
      labels: labelsOf({ __name__: 'x' }),
      times: Float64Array.of(1, 2, 3),
      values: Float64Array.of(1, 2, 3),
      cells: Uint8Array.of(1, 1, 1),
    },
  ]

  test('a query that holds too many samples is refused', async () => {
    await expect(engine.instant(holder(series), 'x', 3, { samplesMax: 2 })).rejects.toMatchObject({ kind: 'too_large' })
  })

  test('an aborted query is canceled', async () => {
    await expect(engine.instant(holder(series), 'x', 3, { signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: 'canceled' })
  })

  test('too many steps are refused', async () => {
    await expect(engine.range(holder(series), 'x', 0, 1e9, 1)).rejects.toMatchObject({ kind: 'bad_data' })
  })
})

test('selectors tell how far they look', () => {
  const uses = extractSelectors(parseExpr('rate(a[5m] offset 1m) + max_over_time(b{c="d"}[10m:1m] @ 60)'))
  expect(uses.map(({ rangeMs, offsetMs, at }) => ({ rangeMs, offsetMs, at }))).toEqual([
    { rangeMs: 300_000, offsetMs: 60_000, at: undefined },
    { rangeMs: 600_000, offsetMs: 0, at: { kind: 'time', ms: 60_000 } },
  ])
})
