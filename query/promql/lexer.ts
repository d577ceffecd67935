/**
 * PromQL's tokens, read lazily: the parser pulls one at a time, so that an error of the lexer surfaces where Prometheus'
 * does. The lexer has three modes: statements, inside braces (label matchers), inside brackets (durations).
 */
import { parseError } from './parse-error.ts'
import { quote, quoteRune } from './strings.ts'

export type TokenType =
  | 'eof'
  | 'identifier'
  | 'metric'
  | 'keyword'
  | 'aggregator'
  | 'operator'
  | 'number'
  | 'duration'
  | 'string'
  | 'punctuation'

export interface Token {
  readonly type: TokenType
  /** As written. */
  readonly text: string
  /** Keywords, operators and aggregators in lower case; punctuation as it is; '' for the rest. */
  readonly id: string
  readonly start: number
  readonly end: number
}

const KEYWORDS = new Set(
  'offset smoothed anchored by without on ignoring group_left group_right bool fill fill_left fill_right start end step range'.split(' '),
)
const WORD_OPERATORS = new Set(['and', 'or', 'unless', 'atan2'])
export const AGGREGATORS: ReadonlySet<string> = new Set(
  'sum avg count min max group stddev stdvar topk bottomk count_values quantile limitk limit_ratio'.split(' '),
)
const DURATION_WORDS = new Set(['step', 'range', 'min_of', 'max_of'])

export class Lexer {
  readonly #query: string
  #at = 0
  #start = 0
  #parens = 0
  #inBraces = false
  #inBrackets = false
  #colonSeen = false
  #operandSeen = false

  constructor(query: string) {
    this.#query = query
  }

  next(): Token {
    this.#skipBlank()
    this.#start = this.#at
    if (this.#inBraces) return this.#insideBraces()
    if (this.#inBrackets) return this.#insideBrackets()
    return this.#statement()
  }

  #fail(message: string): never {
    throw parseError(this.#query, this.#start, message)
  }

  #skipBlank(): void {
    for (;;) {
      const ch = this.#query[this.#at]
      if (ch === ' ' || ch === '\t' || ch === '\n' || ch === '\r') this.#at++
      else if (ch === '#' && !this.#inBraces) {
        const end = this.#query.indexOf('\n', this.#at)
        this.#at = end === -1 ? this.#query.length : end
      } else return
    }
  }

  #peek(): string {
    const code = this.#query.codePointAt(this.#at)
    return code === undefined ? '' : String.fromCodePoint(code)
  }

