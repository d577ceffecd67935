/** The tokens of a query, one after another, and what is said where another one was expected. */
import { syntaxError } from './errors.ts'
import type { Token } from './lexer.ts'

/** How Loki's parser names a token in its errors. */
function nameOf({ kind, text }: Token): string {
  switch (kind) {
    case 'word':
      return KEYWORDS.has(text) ? text : 'IDENTIFIER'
    case 'symbol':
    case 'end':
      return text
    case 'flag':
      return 'PARSER_FLAG'
    default:
      return kind.toUpperCase()
  }
}

const KEYWORDS = new Set(
  (
    'by without bool on ignoring group_left group_right offset and or unless json logfmt regexp pattern unpack unwrap label_format line_format ' +
    'decolorize drop keep distinct ip vector label_replace count_over_time rate rate_counter bytes_over_time bytes_rate sum_over_time avg_over_time ' +
    'min_over_time max_over_time stddev_over_time stdvar_over_time quantile_over_time first_over_time last_over_time absent_over_time sum avg min max ' +
    'count stddev stdvar topk bottomk approx_topk sort sort_desc'
  ).split(' '),
)

export class TokenStream {
  readonly text: string
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(text: string, tokens: readonly Token[]) {
    this.text = text
    this.#tokens = tokens
  }

  get current(): Token {
    return this.#tokens[this.#at]!
  }

  /** Where the token before the current one ends. */
  get lastEnd(): number {
    return this.#at === 0 ? 0 : this.#tokens[this.#at - 1]!.end
  }

  ahead(count = 1): Token {
    return this.#tokens[Math.min(this.#at + count, this.#tokens.length - 1)]!
  }

  next(): Token {
    const token = this.current
    if (token.kind !== 'end') this.#at++
    return token
  }

  is(text: string): boolean {
    const { kind, text: is } = this.current
    return is === text && (kind === 'symbol' || kind === 'word')
  }

  accept(text: string): boolean {
    if (!this.is(text)) return false
    this.#at++
    return true
  }

  expect(text: string): Token {
    if (!this.is(text)) throw this.unexpected()
    return this.next()
  }

  expectKind(kind: Token['kind'], expecting?: string): Token {
    if (this.current.kind !== kind) throw this.unexpected(expecting)
    return this.next()
  }

  unexpected(expecting?: string): Error {
    return syntaxError(this.text, this.current.start, nameOf(this.current), expecting)
  }
}
