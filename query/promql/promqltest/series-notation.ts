/**
 * Series as Prometheus' test scripts write them: `metric{a="b"} 1+2x10 _ stale {{schema:0 sum:1 count:1 buckets:[1]}}x3`.
 */
import { labelsOf, parseDuration, type CounterResetHint, type FloatHistogram, type Labels, type Span } from '../../../lib/model/index.ts'
import { parseGoNumber } from '../go-float.ts'
import { addHistograms, subtractHistograms } from '../histogram/index.ts'
import { parseExpr } from '../parser.ts'

export type Cell = number | FloatHistogram | 'stale' | undefined

export interface SeriesLine {
  readonly labels: Labels
  readonly isStart: boolean
  readonly text: string
}

/** Splits a line into its series and the rest; undefined where the line is a bare value. */
export function splitSeriesLine(line: string): SeriesLine | undefined {
  const end = endOfSelector(line)
  if (end === 0) return undefined
  const selector = line.slice(0, end).trim()
  const isStart = line.startsWith('@st', end)
  return { labels: labelsOfSelector(selector), isStart, text: line.slice(end + (isStart ? 3 : 0)).trim() }
}

function endOfSelector(line: string): number {
  let at = 0
  while (at < line.length && /[a-zA-Z0-9_:]/.test(line[at]!)) at++
  if (/^[0-9]/.test(line) || /^(inf|nan)$/i.test(line.slice(0, at))) return 0
  if (line[at] !== '{' || line[at + 1] === '{') return at
  let inString = false
  for (; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (line[at] === '"') inString = !inString
    else if (line[at] === '}' && !inString) return at + 1
  }
  return at
}

function labelsOfSelector(selector: string): Labels {
  if (/^\{\s*\}$/.test(selector)) return []
  const expr = parseExpr(selector.replaceAll(/=""/g, '=""'))
  if (expr.kind !== 'vectorSelector') throw new Error(`no series: ${selector}`)
  return labelsOf(expr.matchers.map((matcher) => [matcher.name, matcher.value] as const))
}

/** The cells of a sequence; item n is at n steps. */
export function parseCells(text: string): Cell[] {
  const out: Cell[] = []
  for (const token of splitTokens(text)) out.push(...expand(token))
  return out
}

/** Tokens are divided by blanks outside of `{{ }}`. */
function splitTokens(text: string): string[] {
  const out: string[] = []
  let depth = 0
  let current = ''
  for (let i = 0; i < text.length; i++) {
    if (text.startsWith('{{', i)) depth++
    if (depth === 0 && /\s/.test(text[i]!)) {
      if (current !== '') out.push(current)
      current = ''
      continue
    }
    if (text.startsWith('}}', i)) {
      depth--
      current += '}}'
      i++
      continue
    }
    current += text[i]!
  }
  if (current !== '') out.push(current)
  return out
}

function expand(token: string): Cell[] {
  const histogram = /^(\{\{.*?\}\})(?:([+-])(\{\{.*?\}\}))?(?:x(\d+))?$/.exec(token)
  if (histogram !== null) return expandHistogram(histogram)
  const blank = /^_(?:x(\d+))?$/.exec(token)
  if (blank !== null) return Array.from({ length: Number(blank[1] ?? 1) })
  if (token === 'stale') return ['stale']
  const float = /^([+-]?(?:inf|nan|[0-9.]+(?:e[+-]?\d+)?))(?:([+-](?:inf|nan|[0-9.]+(?:e[+-]?\d+)?)))?(?:x(\d+))?$/i.exec(token)
  if (float === null) throw new Error(`no value: ${token}`)
  const first = number(float[1]!)
  if (float[3] === undefined) return [first]
  const delta = float[2] === undefined ? 0 : number(float[2])
  const cells = [first]
  for (let i = 0; i < Number(float[3]); i++) cells.push(cells.at(-1)! + delta)
  return cells
}

function number(text: string): number {
  const value = parseGoNumber(text.replace(/^[+-]/, ''))
  if (typeof value !== 'number') throw new Error(`no number: ${text}`)
  return text.startsWith('-') ? -value : value
}

function expandHistogram(match: RegExpExecArray): Cell[] {
  const first = parseHistogram(match[1]!)
  if (match[4] === undefined) return [first]
  const cells = [first]
  const increment = match[3] === undefined ? undefined : parseHistogram(match[3])
  for (let i = 0; i < Number(match[4]); i++) {
    const last = cells.at(-1)!
    if (increment === undefined) cells.push(last)
    else cells.push((match[2] === '+' ? addHistograms : subtractHistograms)(last, increment)!.histogram)
  }
  return cells
}

function parseHistogram(text: string): FloatHistogram {
  const fields = new Map<string, string>()
  for (const [, key, value] of text.slice(2, -2).matchAll(/(\w+):(\[[^\]]*\]|\S+)/g)) fields.set(key!, value!)
  const list = (key: string): number[] => (fields.get(key) ?? '[]').slice(1, -1).split(/\s+/).filter(Boolean).map(number)
  const field = (key: string): number => number(fields.get(key) ?? '0')
  const spans = (offset: string, counts: readonly number[]): Span[] =>
    counts.length === 0 ? [] : [{ offset: field(offset), length: counts.length }]
  const positiveBuckets = list('buckets')
  const negativeBuckets = list('n_buckets')
  return {
    schema: field('schema'),
    zeroThreshold: field('z_bucket_w'),
    zeroCount: field('z_bucket'),
    count: field('count'),
    sum: field('sum'),
    positiveBuckets,
    negativeBuckets,
    positiveSpans: spans('offset', positiveBuckets),
    negativeSpans: spans('n_offset', negativeBuckets),
    customValues: list('custom_values'),
    counterResetHint: (fields.get('counter_reset_hint') ?? 'unknown') as CounterResetHint,
  }
}

/** Start timestamps, as milliseconds relative to their samples. */
export function parseStarts(text: string): (number | undefined)[] {
  const out: (number | undefined)[] = []
  for (const token of splitTokens(text)) {
    const match = /^([+-]?(?:\d+[a-z]+)+|[+-]?0|_)([+-](?:\d+[a-z]+)+)?(?:x(\d+))?$/.exec(token)
    if (match === null) throw new Error(`no start: ${token}`)
    const repeat = match[3] === undefined ? 0 : Number(match[3])
    if (match[1] === '_') {
      for (let i = 0; i < Math.max(1, repeat); i++) out.push(undefined)
      continue
    }
    const first = signedDuration(match[1]!)
    const delta = match[2] === undefined ? 0 : signedDuration(match[2])
    for (let i = 0; i <= repeat; i++) out.push(first + i * delta)
  }
  return out
}

function signedDuration(text: string): number {
  const ms = parseDuration(text.replace(/^[+-]/, ''))!
  return text.startsWith('-') ? -ms : ms
}
