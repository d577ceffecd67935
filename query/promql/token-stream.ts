import { Lexer, type Token } from './lexer.ts'
import { parseError } from './parse-error.ts'
import { quote } from './strings.ts'

/** The parser's view of the lexer: look at the next token (or two), take it, or complain about it. */
export class TokenStream {
  readonly #query: string
  readonly #lexer: Lexer
  #ahead: Token[] = []
  /** Where the last taken token ended. */
  lastEnd = 0

  constructor(query: string) {
    this.#query = query
    this.#lexer = new Lexer(query)
  }

  peek(): Token {
    return (this.#ahead[0] ??= this.#lexer.next())
  }

  peekSecond(): Token {
    this.peek()
    return (this.#ahead[1] ??= this.#lexer.next())
  }

  next(): Token {
    const token = this.peek()
    this.#ahead.shift()
    this.lastEnd = token.end
    return token
  }

  isPunctuation(text: string): boolean {
    const token = this.peek()
    return token.type === 'punctuation' && token.text === text
  }

  isKeyword(id: string): boolean {
    const token = this.peek()
    return token.type === 'keyword' && token.id === id
  }

  acceptKeyword(id: string): boolean {
    if (!this.isKeyword(id)) return false
    this.next()
    return true
  }

  expectPunctuation(text: string, context = '', expected = ''): Token {
    if (!this.isPunctuation(text)) this.unexpected(context, expected)
    return this.next()
  }

  /** Prometheus' "unexpected … in …, expected …" at the next token. */
  unexpected(context = '', expected = ''): never {
    const token = this.peek()
    const where = context === '' ? '' : ` in ${context}`
    const wanted = expected === '' ? '' : `, expected ${expected}`
    throw parseError(this.#query, token.start, `unexpected ${describeToken(token)}${where}${wanted}`)
  }
}

function describeToken(token: Token): string {
  switch (token.type) {
    case 'eof':
      return 'end of input'
    case 'identifier':
      return `identifier ${quote(token.text)}`
    case 'metric':
      return `metric identifier ${quote(token.text)}`
    case 'keyword':
      return `<${token.text}>`
    case 'operator':
      return `<op:${token.text}>`
    case 'aggregator':
      return `<aggr:${token.text}>`
    case 'punctuation':
      return quote(token.text)
    case 'number':
    case 'duration':
    case 'string': {
      const text = Array.from(token.text)
      return `${token.type} ${text.length > 10 ? `${quote(text.slice(0, 10).join(''))}...` : quote(token.text)}`
    }
  }
}
