import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { labelsOf } from '../../lib/model/index.ts'
import { compileRegexp } from '../../lib/regexp/index.ts'
import { kindOf, messageOf } from '../../lib/runtime/errors.ts'
import type { Expr } from './ast.ts'
import { createLogEngine } from './engine.ts'
import { compileIp } from './ip.ts'
import { requiredText } from './line-regexp.ts'
import { MemorySource, queryableOf } from './logqltest/memory-source.ts'
import { TEST_LIMITS } from './logqltest/script.ts'
import { parseExpr } from './parser.ts'
import { printExpr } from './printer.ts'
import { compileStage, Entry } from './stages/index.ts'
import { compileTemplate } from './template/index.ts'
import { formatGoDuration, parseBytesText, parseDurationText, parseFloatText } from './units.ts'

const UPSTREAM = join(import.meta.dirname, '../../../shared/testdata/logqltest')
const QUERIES = [
  '{app="a", b!~"x.*"} |= "x" or ip("10.0.0.0/8") | json a="b.c", d | label_format x=y, z="{{.a}}" | drop a, b="c" | keep d',
  '{app="a"} | logfmt --strict --keep-empty | a > 5 and (b="x" or c <= 1h30m), d = 5KB | line_format `{{.x | ToUpper}}`',
  'quantile_over_time(0.99, {a="b"} | unwrap duration(x) | y="z" [1h30m] offset 5m) by (a, b)',
  '1 + 2 * rate({a="b"}[5m]) ^ 2 > bool on (a) group_left (b) sum without (c) (rate({a="b"}[5m]))',
  'label_replace(topk(5, sum by (a) (bytes_rate({a="b"} != "x" [5m]))), "a", "$1", "b", "(.*)")',
  'sort_desc(sum(count_over_time({a="b"} |> "<_> x" | pattern "<a> <_>" | regexp "(?P<x>y)" | unpack | decolorize [1m]))) or vector(0)',
]

function upstreamQueries(): string[] {
  if (!existsSync(UPSTREAM)) return []
  const texts = readdirSync(UPSTREAM).map((name) => readFileSync(join(UPSTREAM, name), 'utf8'))
  return texts.flatMap((text) =>
    [...text.matchAll(/^eval (?:instant at \S+|range from \S+ to \S+ step \S+) (.*)$/gm)].map((match) => match[1]!),
  )
}

function outcomeOf(query: string): string {
  try {
    parseExpr(query)
    return 'parsed'
  } catch (error) {
    return kindOf(error)
  }
}

function parsed(query: string): Expr | undefined {
  try {
    return parseExpr(query)
  } catch {
    return undefined
  }
}

/** The tree without the text it came from. */
function bare(expr: Expr | undefined): unknown {
  return JSON.parse(JSON.stringify(expr, (key, value: unknown) => (key === 'source' ? undefined : value)))
}

describe('the grammar', () => {
  test('what is printed parses to the same', () => {
    const queries = [...QUERIES, ...upstreamQueries()]
    let compared = 0
    for (const query of queries) {
      const expr = parsed(query)
      if (expr === undefined) continue
      expect({ query, tree: bare(parseExpr(printExpr(expr))) }).toEqual({ query, tree: bare(expr) })
      compared++
    }
    expect(compared).toBeGreaterThanOrEqual(QUERIES.length)
  })

  test.each([
    ['{}', 'queries require at least one regexp or equality matcher'],
    ['{a=~".*"}', 'queries require at least one regexp or equality matcher'],
    ['{a="b"} | distinct x', 'cannot run the query: | distinct is not built yet'],
    ['{a="b"', 'syntax error: unexpected $end'],
    ['rate({a="b"})', 'syntax error: unexpected )'],
    ['rate({a="b"}[x])', 'not a valid duration string: "x"'],
    ['sum(rate({a="b"}[5m])', 'syntax error: unexpected $end'],
    ['{a="b"} | line_format "{{.x"', 'unclosed action'],
    ['{a="b"} |~ "("', 'error parsing regexp'],
    ['{a="b"} | json x="a["', 'cannot parse expression'],
    [`${'('.repeat(500)}1`, 'nested more than'],
    ['{a="b"} | label_format a="x", a="y"', "multiple label name 'a' not allowed"],
  ])('%s is refused', async (query, text) => {
    const range = { query, start: { ms: 0, subNs: 0 }, end: { ms: 1, subNs: 0 }, stepMs: 1, direction: 'forward', limit: 1 } as const
    await expect(createLogEngine().range(queryableOf([new MemorySource()]), range, TEST_LIMITS)).rejects.toThrow(text)
  })

  test('any text parses or is bad_data', () => {
    const piece = fc.constantFrom(...'{ } ( ) [5m] | = != =~ |= "x" a rate sum by , json 5 1h > and or - ip unwrap `y` #'.split(' '))
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece).map((pieces) => pieces.join(' ')),
          fc.string(),
        ),
        (query) => {
          expect(outcomeOf(query)).toMatch(/^(parsed|bad_data)$/)
        },
      ),
    )
  })
})

