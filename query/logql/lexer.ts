/**
 * Text to tokens. Keywords aren't told from identifiers here: LogQL's are words only in their place (`duration`, `rate` and `ip` are good label
 * names), and the parser knows the place.
 */

import { messageOf } from '../../lib/runtime/errors.ts'
import { parseError, syntaxError } from './errors.ts'
import { unquote } from './strings.ts'
import { parseBytesText, parseDurationLiteral } from './units.ts'

export type TokenKind = 'word' | 'number' | 'duration' | 'bytes' | 'string' | 'range' | 'flag' | 'symbol' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** As written; of a string its value, of a range what is between the brackets. */
  readonly text: string
  /** Of numbers' kin: nanoseconds of a duration, bytes of a size. */
  readonly value: number
  readonly start: number
  readonly end: number
}

const SYMBOLS = [
  '|=',
  '|~',
  '|>',
  '!=',
  '!~',
  '!>',
  '=~',
  '==',
  '>=',
  '<=',
  '(',
  ')',
  '{',
  '}',
  ',',
  '=',
  '>',
  '<',
  '|',
  '+',
  '-',
  '*',
  '/',
  '%',
  '^',
]
const WORD = /[\p{L}_][\p{L}\p{Nd}_]*/uy
const NUMBER = /0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?\d+)?|0[oObB][\d_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y
const DURATION = /[\d.]*(?:[nushmdwyµ][\d.nushmdwyµ]*)/y
const SIZE = /[\d.]+[BikKMGTP][\d.BikKMGTP]*/y
const FLAG = /--(?:strict|keep-empty)\b/y

export const QUERY_LENGTH_MAX = 131_072

export function tokenize(text: string): Token[] {
  if (text.length > QUERY_LENGTH_MAX)
    throw parseError(text, `query length must not exceed ${QUERY_LENGTH_MAX} characters, it has ${text.length}`)
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    const ch = text[at]!
    if (ch === ' ' || ch === '\n' || ch === '\t' || ch === '\r') at++
    else if (ch === '#') at = endOfLine(text, at)
    else {
      const token = nextToken(text, at)
      tokens.push(token)
      at = token.end
    }
  }
  tokens.push({ kind: 'end', text: '$end', value: 0, start: text.length, end: text.length })
  return tokens
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function nextToken(text: string, at: number): Token {
  const ch = text[at]!
  if (ch === '"' || ch === '`') return stringToken(text, at)
  if (ch === '[') {
    const close = text.indexOf(']', at)
    if (close === -1) throw parseError(text, "missing closing ']' in duration", at)
    return { kind: 'range', text: text.slice(at + 1, close).trim(), value: 0, start: at, end: close + 1 }
  }
  const flag = ch === '-' ? matchAt(FLAG, text, at) : undefined
  if (flag !== undefined) return { kind: 'flag', text: flag.slice(2), value: 0, start: at, end: at + flag.length }
  const word = matchAt(WORD, text, at)
  if (word !== undefined) return { kind: 'word', text: word, value: 0, start: at, end: at + word.length }
  if ((ch >= '0' && ch <= '9') || (ch === '.' && /\d/.test(text[at + 1] ?? ''))) return numberToken(text, at)
  const symbol = SYMBOLS.find((one) => text.startsWith(one, at))
  if (symbol === undefined) throw syntaxError(text, at, `'${String.fromCodePoint(text.codePointAt(at)!)}'`)
  return { kind: 'symbol', text: symbol, value: 0, start: at, end: at + symbol.length }
}

function numberToken(text: string, at: number): Token {
  const duration = matchAt(DURATION, text, at)
  const ns = duration === undefined ? undefined : parseDurationLiteral(duration)
  if (duration !== undefined && ns !== undefined)
    return { kind: 'duration', text: duration, value: ns, start: at, end: at + duration.length }
  const size = matchAt(SIZE, text, at)
  const bytes = size === undefined ? undefined : parseBytesText(size)
  if (size !== undefined && typeof bytes === 'number') return { kind: 'bytes', text: size, value: bytes, start: at, end: at + size.length }
  const number = matchAt(NUMBER, text, at)!
  return { kind: 'number', text: number, value: 0, start: at, end: at + number.length }
}

function stringToken(text: string, at: number): Token {
  const quote = text[at]!
  let end = at + 1
  while (end < text.length && text[end] !== quote) end += text[end] === '\\' && quote === '"' ? 2 : 1
  if (end >= text.length || (quote === '"' && text.slice(at, end).includes('\n'))) throw parseError(text, 'literal not terminated', at)
  const literal = text.slice(at, end + 1)
  try {
    return { kind: 'string', text: unquote(literal), value: 0, start: at, end: end + 1 }
  } catch (error) {
    throw parseError(text, messageOf(error), at)
  }
}
