/** Runs Loki's LogQL test scripts against the engine. Each evaluation answers undefined or what is wrong. */
import { formatLabels, hashText, labelsKey, labelsOf, type Labels } from '../../../lib/model/index.ts'
import { messageOf } from '../../../lib/runtime/errors.ts'
import { createLogEngine, type QueryLimits, type QueryResult } from '../engine.ts'
import { unquote } from '../strings.ts'
import { parseDurationLiteral } from '../units.ts'
import { MemorySource, queryableOf } from './memory-source.ts'

export interface Evaluation {
  /** `file:line query` */
  readonly name: string
  readonly failure: string | undefined
}

interface Expected {
  readonly fails: { readonly text: string | undefined; readonly pattern: RegExp | undefined } | undefined
  readonly isEmpty: boolean
  readonly isOrdered: boolean
  readonly scalar: readonly string[] | undefined
  readonly series: readonly { readonly labels: Labels; readonly cells: readonly string[] }[]
}

export const TEST_LIMITS: QueryLimits = {
  seriesMax: 500,

  stepsMax: 11_000,
  cellsMax: 1_000_000,
  bytesMax: 1 << 24,
  timeoutMs: 60_000,
}

export interface ScriptOptions {
  /** Streams are spread over so many partitions: answers have to add up. */
  readonly partitions: number
}

export async function runScript(file: string, text: string, { partitions }: ScriptOptions): Promise<Evaluation[]> {
  const lines = text.split('\n')
  const out: Evaluation[] = []
  const emptySources = (): MemorySource[] => Array.from({ length: partitions }, () => new MemorySource())
  let sources = emptySources()
  for (let i = 0; i < lines.length; i++) {
    const line = withoutComment(lines[i]!).trim()
    if (line === '') continue
    const number = i + 1
    const block: string[] = []
    while (i + 1 < lines.length && /^\s+\S/.test(lines[i + 1]!)) {
      const next = withoutComment(lines[++i]!).trim()
      if (next !== '') block.push(next)
    }
    if (line === 'clear') sources = emptySources()
    else if (line === 'load') for (const entry of block) load(sources, entry)
    else if (line.startsWith('eval')) {
      const query = /^eval (?:instant at \S+|range from \S+ to \S+ step \S+) (.*)$/.exec(line)![1]!
      out.push({ name: `${file}:${number} ${query}`, failure: await runEval(sources, line, query, block) })
    } else throw new Error(`${file}:${number}: no command: ${line}`)
  }
  return out
}

/** A `#` outside of quotes. */
function withoutComment(line: string): string {
  let quote = ''
  for (let i = 0; i < line.length; i++) {
    const ch = line[i]!
    if (quote !== '') {
      if (ch === '\\' && quote === '"') i++
      else if (ch === quote) quote = ''
    } else if (ch === '"' || ch === '`') quote = ch
    else if (ch === '#') return line.slice(0, i)
  }
  return line
}

function timeMs(text: string): number {
  return parseDurationLiteral(text)! / 1e6
}

const ENTRY = /^(\{[^}]*\})\s+("(?:[^"\\]|\\.)*"|`[^`]*`)\s+@\s+(\S+)(?:\s+\[repeat every (\S+)\s+for (\d+)\])?(?:\s+\[metadata (.*)\])?$/

function load(sources: readonly MemorySource[], text: string): void {
  const [, selector, literal, start, every = '0s', times = '1', metadataText = ''] = ENTRY.exec(text)!
  const stream = labelsOf(pairsOf(selector!))
  const metadata = pairsOf(metadataText)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flat()
  for (let i = 0; i < Number(times); i++) {
    const line = unquote(literal!).replaceAll('{{.i}}', String(i))
    const at = timeMs(start!) + i * timeMs(every)
    sources[hashText(labelsKey(stream)) % sources.length]!.add({ stream, timeMs: at, line, metadata })
  }
}

