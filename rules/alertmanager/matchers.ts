/** Matchers in Alertmanager's notation: `severity="page"`, `team=~"a|b"`, quotes optional, several in braces. */
import type { Matcher, MatchOp } from '../../lib/model/index.ts'
import { compileMatcher } from '../../lib/regexp/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'

const ONE = /\s*("(?:[^"\\]|\\.)*"|[^\s=!~,{}"]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,{}"]*)\s*/y

/** Errors: bad_data where the text is none. */
export function parseMatcher(text: string): Matcher[] {
  const trimmed = text.trim()
  const body = trimmed.startsWith('{') && trimmed.endsWith('}') ? trimmed.slice(1, -1) : trimmed
  const out: Matcher[] = []
  ONE.lastIndex = 0
  while (ONE.lastIndex < body.length) {
    const match = ONE.exec(body)
    if (match === null) throw new SightlineError('bad_data', `bad matcher format: ${text}`)
    out.push(compileMatcher({ name: unquote(match[1]!), op: match[2] as MatchOp, value: unquote(match[3]!) }))
    if (ONE.lastIndex === body.length) return out
    if (body[ONE.lastIndex] !== ',') throw new SightlineError('bad_data', `bad matcher format: ${text}`)
    ONE.lastIndex++
  }
  if (out.length === 0) throw new SightlineError('bad_data', `bad matcher format: ${text}`)
  return out
}

export interface MatcherTexts {
  readonly match: Readonly<Record<string, string>>
  readonly matchRe: Readonly<Record<string, string>>
  readonly matchers: readonly string[]
}

/** All matchers of a route or one side of an inhibit rule, in the order in which Alertmanager prints them. */
export function matchersOf({ match, matchRe, matchers }: MatcherTexts): Matcher[] {
  const all = [
    ...Object.entries(match).map(([name, value]) => compileMatcher({ name, op: '=', value })),
    ...Object.entries(matchRe).map(([name, value]) => compileMatcher({ name, op: '=~', value })),
    ...matchers.flatMap(parseMatcher),
  ]
  return all.sort((a, b) => (a.name === b.name ? (a.value < b.value ? -1 : 1) : a.name < b.name ? -1 : 1))
}

export function printMatchers(matchers: readonly Matcher[]): string {
  return `{${matchers.map(({ name, op, value }) => `${name}${op}${JSON.stringify(value)}`).join(',')}}`
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text.trim()
  return text.slice(1, -1).replaceAll(/\\(["\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char))
}
