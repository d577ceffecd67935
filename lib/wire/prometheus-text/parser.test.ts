import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatLabels, labelsToObject, type Labels } from '../../model/index.ts'
import { ExpositionParser, parseFloatBytes, parseSeries } from './index.ts'

/** A parser and what it was told of new series. */
function newParser(format: 'text' | 'openmetrics' = 'text'): { parser: ExpositionParser; series: Labels[] } {
  const series: Labels[] = []
  const parser = new ExpositionParser({ format, onSeries: (labels) => series.push(labels) - 1 })
  return { parser, series }
}

function samplesOf(text: string, subject = newParser()): string[] {
  const { count, refs, values, timestamps } = subject.parser.parse(Buffer.from(text))
  return Array.from({ length: count }, (_, i) => {
    const time = timestamps === undefined || Number.isNaN(timestamps[i]!) ? '' : ` @${timestamps[i]}`
    return `${formatLabels(subject.series[refs[i]!]!)} ${values[i]}${time}`
  })
}

/** `parsed`, or the kind of the error. */
function kindOfParse(parser: ExpositionParser, body: Buffer): string {
  try {
    parser.parse(body)
    return 'parsed'
  } catch (error) {
    return (error as { kind?: string }).kind ?? String(error)
  }
}

describe('exposition text', () => {
  test('names, labels, escapes, blanks and comments', () => {
    const text = `# HELP a Some \\n help
# TYPE a counter
a 1
a{b="x",c="y"} 2.5

  a { b = "sp ace" , c="}" , } 3
a{b="q\\"uo\\\\te\\n"} -4e-3
# just a comment
`
    expect(samplesOf(text)).toEqual(['a 1', 'a{b="x", c="y"} 2.5', 'a{b="sp ace", c="}"} 3', 'a{b="q\\"uo\\\\te\\n"} -0.004'])
  })

  test('quoted UTF-8 names', () => {
    expect(samplesOf('{"http.status","label.näme"="x"} 1\n')).toEqual(['http.status{label.näme="x"} 1'])
  })

  test('timestamps are milliseconds in text and seconds in OpenMetrics', () => {
    expect(samplesOf('a 1 1700000000123\nb 2\n')).toEqual(['a 1 @1700000000123', 'b 2'])
    expect(samplesOf('a 1 1700000000.123\n# EOF\n', newParser('openmetrics'))).toEqual(['a 1 @1700000000123'])
  })

  test('metadata is told once, and again where it changes', () => {
    const subject = newParser()
    const parse = (text: string): unknown => subject.parser.parse(Buffer.from(text)).metadata
    expect(parse('# HELP a Help.\n# TYPE a counter\na 1\n')).toEqual([{ family: 'a', type: 'counter', help: 'Help.', unit: '' }])
    expect(parse('# HELP a Help.\n# TYPE a counter\na 2\n')).toEqual([])
    expect(parse('# HELP a Help.\n# TYPE a gauge\na 2\n')).toEqual([{ family: 'a', type: 'gauge', help: 'Help.', unit: '' }])
  })

  test('a body without a newline at its end, and OpenMetrics that stays the same', () => {
    expect(samplesOf('a 1\nb 2')).toEqual(['a 1', 'b 2'])
    const subject = newParser('openmetrics')
    for (const end of ['# EOF\n', '# EOF\n', '# EOF'])
      expect(samplesOf(`# TYPE a counter\na_total 1\n${end}`, subject)).toEqual(['a_total 1'])
    expect(() => samplesOf('a_total 1\n# EOF\na_total 2\n', subject)).toThrow('unexpected text after # EOF')
  })

  test('exemplars of OpenMetrics', () => {
    const { parser } = newParser('openmetrics')
    const { exemplars } = parser.parse(
      Buffer.from('a_bucket{le="1"} 5 # {trace_id="abc"} 0.67 1700000000.5\na_bucket{le="2"} 6 # {t="x # y"} 1\n# EOF\n'),
    )
    expect(exemplars[0]).toMatchObject({ sample: 0, value: 0.67, timestampMs: 1_700_000_000_500 })
    expect(labelsToObject(exemplars[0]!.labels)).toEqual({ trace_id: 'abc' })
    expect(exemplars[1]).toMatchObject({ sample: 1, value: 1 })
  })

  test('the same series keep their refs whatever comes, goes or changes places', () => {
    const subject = newParser()
    const lines = Array.from({ length: 50 }, (_, i) => `m{i="${i}"}`)
    fc.assert(
      fc.property(fc.shuffledSubarray(lines), (some) => {
        const text = `# TYPE m gauge\n${some.map((line, i) => `${line} ${i}\n`).join('')}`
        expect(samplesOf(text, subject)).toEqual(some.map((line, i) => `${line} ${i}`))
      }),
    )
    expect(subject.series.length).toBeLessThanOrEqual(50)
  })

  test('forgotten series are announced again', () => {
    const subject = newParser()
    samplesOf('a 1\nb 2\n', subject)
    subject.parser.forget((ref) => ref === 0)
    expect(samplesOf('a 3\nb 4\n', subject)).toEqual(['a 3', 'b 4'])
    expect(subject.series.length).toBe(3)
  })

  test('comments that change each time are forgotten, series are not', () => {
    const subject = newParser()
    for (let i = 0; i < 2500; i++) expect(samplesOf(`# at ${i}\na ${i}\n# TYPE a gauge\nb 1\n`, subject)).toEqual([`a ${i}`, 'b 1'])
    expect(subject.series.length).toBe(2)
  })

  test('what is no exposition is refused with its line', () => {
    const error = (text: string, format: 'text' | 'openmetrics' = 'text'): string => {
      try {
        newParser(format).parser.parse(Buffer.from(text))
        return 'none'
      } catch (e) {
        return (e as Error).message
      }
    }
    expect(error('a 1\nb x\n')).toBe('cannot parse exposition, line 2: expected a value, got "x"')
    expect(error('a{b="c" 1\n')).toContain('line 1')
    expect(error('a 1 soon\n')).toContain('expected a timestamp')
    expect(error('a{b="1",b="2"} 1\n')).toContain('found it twice')
    expect(error('a 1\n', 'openmetrics')).toContain('does not end with # EOF')
    expect(error('<html>\n')).toContain('line 1')
  })

  test('any bytes give samples or bad_data', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const { parser } = newParser()
        const kinds = [1, 2].map(() => kindOfParse(parser, Buffer.from(bytes)))
        expect(kinds.filter((kind) => kind !== 'parsed' && kind !== 'bad_data')).toEqual([])
      }),
    )
  })
})

