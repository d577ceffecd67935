/** The functions that Prometheus adds for alerts, and those that Alertmanager adds for notifications. */
import { parseDuration } from '../../lib/model/index.ts'
import { compileRegexp } from '../../lib/regexp/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { BUILTINS, escapeHtml, queryEscape, text } from './builtins.ts'
import type { Functions, TemplateFunction } from './execute.ts'
import { formatLayout } from './time.ts'
import { formatValue } from './format.ts'
import { humanize, humanize1024, humanizeDuration, humanizePercentage, humanizeTimestamp, timeOf, toNumber } from './humanize.ts'

/** One series of a query's answer, as templates see it: `.Labels`, `.Value`. */
export interface TemplateSample {
  readonly Labels: ReadonlyMap<string, string>
  readonly Value: number
}

export interface AlertFunctionsContext {
  /** The answer of `query "…"`. */
  readonly query: (expression: string) => readonly TemplateSample[]
  readonly externalUrl: string
  readonly nowMs: number
}

/** Shared by both. */
const COMMON: readonly (readonly [string, TemplateFunction])[] = [
  ['reReplaceAll', (pattern, replacement, value) => compileRegexp(text(pattern)).replaceAll(text(value), text(replacement))],
  ['match', (pattern, value) => compileRegexp(text(pattern)).test(text(value))],
  [
    'title',
    (value) => text(value).replaceAll(/(^|[^\p{L}\p{N}_'])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase()),
  ],
  ['toUpper', (value) => text(value).toUpperCase()],
  ['toLower', (value) => text(value).toLowerCase()],
  ['safeHtml', text],
  ['humanizeDuration', humanizeDuration],
]

/** Functions of alert templates. */
export function alertFunctions({ query, externalUrl, nowMs }: AlertFunctionsContext): Functions {
  const url = new URL(externalUrl === '' ? 'http://localhost/' : externalUrl)
  const duration = (value: unknown): number => {
    const ms = parseDuration(text(value))
    if (ms === undefined) throw new SightlineError('bad_data', `not a valid duration string: ${JSON.stringify(value)}`)
    return ms / 1000
  }
  return new Map<string, TemplateFunction>([
    ...BUILTINS,
    ...COMMON,
    ['query', (expression) => query(text(expression))],
    ['first', (samples) => firstOf(samples)],
    ['label', (name, sample) => labelsOf(sample).get(text(name)) ?? ''],
    ['value', (sample) => (sample as TemplateSample).Value],
    ['strvalue', (sample) => labelsOf(sample).get('__value__') ?? ''],
    ['args', (...args) => new Map(args.map((arg, i) => [`arg${i}`, arg]))],
    ['sortByLabel', (name, samples) => sortByLabel(text(name), samples)],
    ['stripPort', (value) => text(value).replace(/^\[([^\]]*)\]:\d*$|^([^:]*):\d*$/, '$1$2')],
    ['stripDomain', (value) => stripDomain(text(value))],
    ['humanize', humanize],
    ['humanize1024', humanize1024],
    ['humanizePercentage', humanizePercentage],
    ['humanizeTimestamp', humanizeTimestamp],
    ['toTime', (value) => timeOf(toNumber(value))],
    ['toDuration', (value) => `${formatValue(toNumber(value))}s`],
    ['now', () => nowMs / 1000],
    ['parseDuration', duration],
    ['urlQueryEscape', (value) => queryEscape(text(value))],
    ['graphLink', (expression) => `/graph?g0.expr=${queryEscape(text(expression))}&g0.tab=0`],
    ['tableLink', (expression) => `/graph?g0.expr=${queryEscape(text(expression))}&g0.tab=1`],
    ['pathPrefix', () => url.pathname],
    ['externalURL', () => externalUrl],
  ])
}

/** Functions of notification templates. */
export function notificationFunctions(): Functions {
  return new Map<string, TemplateFunction>([
    ...BUILTINS,
    ...COMMON,
    ['trimSpace', (value) => text(value).trim()],
    ['join', (separator, items) => listOf(items).map(formatValue).join(text(separator))],
    ['stringSlice', (...items) => items],
    ['safeUrl', text],
    ['urlUnescape', (value) => decodeURIComponent(text(value).replaceAll('+', ' '))],
    ['toJson', (value) => JSON.stringify(plain(value))],
    ['date', (layout, time) => (time instanceof Date ? formatLayout(time, text(layout)) : '')],
    ['tz', (zone, time) => (zone === 'UTC' ? time : refuse(`tz ${JSON.stringify(zone)} is not built: times are UTC`))],
    ['since', (time) => (time instanceof Date ? humanizeDuration((Date.now() - time.getTime()) / 1000) : '')],
    ['htmlEscape', (value) => escapeHtml(text(value))],
  ])
}

function refuse(problem: string): never {
  throw new SightlineError('bad_data', problem)
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : refuse(`wrong type for value; expected a list; got ${formatValue(value)}`)
}

function firstOf(samples: unknown): unknown {
  return listOf(samples)[0] ?? refuse('first() called on vector with no elements')
}

function labelsOf(sample: unknown): ReadonlyMap<string, string> {
  const labels = (sample as Partial<TemplateSample> | null)?.Labels
  return labels instanceof Map ? (labels as ReadonlyMap<string, string>) : refuse('wrong type for value; expected a sample of a query')
}

function sortByLabel(name: string, samples: unknown): unknown[] {
  const valueOf = (sample: unknown): string => labelsOf(sample).get(name) ?? ''
  return [...listOf(samples)].sort((a, b) => (valueOf(a) < valueOf(b) ? -1 : valueOf(a) > valueOf(b) ? 1 : 0))
}

/** `web-1.example.org:9100` → `web-1:9100`; addresses stay. */
function stripDomain(value: string): string {
  const [, host = '', port = ''] = /^(.*?)(:\d+)?$/.exec(value) ?? []
  return /^\d+\.\d+\.\d+\.\d+$|:/.test(host) ? value : `${host.split('.')[0]}${port}`
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...(value as Map<string, unknown>)].map(([key, one]) => [key, plain(one)]))
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Date || value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => typeof one !== 'function')
      .map(([key, one]) => [key, plain(one)]),
  )
}