function entryOf(line: string, stream: Record<string, string> = {}, block = 0): Entry {
  const entry = new Entry()
  entry.block = block
  const bytes = Buffer.from(line)
  entry.reset(labelsOf(stream), [], bytes, 0, bytes.length)
  return entry
}

function fieldsOf(stage: Parameters<typeof compileStage>[0], line: string): Record<string, string> {
  const entry = entryOf(line)
  expect(compileStage(stage).process(entry)).toBe(true)
  return Object.fromEntries(entry.toMap())
}

describe('stages', () => {
  test('json finds what JSON.parse finds', () => {
    const value = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.array(fc.integer()),
      fc.constant(null),
    )
    const object = fc.dictionary(
      fc.stringMatching(/^[a-z]{1,5}$/),
      fc.oneof(value, fc.dictionary(fc.stringMatching(/^[A-Z]{1,3}$/), value)),
    )
    fc.assert(
      fc.property(object, (fields) => {
        const wanted = new Map<string, string>()
        const walk = (inner: object, prefix: string): void => {
          for (const [key, one] of Object.entries(inner)) {
            if (one === null || Array.isArray(one)) continue
            if (typeof one === 'object') walk(one as object, `${prefix}${key}_`)
            else wanted.set(`${prefix}${key}`, typeof one === 'string' ? one.replaceAll('\ufffd', '') : JSON.stringify(one))
          }
        }
        walk(fields, '')
        expect(fieldsOf({ kind: 'json', expressions: [] }, JSON.stringify(fields))).toEqual(Object.fromEntries(wanted))
      }),
    )
  })

  test('keys become label names', () => {
    const line = '{"9x":1,"a b":{"1.c":2,"_1":3},"ключ":4,"\\u0061z":5,"":6}'
    expect(fieldsOf({ kind: 'json', expressions: [] }, line)).toEqual({ _9x: '1', a_b_1_c: '2', a_b__1: '3', ____: '4', az: '5' })
  })

  test('any line leaves parsers with labels or an error, never an exception', () => {
    const stages = [
      { kind: 'json', expressions: [] },
      { kind: 'json', expressions: [{ name: 'x', expression: 'a.b[0]["c"]' }] },
      { kind: 'logfmt', strict: true, keepEmpty: true, expressions: [] },
      { kind: 'unpack' },
      { kind: 'pattern', pattern: '<a> [<b>] <_>' },
    ] as const
    const line = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...Array.from('{}[]":,=\\ ab1'))).map((chars) => chars.join('')),
    )
    fc.assert(
      fc.property(line, fc.constantFrom(...stages), (text, stage) => {
        const fields = fieldsOf(stage, text)
        expect(Object.values(fields).every((value) => typeof value === 'string')).toBe(true)
      }),
    )
  })

  test('logfmt: strict stops at the first bad pair', () => {
    const line = 'a=1 b="x \\"y\\"" c="open'
    expect(fieldsOf({ kind: 'logfmt', strict: false, keepEmpty: false, expressions: [] }, line)).toEqual({ a: '1', b: 'x "y"' })
    expect(fieldsOf({ kind: 'logfmt', strict: true, keepEmpty: false, expressions: [] }, line)).toMatchObject({
      a: '1',
      __error__: 'LogfmtParserErr',
      __error_details__: expect.stringContaining('unterminated quoted value'),
    })
  })

  test('a text is found in its own line only, wherever the search stands', () => {
    const lines = fc.array(fc.stringMatching(/^[ab ]{0,6}$/), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(lines, fc.stringMatching(/^[ab ]{1,3}$/), fc.boolean(), (texts, needle, backward) => {
        const stage = compileStage({ kind: 'line', op: '|=', alternatives: [{ text: needle, isIp: false }] })
        const bytes = Buffer.from(texts.join(''))
        const entry = new Entry()
        const starts = texts.map((_, i) => texts.slice(0, i).join('').length)
        const order = backward ? texts.map((_, i) => texts.length - 1 - i) : texts.map((_, i) => i)
        for (const i of order) {
          entry.resetLine(bytes, starts[i]!, starts[i]! + texts[i]!.length)
          expect(stage.process(entry)).toBe(texts[i]!.includes(needle))
        }
      }),
    )
  })

  test('a required text is in every line its pattern matches', () => {
    const piece = fc.constantFrom('ab', 'a', 'b*', 'b?', 'a+', '[ab]', '(ab)', '(a|b)', '\\.', '.', '.*', 'a{0,2}', '^', '$', '\\w', '\\d')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), fc.stringMatching(/^[ab.1]{0,10}$/), (pieces, line) => {
        const pattern = pieces.join('')
        if (!compileRegexp(pattern).test(line)) return
        expect({ pattern, holds: line.includes(requiredText(pattern)) }).toEqual({ pattern, holds: true })
      }),
    )
  })
})