  #read(): string {
    const ch = this.#peek()
    this.#at += ch.length
    return ch
  }

  #token(type: TokenType, id = ''): Token {
    return { type, id, text: this.#query.slice(this.#start, this.#at), start: this.#start, end: this.#at }
  }

  #operator(): Token {
    return this.#token('operator', this.#query.slice(this.#start, this.#at))
  }

  #punctuation(): Token {
    return this.#token('punctuation', this.#query.slice(this.#start, this.#at))
  }

  #statement(): Token {
    const ch = this.#read()
    switch (ch) {
      case '':
        if (this.#parens !== 0) this.#fail('unclosed left parenthesis')
        return this.#token('eof')
      case ',':
      case '@':
        return this.#punctuation()
      case '*':
      case '/':
      case '%':
      case '+':
      case '-':
      case '^':
        return this.#operator()
      case '=':
      case '!':
      case '<':
      case '>':
        return this.#comparison(ch)
      case '(':
        this.#parens++
        return this.#punctuation()
      case ')':
        return this.#rightParenthesis()
      case '{':
        this.#inBraces = true
        return this.#punctuation()
      case '[':
        this.#inBrackets = true
        this.#colonSeen = false
        this.#operandSeen = false
        return this.#punctuation()
      case ']':
        return this.#fail(`unexpected right bracket ${quoteRune(ch)}`)
      case '"':
      case "'":
      case '`':
        return this.#string(ch)
    }
    if (isDigit(ch) || (ch === '.' && isDigit(this.#peek()))) return this.#number()
    if (isAlpha(ch) || ch === ':') return this.#word()
    return this.#fail(ch === '\ufffd' ? 'invalid UTF-8 rune' : `unexpected character: ${quoteRune(ch)}`)
  }

  #rightParenthesis(): Token {
    const token = this.#punctuation()
    if (--this.#parens < 0) {
      this.#start = this.#at
      this.#fail(`unexpected right parenthesis ')'`)
    }
    return token
  }

  #comparison(ch: string): Token {
    const next = this.#peek()
    if (next === '=' || (next === '/' && (ch === '<' || ch === '>'))) {
      this.#at++
      return this.#operator()
    }
    if (ch === '!') this.#fail(`unexpected character after '!': ${quoteRune(next)}`)
    if (ch !== '=') return this.#operator()
    if (next === '~') this.#fail(`unexpected character after '=': ${quoteRune(next)}`)
    return this.#punctuation()
  }

  #word(): Token {
    const query = this.#query
    while (this.#at < query.length && (isAlphaNumeric(query[this.#at]!) || query[this.#at] === ':')) this.#at++
    const word = query.slice(this.#start, this.#at)
    const lower = word.toLowerCase()
    if (lower === 'inf' || lower === 'nan') return this.#token('number')
    if (AGGREGATORS.has(lower)) return this.#token('aggregator', lower)
    if (KEYWORDS.has(lower)) return this.#token('keyword', lower)
    if (WORD_OPERATORS.has(lower)) return this.#token('operator', lower)
    return this.#token(word.includes(':') ? 'metric' : 'identifier')
  }

  #insideBraces(): Token {
    const ch = this.#read()
    switch (ch) {
      case '':
        return this.#fail('unexpected end of input inside braces')
      case ',':
        return this.#punctuation()
      case '"':
      case "'":
      case '`':
        return this.#string(ch)
      case '=':
        if (this.#peek() === '~') this.#at++
        return this.#punctuation()
      case '!': {
        const next = this.#read()
        if (next !== '~' && next !== '=') this.#fail(`unexpected character after '!' inside braces: ${quoteRune(next)}`)
        return this.#punctuation()
      }
      case '{':
        return this.#fail(`unexpected left brace ${quoteRune(ch)}`)
      case '}':
        this.#inBraces = false
        return this.#punctuation()
    }
    if (!isAlpha(ch)) this.#fail(`unexpected character inside braces: ${quoteRune(ch)}`)
    while (this.#at < this.#query.length && isAlphaNumeric(this.#query[this.#at]!)) this.#at++
    return this.#token('identifier')
  }

  #insideBrackets(): Token {
    const ch = this.#read()
    switch (ch) {
      case '':
        return this.#fail('unexpected end of input in duration expression')
      case ']':
        this.#inBrackets = false
        return this.#punctuation()
      case ':':
        if (this.#colonSeen) this.#fail(`unexpected colon ${quoteRune(ch)}`)
        this.#colonSeen = true
        this.#operandSeen = false
        return this.#punctuation()
      case '(':
        this.#parens++
        return this.#punctuation()
      case ')':
        return this.#rightParenthesis()
      case ',':
        this.#operandSeen = false
        return this.#punctuation()
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case '^':
        this.#operandSeen = false
        return this.#operator()
    }
    if (isDigit(ch) || (ch === '.' && isDigit(this.#peek()))) {
      this.#operandSeen = true
      return this.#number()
    }
    return this.#durationWord(ch)
  }

  #durationWord(ch: string): Token {
    let end = this.#at
    while (end < this.#query.length && isAlphaNumeric(this.#query[end]!)) end++
    const word = this.#query.slice(this.#start, end).toLowerCase()
    if (isAlpha(ch) && DURATION_WORDS.has(word) && !this.#operandSeen) {
      this.#at = end
      return this.#token('keyword', word)
    }
    return this.#fail(
      this.#operandSeen
        ? `unexpected character: ${quoteRune(ch)}, expected ':'`
        : `unexpected character in duration expression: ${quoteRune(ch)}`,
    )
  }

  #string(quoteMark: string): Token {
    const raw = quoteMark === '`'
    for (;;) {
      const ch = this.#read()
      if (ch === '\ufffd') this.#fail('invalid UTF-8 rune')
      if (ch === '' || (ch === '\n' && !raw)) this.#fail(raw ? 'unterminated raw string' : 'unterminated quoted string')
      if (ch === quoteMark) return this.#token('string')
      if (ch === '\\' && !raw) this.#escape(quoteMark)
    }
  }

  #escape(quoteMark: string): void {
    const ch = this.#read()
    if (ch === '') this.#fail('escape sequence not terminated')
    if (ch === quoteMark || 'abfnrtv\\'.includes(ch)) return
    const octal = ch >= '0' && ch <= '7'
    const base = octal ? 8 : 16
    const count = octal ? 3 : ch === 'x' ? 2 : ch === 'u' ? 4 : ch === 'U' ? 8 : 0
    if (count === 0) this.#fail(`unknown escape sequence ${unicodeName(ch)} ${quoteRune(ch)}`)
    const max = octal ? 255 : ch === 'x' ? 255 : 0x10ffff
    let digits = octal ? ch : ''
    while (digits.length < count) {
      const digit = this.#peek()
      if (digit === '') this.#fail('escape sequence not terminated')
      if (Number.isNaN(Number.parseInt(digit, base)))
        this.#fail(`illegal character ${unicodeName(digit)} ${quoteRune(digit)} in escape sequence`)
      digits += this.#read()
    }
    const code = Number.parseInt(digits, base)
    if (code > max || (max > 255 && code >= 0xd800 && code < 0xe000)) this.#fail('escape sequence is an invalid Unicode code point')
  }

  #number(): Token {
    this.#at = this.#start
    if (this.#scanNumber()) return this.#token('number')
    if (this.#scanDuration()) return this.#token('duration')
    return this.#fail(`bad number or duration syntax: ${quote(this.#query.slice(this.#start, this.#at))}`)
  }

  #acceptRun(set: string): void {
    while (this.#at < this.#query.length && set.includes(this.#query[this.#at]!)) this.#at++
  }

  #accept(set: string): boolean {
    const ch = this.#query[this.#at]
    if (ch === undefined || !set.includes(ch)) return false
    this.#at++
    return true
  }

  /** Moves over a number; false where letters follow it, which may be a duration's unit. */
  #scanNumber(): boolean {
    const hexadecimal = /^0[xX]/.test(this.#query.slice(this.#at, this.#at + 2))
    if (hexadecimal) this.#at += 2
    const digits = hexadecimal ? '0123456789abcdefABCDEF_' : '0123456789_'
    this.#acceptRun(digits)
    if (this.#accept('.')) this.#acceptRun(digits)
    const exponentAt = this.#at
    if (this.#accept(hexadecimal ? 'pP' : 'eE')) {
      this.#accept('+-')
      if (isDigit(this.#peek())) this.#acceptRun('0123456789_')
      else this.#at = exponentAt
    }
    const next = this.#peek()
    if (next === '.') {
      this.#at++
      return false
    }
    return !isAlphaNumeric(next)
  }

  #scanDuration(): boolean {
    if (!this.#accept('smhdwy')) return this.#consumeOne()
    this.#accept('s')
    while (isDigit(this.#peek())) {
      this.#acceptRun('0123456789')
      if (!this.#accept('smhdw')) return this.#consumeOne()
      this.#accept('s')
    }
    return isAlphaNumeric(this.#peek()) ? this.#consumeOne() : true
  }

  /** The offending character is part of the text the error shows. */
  #consumeOne(): false {
    if (isAlphaNumeric(this.#peek())) this.#at++
    return false
  }
}

function unicodeName(ch: string): string {
  return `U+${ch.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
}

export function isDigit(ch: string): boolean {
  return ch >= '0' && ch <= '9' && ch.length === 1
}

export function isAlpha(ch: string): boolean {
  return ch === '_' || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
}

export function isAlphaNumeric(ch: string): boolean {
  return isAlpha(ch) || isDigit(ch)
}
