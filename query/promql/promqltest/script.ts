/** Runs Prometheus' PromQL test scripts against an engine. Each evaluation answers undefined or what is wrong. */
import {
  METRIC_NAME,
  formatLabels,
  labelsKey,
  labelsWith,
  parseDuration,
  type FloatHistogram,
  type Labels,
} from '../../../lib/model/index.ts'
import { messageOf } from '../../../lib/runtime/errors.ts'
import type { Engine, QueryResult } from '../engine.ts'
import { compactHistogram } from '../histogram/index.ts'
import { unquote } from '../strings.ts'
import { MemoryQueryable } from './memory-queryable.ts'
import { parseCells, parseStarts, splitSeriesLine, type Cell } from './series-notation.ts'

export interface Evaluation {
  /** `file:line query` */
  readonly name: string
  readonly failure: string | undefined
}

interface Expectations {
  fail: boolean
  ordered: boolean
  readonly matches: { readonly kind: string; readonly text?: string; readonly pattern?: RegExp }[]
  string: string | undefined
  rangeVector: { startMs: number; endMs: number; stepMs: number } | undefined
  readonly series: { readonly labels: Labels; readonly cells: Cell[] }[]
  scalar: number | undefined
}

interface EvalCommand {
  readonly query: string
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
  readonly isRange: boolean
  readonly expected: Expectations
}

export async function runScript(engine: Engine, file: string, text: string): Promise<Evaluation[]> {
  const lines = text.split('\n').map((line) => (line.trim().startsWith('#') ? '' : line.trim()))
  const out: Evaluation[] = []
  let store = new MemoryQueryable()
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    if (line === '') continue
    const block: string[] = []
    const number = i + 1
    if (/^(load|eval)/.test(line)) while (i + 1 < lines.length && lines[i + 1] !== '') block.push(lines[++i]!)
    if (line === 'clear') store = new MemoryQueryable()
    else if (line.startsWith('load')) load(store, line, block)
    else if (line.startsWith('eval')) {
      const command = parseEval(line, block)
      out.push({ name: `${file}:${number} ${command.query}`, failure: await runEval(engine, store, command) })
    } else throw new Error(`${file}:${number}: no command: ${line}`)
  }
  return out
}

function time(text: string): number {
  return parseDuration(text) ?? Number(text) * 1000
}

function load(store: MemoryQueryable, line: string, block: readonly string[]): void {
  const [command, gap] = line.split(/\s+/) as [string, string]
  const gapMs = time(gap)
  let starts: (number | undefined)[] = []
  for (const definition of block) {
    const series = splitSeriesLine(definition)!
    if (series.isStart) {
      starts = parseStarts(series.text)
      continue
    }
    parseCells(series.text).forEach((cell, n) => {
      const start = starts[n]
      if (cell !== undefined) store.add(series.labels, n * gapMs, cell, start === undefined ? 0 : n * gapMs + start)
    })
    starts = []
  }
  if (command === 'load_with_nhcb') store.addCustomBucketHistograms()
}

function parseEval(line: string, block: readonly string[]): EvalCommand {
  const instant = /^eval(_\w+)?\s+instant\s+(?:at\s+(\S+)\s+)?(.*)$/.exec(line)
  const range = /^eval(_\w+)?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.*)$/.exec(line)
  const mode = (instant ?? range)![1]
  const expected = parseExpectations(mode, block)
  if (range !== null) {
    return { query: range[5]!, startMs: time(range[2]!), endMs: time(range[3]!), stepMs: time(range[4]!), isRange: true, expected }
  }
  const at = time(instant![2]!)
  return { query: instant![3]!, startMs: at, endMs: at, stepMs: 0, isRange: false, expected }
}

