/** Text to tokens. An attribute's name runs up to a blank or one of `{}()=~!<>&|^,`; parts in quotes may hold anything. */
import { SightlineError } from '../../lib/runtime/errors.ts'
import { parseGoDuration } from '../../lib/model/index.ts'

export type Token =
  | { readonly kind: 'op'; readonly text: string; readonly at: number }
  | { readonly kind: 'word'; readonly text: string; readonly at: number }
  /** `.name`, `span.name`, `parent.resource.name`: prefix without its dot, '' for the unscoped. */
  | { readonly kind: 'attribute'; readonly prefix: string; readonly name: string; readonly at: number }
  /** `span:duration`. */
  | { readonly kind: 'scoped'; readonly text: string; readonly at: number }
  | { readonly kind: 'string'; readonly value: string; readonly at: number }
  | { readonly kind: 'number'; readonly value: number; readonly isInt: boolean; readonly at: number }
  | { readonly kind: 'duration'; readonly ns: number; readonly at: number }
  | { readonly kind: 'end'; readonly at: number }

export const QUERY_LENGTH_MAX = 128 * 1024

const OPERATORS = [
  '&>>', '&<<', '!>>', '!<<', '&>', '&<', '&~', '!>', '!<', '!~', '>>', '<<', '>=', '<=', '=~', '!=', '&&', '||',
  '{', '}', '(', ')', '=', '<', '>', '~', '!', '|', ',', '+', '-', '*', '/', '%', '^',
] // prettier-ignore

const BLANK = /\s/
const ATTRIBUTE_PREFIX = /(?:parent\.)?(?:span|resource|event|link|instrumentation|parent)?\./y
const SCOPED = /(?:trace|span|event|link|instrumentation):[A-Za-z]+/y
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?/iy
const DURATION = /(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h|d))+/y

/** Errors: bad_data with the position. */
export function tokenize(query: string): Token[] {
  if (query.length > QUERY_LENGTH_MAX)
    throw parseError(0, `the query has ${query.length} characters, at most ${QUERY_LENGTH_MAX} are allowed`)
  const tokens: Token[] = []
  let at = 0
  while (at < query.length) {
    if (BLANK.test(query[at]!)) {
      at++
      continue
    }
    const [token, end] = tokenAt(query, at)
    tokens.push(token)
    at = end
  }
  tokens.push({ kind: 'end', at })
  return tokens
}

export function parseError(at: number, cause: string): SightlineError {
  return new SightlineError('bad_data', `parse error at line 1, col ${at + 1}: ${cause}`)
}

function tokenAt(query: string, at: number): [Token, number] {
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(query)?.[0]
  }
  const char = query[at]!
  if (char === '"' || char === '`') {
    const [value, end] = readString(query, at)
    return [{ kind: 'string', value, at }, end]
  }
  const duration = match(DURATION)
  if (duration !== undefined) return [{ kind: 'duration', ns: durationNs(duration), at }, at + duration.length]
  const scoped = match(SCOPED)
  if (scoped !== undefined) return [{ kind: 'scoped', text: scoped, at }, at + scoped.length]
  const number = match(NUMBER)
  if (number !== undefined && !(char === '.' && !/\d/.test(query[at + 1] ?? ''))) {
    return [{ kind: 'number', value: Number(number), isInt: /^\d+$/.test(number), at }, at + number.length]
  }
  const prefix = match(ATTRIBUTE_PREFIX)
  if (prefix !== undefined) {
    const [name, end] = readAttribute(query, at + prefix.length)
    if (name === '') throw parseError(at, 'an attribute needs a name')
    return [{ kind: 'attribute', prefix: prefix.slice(0, -1), name, at }, end]
  }
  const operator = OPERATORS.find((op) => query.startsWith(op, at))
  if (operator !== undefined) return [{ kind: 'op', text: operator, at }, at + operator.length]
  const word = match(WORD)
  if (word !== undefined) return [{ kind: 'word', text: word, at }, at + word.length]
  throw parseError(at, `unexpected character ${JSON.stringify(char)}`)
}

const NOT_IN_ATTRIBUTE = /[\s{}()=~!<>&|^,"`]/

function readAttribute(query: string, from: number): [string, number] {
  let name = ''
  let at = from
  while (at < query.length) {
    if (query[at] === '"') {
      const [part, end] = readString(query, at)
      name += part
      at = end
    } else if (NOT_IN_ATTRIBUTE.test(query[at]!)) break
    else name += query[at++]
  }
  return [name, at]
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '"': '"',
  '\\': '\\',
  "'": "'",
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
}

function readString(query: string, from: number): [string, number] {
  const quote = query[from]!
  let value = ''
  for (let at = from + 1; at < query.length; at++) {
    const char = query[at]!
    if (char === quote) return [value, at + 1]
    if (char !== '\\' || quote === '`') {
      value += char
      continue
    }
    const escaped = query[++at] ?? ''
    const known = ESCAPES[escaped]
    const code = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(query.slice(at, at + 5))
    if (known !== undefined) value += known
    else if (code !== null) {
      value += String.fromCodePoint(Number.parseInt(code[1] ?? code[2]!, 16))
      at += code[0].length - 1
    } else throw parseError(at, `unknown escape \\${escaped}`)
  }
  throw parseError(from, 'a string is not closed')
}

function durationNs(text: string): number {
  // Days are Tempo's addition to Go's units.
  return parseGoDuration(text.replaceAll(/(\d+(?:\.\d+)?)d/g, (_, days: string) => `${Number(days) * 24}h`))!
}