describe('templates', () => {
  const render = (text: string): string =>
    compileTemplate(text)({
      labels: new Map(Object.entries({ a: 'Hello', n: '7', j: '{"x":[1,2]}' })),
      line: () => 'the line',
      timeMs: 1_700_000_000_123,
      subNs: 0,
    })

  test.each([
    ['{{.a}}-{{ .missing }}|', 'Hello-|'],
    ['{{ .a | ToUpper | trunc 3 }}', 'HEL'],
    ['{{ if eq .a "Hello" }}yes{{ else if .n }}no{{ else }}none{{ end }}', 'yes'],
    ['{{ range $i, $x := (fromJson .j).x }}{{ $i }}={{ $x }};{{ end }}', '0=1;1=2;'],
    ['{{ with .n }}<{{ . }}>{{ end }}', '<7>'],
    ['{{- "x" -}}  y', 'xy'],
    ['{{/* nothing */}}a', 'a'],
    ['{{ printf "%05.1f|%-4s|%d|%q" (float64 .n) .a (int .n) "q" }}', '007.0|Hello|7|"q"'],
    ['{{ add 1 2 3 }} {{ div 7 2 }} {{ divf 7 2 }} {{ round 3.14159 2 }}', '6 3 3.5 3.14'],
    ['{{ regexReplaceAll "(l+)o" .a "<$1>" }}', 'He<ll>'],
    ['{{ __line__ | replace "the" "a" }}', 'a line'],
    ['{{ __timestamp__ | date "2006-01-02T15:04:05.000Z07:00" }}', '2023-11-14T22:13:20.000Z'.replace('.000', '.123')],
    ['{{ unixEpoch (toDate "2006-01-02" "2023-11-14") }}', '1699920000'],
    ['{{ alignLeft 7 .a }}|{{ alignRight 3 .a }}', 'Hello  |llo'],
    ['{{ default "x" .missing }} {{ .a | contains "ell" }} {{ not true }}', 'x true false'],
    ['{{ bytes "2KB" }} {{ duration "1m30s" }}', '2000 90'],
    ['{{ $v := .n }}{{ $v }}{{ len .a }}', '75'],
    ['{{ urlencode "a b&c" }} {{ b64enc "hi" }} {{ substr 1 3 .a }}', 'a+b%26c aGk= el'],
  ])('%s', (text, wanted) => {
    expect(render(text)).toBe(wanted)
  })

  test.each([
    ['{{ nope }}', 'function "nope" not defined'],
    ['{{ if .a }}', 'unexpected EOF'],
    ['{{ end }}', 'unexpected {{end}}'],
    ['{{ $x }}', 'undefined variable "$x"'],
    ['{{ }}', 'missing value for command'],
  ])('%s is refused', (text, why) => {
    expect(() => compileTemplate(text)).toThrow(why)
  })

  test('output is bounded', () => {
    expect(() => render('{{ repeat 1000000000 "x" }}')).toThrow('longer than')
  })
})

test('numbers, durations and sizes say why they are none', () => {
  expect(['1.5e3', '+Inf', 'NaN', '0x1p3', '.5'].map(parseFloatText)).toEqual([1500, Infinity, Number.NaN, 8, 0.5])
  expect(parseFloatText('x')).toBe('strconv.ParseFloat: parsing "x": invalid syntax')
  expect(['1h30m', '-5s', '1.5ms', '0'].map(parseDurationText)).toEqual([5400e9, -5e9, 1.5e6, 0])
  expect(['90', '1d', 'x', ''].map(parseDurationText)).toEqual([
    'time: missing unit in duration "90"',
    'time: unknown unit "d" in duration "1d"',
    'time: invalid duration "x"',
    'time: invalid duration ""',
  ])
  expect(['1KB', '1.5 kib', '2,048', '3xb'].map(parseBytesText)).toEqual([1000, 1536, 2048, 'unhandled size name: xb'])
  expect([5400e9, 1.5e9, 20e6, 0].map(formatGoDuration)).toEqual(['1h30m0s', '1.5s', '20ms', '0s'])
})