function parseExpectations(mode: string | undefined, block: readonly string[]): Expectations {
  const expected: Expectations = {
    fail: mode === '_fail',
    ordered: mode === '_ordered',
    matches: mode === '_warn' ? [{ kind: 'warn' }] : mode === '_info' ? [{ kind: 'info' }] : [],
    string: undefined,
    rangeVector: undefined,
    series: [],
    scalar: undefined,
  }
  for (const line of block) {
    const expect = /^expect\s+(fail|warn|info|no_warn|no_info|ordered|string|range vector)\s*(.*)$/.exec(line)
    if (expect !== null) parseExpect(expected, expect[1]!, expect[2]!)
    else {
      const series = splitSeriesLine(line)
      if (series === undefined) expected.scalar = parseCells(line)[0] as number
      else expected.series.push({ labels: series.labels, cells: parseCells(series.text) })
    }
  }
  return expected
}

function parseExpect(expected: Expectations, kind: string, rest: string): void {
  const window = /^from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$/.exec(rest)
  if (kind === 'ordered') expected.ordered = true
  else if (kind === 'string') expected.string = unquote(rest)
  else if (kind === 'range vector')
    expected.rangeVector = { startMs: time(window![1]!), endMs: time(window![2]!), stepMs: time(window![3]!) }
  else {
    if (kind === 'fail') expected.fail = true
    const detail = /^(msg|regex):\s*(.*)$/.exec(rest)
    if (detail === null) expected.matches.push({ kind })
    else if (detail[1] === 'msg') expected.matches.push({ kind, text: detail[2]! })
    else expected.matches.push({ kind, pattern: new RegExp(detail[2]!) })
  }
}

async function runEval(engine: Engine, store: MemoryQueryable, command: EvalCommand): Promise<string | undefined> {
  const { query, startMs, endMs, stepMs, isRange, expected } = command
  let result: QueryResult
  try {
    result = isRange ? await engine.range(store, query, startMs, endMs, stepMs) : await engine.instant(store, query, startMs)
  } catch (error) {
    const message = messageOf(error)
    if (!expected.fail) return `failed: ${message}`
    const wanted = expected.matches.find((match) => match.kind === 'fail')
    return wanted === undefined || matchesText(wanted, message) ? undefined : `failed otherwise: ${message}`
  }
  if (expected.fail) return 'did not fail'
  return checkAnnotations(result, expected) ?? checkResult(result, command)
}

function matchesText(wanted: Expectations['matches'][number], text: string): boolean {
  if (wanted.text !== undefined) return text === wanted.text
  return wanted.pattern === undefined || wanted.pattern.test(text)
}

function checkAnnotations(result: QueryResult, { matches }: Expectations): string | undefined {
  for (const wanted of matches) {
    const texts = wanted.kind.endsWith('warn') ? result.warnings : result.infos
    if (wanted.kind.startsWith('no_')) {
      if (texts.length > 0) return `unexpected ${wanted.kind.slice(3)}: ${texts.join('; ')}`
    } else if (!texts.some((text) => matchesText(wanted, text))) {
      return `no ${wanted.kind} ${wanted.text ?? wanted.pattern?.source ?? ''}: ${JSON.stringify([...result.warnings, ...result.infos])}`
    }
  }
  return undefined
}

interface Got {
  readonly labels: Labels
  readonly at: (step: number) => Cell
  readonly samples: number
}