describe('numbers', () => {
  test('every double comes back as it was printed', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        // String() drops the sign of a negative zero, which exporters written in Go print.
        const text = Buffer.from(Object.is(value, -0) ? '-0' : String(value).replace('Infinity', 'Inf'))
        expect(parseFloatBytes(text, 0, text.length)).toBe(value)
      }),
      { examples: [[-0]] },
    )
  })

  test('decimals with few digits are exact', () => {
    fc.assert(
      fc.property(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.integer({ min: 0, max: 9 }), (mantissa, places) => {
        const text = (mantissa / 10 ** places).toFixed(places)
        expect(parseFloatBytes(Buffer.from(text), 0, text.length)).toBe(Number(text))
      }),
    )
  })

  test('other notations, and what is none', () => {
    const parse = (text: string): number | undefined => parseFloatBytes(Buffer.from(text), 0, text.length)
    expect([parse('+Inf'), parse('nan'), parse('Nan'), parse('0x1p-2'), parse('1e3'), parse('.5'), parse('5.')]).toEqual([
      Infinity,
      NaN,
      NaN,
      0.25,
      1000,
      0.5,
      5,
    ])
    for (const text of ['', '-', '.', '1e', 'x', '1 2', '0x', '1_000']) expect(parse(text)).toBeUndefined()
  })
})

test('a series is its text', () => {
  expect(labelsToObject(parseSeries('a{}'))).toEqual({ __name__: 'a' })
})