test('addresses are found in text', () => {
  const matches = (pattern: string, text: string): boolean => compileIp(pattern).matches(text)
  expect(matches('10.0.0.1-10.0.0.9', 'from 10.0.0.9:443')).toBe(true)
  expect(matches('10.0.0.1-10.0.0.9', 'from 10.0.0.10')).toBe(false)
  expect(matches('10.0.0.0/30', 'a=10.0.0.3,b=1')).toBe(true)
  expect(matches('2001:db8::/32', '[2001:db8::7]:80')).toBe(true)
  expect(matches('::1', '0:0:0:0:0:0:0:1')).toBe(true)
  expect(() => compileIp('10.0.0.0/33')).toThrow('ip: invalid pattern')
})

describe('the engine', () => {
  const source = new MemorySource()
  for (let i = 0; i < 600; i++) source.add({ stream: labelsOf({ app: `a${i % 3}` }), timeMs: i * 700, line: `n=${i} v=${i % 13}` })
  const queryable = queryableOf([source])
  const engine = createLogEngine()

  test('a range query is many instant queries', async () => {
    const query = fc.constantFrom(
      'sum by (app) (rate({app=~".+"} |~ "n=.*5"[1m]))',
      'stddev_over_time({app=~".+"} | logfmt | unwrap v [45s]) by (app)',
      'quantile_over_time(0.9, {app="a1"} | logfmt | unwrap v [30s]) by (app)',
      'topk(1, sum by (app) (sum_over_time({app=~".+"} | logfmt | unwrap v [20s])))',
    )
    await fc.assert(
      fc.asyncProperty(query, fc.integer({ min: 0, max: 300_000 }), fc.integer({ min: 1000, max: 60_000 }), async (text, start, stepMs) => {
        const end = start + stepMs * 4
        const range = {
          query: text,
          start: { ms: start, subNs: 0 },
          end: { ms: end, subNs: 0 },
          stepMs,
          direction: 'forward',
          limit: 1,
        } as const
        const whole = await engine.range(queryable, range, TEST_LIMITS)
        for (let k = 0; k < 5; k++) {
          const one = await engine.instant(queryable, text, start + k * stepMs, TEST_LIMITS)
          if (whole.type !== 'matrix' || one.type !== 'vector') throw new Error('wrong type')
          const there = whole.series
            .filter(({ present }) => present[k] === 1)
            .map(({ labels, values }) => `${labels.join()} ${values[k]!.toFixed(9)}`)
          const wanted = one.series.map(({ labels, values }) => `${labels.join()} ${values[0]!.toFixed(9)}`)
          expect(there.sort()).toEqual(wanted.sort())
        }
      }),
      { numRuns: 40 },
    )
  })

  test('limits: series, cells, time', async () => {
    const query = 'count_over_time({app=~".+"} | logfmt [10m])'
    await expect(engine.instant(queryable, query, 420_000, TEST_LIMITS)).rejects.toThrow(
      'maximum of series (500) reached for a single query',
    )
    await expect(engine.instant(queryable, query, 420_000, { ...TEST_LIMITS, cellsMax: 100 })).rejects.toMatchObject({ kind: 'too_large' })
    const stuck = { ...queryable, samples: () => new Promise<never>((_, reject) => setTimeout(() => reject(new Error('late')), 30)) }
    await expect(engine.instant(stuck, query, 420_000, { ...TEST_LIMITS, timeoutMs: 5 }).catch(messageOf)).resolves.toContain('timed out')
  })

  test('an empty line has no bytes and is there', async () => {
    const empty = new MemorySource()
    empty.add({ stream: labelsOf({ app: 'x' }), timeMs: 1000, line: '' })
    const result = await engine.instant(queryableOf([empty]), 'bytes_over_time({app="x"}[1m])', 2000, TEST_LIMITS)
    expect(result).toMatchObject({ series: [{ labels: ['app', 'x'], present: Uint8Array.of(1), values: Float64Array.of(0) }] })
  })
})