function checkResult(result: QueryResult, { expected, startMs, stepMs }: EvalCommand): string | undefined {
  if (expected.string !== undefined) {
    return result.type === 'string' && result.value === expected.string ? undefined : `got ${JSON.stringify(result)}`
  }
  if (expected.scalar !== undefined) {
    const value = result.type === 'scalar' ? result.values[0]! : undefined
    return value !== undefined && closeNumbers(expected.scalar, value) ? undefined : `got ${String(value)}, not ${expected.scalar}`
  }
  const got = gotSeries(result, expected.rangeVector ?? { startMs, stepMs })
  if (got === undefined) return `got a ${result.type}`
  const wanted = expected.series.map(({ labels, cells }) => ({ labels, cells, key: labelsKey(labels) }))
  if (expected.ordered) {
    const order = got.map((series) => labelsKey(series.labels)).join('\n')
    if (order !== wanted.map(({ key }) => key).join('\n')) return `order is ${got.map((series) => formatLabels(series.labels)).join(', ')}`
  }
  const byKey = new Map(got.map((series) => [labelsKey(series.labels), series]))
  for (const { labels, cells, key } of wanted) {
    const series = byKey.get(key)
    if (series === undefined) {
      if (cells.every((cell) => cell === undefined)) continue
      return `missing ${formatLabels(labels)}; got ${got.map((one) => formatLabels(one.labels)).join(', ') || 'nothing'}`
    }
    byKey.delete(key)
    for (let k = 0; k < cells.length; k++) {
      if (!closeCells(cells[k], series.at(k))) return `${formatLabels(labels)} step ${k}: ${show(series.at(k))}, not ${show(cells[k])}`
    }
    if (series.samples > cells.filter((cell) => cell !== undefined).length) return `${formatLabels(labels)} has more samples than expected`
  }
  const extra = byKey.values().next().value
  return extra === undefined ? undefined : `unexpected ${formatLabels(extra.labels)} ${show(extra.at(0))}`
}

function gotSeries(result: QueryResult, window: { startMs: number; stepMs: number }): Got[] | undefined {
  if (result.type === 'samples') {
    return result.series.map(({ labels, times, values, histogramTimes, histograms }) => {
      const cells = new Map<number, Cell>()
      times.forEach((at, i) => cells.set(at, values[i]!))
      histogramTimes.forEach((at, i) => cells.set(at, histograms[i]!))
      return { labels, at: (k: number) => cells.get(window.startMs + k * window.stepMs), samples: cells.size }
    })
  }
  if (result.type === 'scalar') {
    return [{ labels: [], at: (k) => result.values[k], samples: result.values.length }]
  }
  if (result.type === 'string') return undefined
  return result.series.map(({ labels, values, present, histograms }) => ({
    labels: labelsWith(
      labels,
      METRIC_NAME,
      labels[labels.indexOf(METRIC_NAME) + 1] !== undefined && labels.includes(METRIC_NAME) ? labels[labels.indexOf(METRIC_NAME) + 1]! : '',
    ),
    at: (k: number) => (present[k] === 1 ? (histograms?.[k] ?? values[k]) : undefined),
    samples: present.reduce((sum, flag) => sum + flag, 0),
  }))
}

function show(cell: Cell): string {
  return typeof cell === 'object' ? JSON.stringify(compactHistogram(cell)) : String(cell)
}

function closeCells(wanted: Cell, got: Cell): boolean {
  if (typeof wanted === 'number' && typeof got === 'number') return closeNumbers(wanted, got)
  if (typeof wanted === 'object' && typeof got === 'object') return closeHistograms(wanted, got)
  return wanted === got
}

/** Prometheus' `almost.Equal` with 1e-6. */
function closeNumbers(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true
  if (a === b) return true
  const difference = Math.abs(a - b)
  const sum = Math.abs(a) + Math.abs(b)
  if (a === 0 || b === 0 || sum < 2.2250738585072014e-308) return difference < 1e-6 * 2.2250738585072014e-308
  return difference / Math.min(sum, Number.MAX_VALUE) < 1e-6
}

function closeHistograms(a: FloatHistogram, b: FloatHistogram): boolean {
  const [x, y] = [compactHistogram(a), compactHistogram(b)]
  if (a.counterResetHint !== 'unknown' && a.counterResetHint !== b.counterResetHint) return false
  const exact = (h: FloatHistogram): string => JSON.stringify([h.schema, h.positiveSpans, h.negativeSpans, h.customValues])
  const numbers = (h: FloatHistogram): number[] => [
    h.zeroThreshold,
    h.zeroCount,
    h.count,
    h.sum,
    ...h.positiveBuckets,
    ...h.negativeBuckets,
  ]
  const right = numbers(y)
  return exact(x) === exact(y) && numbers(x).every((value, i) => closeNumbers(value, right[i]!))
}
