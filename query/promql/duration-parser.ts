/**
 * Durations as the grammar has them: in brackets a whole expression (`[5m+step()]`), after `offset` a signed literal, a call
 * or a parenthesised expression. A literal alone is resolved here, an expression when the query's range is known
 * (`duration.ts`).
 */
import { parseDuration } from '../../lib/model/index.ts'
import type { DurationNode, DurationOperator, DurationValue } from './ast.ts'
import type { Token } from './lexer.ts'
import { parseGoNumber } from './go-float.ts'
import { parseError } from './parse-error.ts'
import { quote } from './strings.ts'
import type { TokenStream } from './token-stream.ts'

/** 2^63 nanoseconds. */
const SECONDS_MAX = 2 ** 63 / 1e9
const DEPTH_MAX = 200
const EXPECTED = 'number, duration, step(), or range()'
const UNITS = new Set(['y', 'w', 'd', 'h', 'm', 's', 'ms'])
const PRECEDENCE: Readonly<Record<string, number>> = { '+': 1, '-': 1, '*': 2, '/': 2, '%': 2, '^': 4 }

export class DurationParser {
  readonly #query: string
  readonly #tokens: TokenStream
  #depth = 0

  constructor(query: string, tokens: TokenStream) {
    this.#query = query
    this.#tokens = tokens
  }

  /** A range or step: positive, up to `]` or `:`. */
  bracketed(context: string): DurationValue {
    const { start } = this.#tokens.peek()
    const node = this.#expression(0, context)
    return this.#value(node, start, true)
  }

  offset(): DurationValue {
    const { start } = this.#tokens.peek()
    const node = this.#operand('offset', true)
    return this.#value(node, start, false)
  }

  /** @throws bad_data where the text is no duration */
  milliseconds(token: Token): number {
    const ms = parseDuration(token.text)
    if (ms === undefined) throw parseError(this.#query, token.start, durationComplaint(token.text))
    if (ms / 1000 >= SECONDS_MAX) throw parseError(this.#query, token.start, 'duration out of range')
    return ms
  }

  #value(node: DurationNode, start: number, positive: boolean): DurationValue {
    const seconds = literalSeconds(node)
    if (seconds === undefined) return { ms: 0, expr: node, start }
    if (positive && seconds <= 0) throw parseError(this.#query, start, 'duration must be greater than 0')
    return { ms: Math.round(seconds * 1000), start }
  }

  #enter(): void {
    if (++this.#depth > DEPTH_MAX) {
      throw parseError(this.#query, this.#tokens.peek().start, `duration is nested deeper than ${DEPTH_MAX} levels`)
    }
  }

  #expression(least: number, context: string): DurationNode {
    this.#enter()
    let lhs = this.#operand(context, false)
    for (;;) {
      const token = this.#tokens.peek()
      const level = token.type === 'operator' ? PRECEDENCE[token.id] : undefined
      if (level === undefined || level < least) break
      this.#tokens.next()
      const rhs = this.#expression(token.id === '^' ? level : level + 1, context)
      const zero = rhs.kind === 'number' && rhs.value === 0
      if (zero && token.id === '/') throw parseError(this.#query, token.start, 'division by zero')
      if (zero && token.id === '%') throw parseError(this.#query, token.start, 'modulo by zero')
      lhs = { kind: 'binary', op: token.id as DurationOperator, lhs, rhs }
    }
    this.#depth--
    return lhs
  }

  #operand(context: string, isOffset: boolean): DurationNode {
    const token = this.#tokens.peek()
    if (token.type === 'operator' && (token.id === '+' || token.id === '-')) {
      this.#enter()
      this.#tokens.next()
      const arg = isOffset ? this.#operand(context, true) : this.#expression(3, context)
      this.#depth--
      if (token.id === '+') return arg
      return arg.kind === 'number' ? { ...arg, value: -arg.value, start: token.start } : { kind: 'negate', arg }
    }
    if (token.type === 'number' || token.type === 'duration') return this.#literal(this.#tokens.next())
    if (token.type === 'punctuation' && token.text === '(') {
      this.#tokens.next()
      const arg = this.#expression(0, context)
      this.#tokens.expectPunctuation(')', context, EXPECTED)
      return { kind: 'paren', arg }
    }
    const name = token.text.toLowerCase()
    if (name === 'step' || name === 'range') {
      this.#tokens.next()
      this.#tokens.expectPunctuation('(', context, EXPECTED)
      this.#tokens.expectPunctuation(')', context, EXPECTED)
      return { kind: 'call', name, args: [] }
    }
    if (name === 'min_of' || name === 'max_of') return this.#call(name, context)
    return this.#tokens.unexpected(context, EXPECTED)
  }

  #call(name: 'min_of' | 'max_of', context: string): DurationNode {
    this.#tokens.next()
    this.#tokens.expectPunctuation('(', context, EXPECTED)
    const first = this.#expression(0, context)
    this.#tokens.expectPunctuation(',', context, EXPECTED)
    const second = this.#expression(0, context)
    this.#tokens.expectPunctuation(')', context, EXPECTED)
    return { kind: 'call', name, args: [first, second] }
  }

  #literal(token: Token): DurationNode {
    const { start, end } = token
    if (token.type === 'duration') return { kind: 'number', value: this.milliseconds(token) / 1000, duration: true, start, end }
    const value = parseGoNumber(token.text)
    if (typeof value !== 'number' || !Number.isFinite(value) || value >= SECONDS_MAX)
      throw parseError(this.#query, start, 'duration out of range')
    return { kind: 'number', value, duration: false, start, end }
  }
}

function literalSeconds(node: DurationNode): number | undefined {
  return node.kind === 'number' ? node.value : undefined
}

function durationComplaint(text: string): string {
  const unknown = [...text.matchAll(/\d+([a-z]+)/g)].find(([, unit]) => !UNITS.has(unit!))
  return unknown === undefined
    ? `not a valid duration string: ${quote(text)}`
    : `unknown unit ${quote(unknown[1]!)} in duration ${quote(text)}`
}