function pairsOf(text: string): [string, string][] {
  return [...text.matchAll(/([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*")/g)].map(([, name, value]) => [name!, unquote(value!)])
}

function parseExpected(block: readonly string[]): Expected {
  const lines = block.filter((line) => !line.startsWith('skip '))
  const fail = lines.find((line) => line.startsWith('expect fail'))
  const detail = fail === undefined ? null : /^expect fail (msg|regex):\s*(.*)$/.exec(fail)
  const series = lines
    .filter((line) => line.startsWith('{'))
    .map((line) => {
      const end = endOfLabels(line)
      const labels = pairsOf(line.slice(0, end)).toSorted(([a], [b]) => (a < b ? -1 : 1))
      return { labels: labels.flat(), cells: line.slice(end).trim().split(/\s+/) }
    })
  const scalar = lines.find((line) => !line.startsWith('{') && !line.startsWith('expect'))
  return {
    fails:
      fail === undefined
        ? undefined
        : { text: detail?.[1] === 'msg' ? detail[2]! : undefined, pattern: detail?.[1] === 'regex' ? new RegExp(detail[2]!) : undefined },
    isEmpty: lines.includes('expect empty'),
    isOrdered: lines.includes('expect ordered'),
    scalar: scalar?.split(/\s+/),
    series,
  }
}

function endOfLabels(line: string): number {
  let isQuoted = false
  for (let i = 0; i < line.length; i++) {
    if (line[i] === '\\') i++
    else if (line[i] === '"') isQuoted = !isQuoted
    else if (line[i] === '}' && !isQuoted) return i + 1
  }
  return line.length
}

async function runEval(
  sources: readonly MemorySource[],
  command: string,
  query: string,
  block: readonly string[],
): Promise<string | undefined> {
  const expected = parseExpected(block)
  let result: QueryResult
  try {
    result = await run(sources, command, query)
  } catch (error) {
    const message = messageOf(error)
    if (expected.fails === undefined) return `failed: ${message}`
    const { text, pattern } = expected.fails
    const isWanted = (text === undefined || message.includes(text)) && (pattern === undefined || pattern.test(message))
    return isWanted ? undefined : `failed otherwise: ${message}`
  }
  return expected.fails === undefined ? check(result, expected) : 'did not fail'
}

async function run(sources: readonly MemorySource[], command: string, query: string): Promise<QueryResult> {
  const engine = createLogEngine()
  const instant = /^eval instant at (\S+)/.exec(command)
  const queryable = queryableOf(sources)
  if (instant !== null) return engine.instant(queryable, query, timeMs(instant[1]!), TEST_LIMITS)
  const [, from, to, step] = /^eval range from (\S+) to (\S+) step (\S+)/.exec(command)!
  const [start, end] = [timeMs(from!), timeMs(to!)]
  const request = { query, start: { ms: start, subNs: 0 }, end: { ms: end, subNs: 0 }, stepMs: timeMs(step!) }
  return engine.range(queryable, { ...request, direction: 'forward', limit: 100 }, TEST_LIMITS)
}

function check(result: QueryResult, expected: Expected): string | undefined {
  if (result.type === 'streams') return 'got lines'
  if (expected.scalar !== undefined) {
    return result.type === 'scalar' && isClose(expected.scalar[0]!, result.value) ? undefined : `got ${JSON.stringify(result)}`
  }
  if (result.type === 'scalar') return `got the number ${result.value}`
  const shown = result.series.map(({ labels, values, present }) => ({
    key: labelsKey(labels),
    text: formatLabels(labels),
    cells: Array.from(values, (value, k) => (present[k] === 1 ? value : undefined)),
  }))
  const wanted = expected.isEmpty
    ? []
    : expected.series.map(({ labels, cells }) => ({ key: labelsKey(labels), text: formatLabels(labels), cells }))
  const names = shown.map(({ text, cells }) => `${text} ${cells.map((cell) => cell ?? '_').join(' ')}`).join('; ')
  if (expected.isOrdered && shown.map(({ key }) => key).join('\n') !== wanted.map(({ key }) => key).join('\n')) return `order is ${names}`
  if (shown.length !== wanted.length) return `got ${shown.length} series, not ${wanted.length}: ${names}`
  for (const { key, text, cells } of wanted) {
    const got = shown.find((one) => one.key === key)
    if (got === undefined) return `missing ${text}; got ${names}`
    const isSame = got.cells.length === cells.length && cells.every((cell, k) => isClose(cell, got.cells[k]))
    if (!isSame) return `${text}: got ${got.cells.map((cell) => cell ?? '_').join(' ')}, not ${cells.join(' ')}`
  }
  return undefined
}

function isClose(wanted: string, got: number | undefined): boolean {
  if (wanted === '_' || got === undefined) return wanted === '_' && got === undefined
  const value = wanted === '+Inf' || wanted === 'Inf' ? Infinity : wanted === '-Inf' ? -Infinity : Number(wanted)
  if (Number.isNaN(value)) return Number.isNaN(got)
  return value === got || Math.abs(value - got) <= 1e-9 * Math.max(Math.abs(value), Math.abs(got))
}
