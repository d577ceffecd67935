/** LogQL's grammar, by recursive descent. Errors are in Loki's texts with line and column. */
import type { MatcherSpec } from '../../lib/model/index.ts'
import { compileMatcher, compileRegexp } from '../../lib/regexp/index.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import {
  RANGE_OPS,
  VECTOR_OPS,
  type BinaryOp,
  type Expr,
  type Grouping,
  type LogExpr,
  type Matching,
  type RangeAggregation,
  type RangeOp,
  type SampleExpr,
  type Stage,
  type Unwrap,
  type VectorOp,
} from './ast.ts'
import { notBuilt, parseError } from './errors.ts'
import { tokenize } from './lexer.ts'
import { parseNumber, parseSelector, parseStage, parseUnwrap, startsStage, startsUnwrap } from './pipeline-parser.ts'
import { reduceLiterals } from './scalar.ts'
import { TokenStream } from './token-stream.ts'
import { checkAggregation, checkRange } from './typecheck.ts'
import { parseDurationLiteral } from './units.ts'

export const EXPRESSION_DEPTH_MAX = 200

const PRECEDENCE: Readonly<Record<BinaryOp, number>> = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '>': 3,
  '>=': 3,
  '<': 3,
  '<=': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  '^': 6,
}

/**
 * A query: a log pipeline or a metric expression.
 * @throws bad_data with Loki's text
 */
export function parseExpr(text: string): Expr {
  const tokens = new TokenStream(text, tokenize(text))
  const expr = new Parser(tokens).query()
  if (tokens.current.kind !== 'end') throw tokens.unexpected()
  return expr
}

/** A metric expression. */
export function parseSampleExpr(text: string): SampleExpr {
  const expr = parseExpr(text)
  if (expr.kind === 'log') throw parseError(text, 'only metric queries are allowed here')
  return expr
}

/** A pipeline. Errors: bad_data, also for a metric query. */
export function parseLogExpr(text: string): LogExpr {
  const expr = parseExpr(text)
  if (expr.kind !== 'log') throw parseError(text, 'only log selector is supported')
  return expr
}

/** The matchers of a stream selector alone; `''` and `{}` are all streams. */
export function parseMatchers(text: string): MatcherSpec[] {
  if (text.trim() === '') return []
  const tokens = new TokenStream(text, tokenize(text))
  const matchers = parseSelector(tokens)
  if (tokens.current.kind !== 'end') throw tokens.unexpected()
  for (const spec of matchers) compiled(text, spec)
  return matchers
}

function compiled(text: string, spec: MatcherSpec): { matches(value: string): boolean } {
  try {
    return compileMatcher(spec)
  } catch (error) {
    throw parseError(text, messageOf(error))
  }
}

class Parser {
  readonly #tokens: TokenStream
  #depth = 0

  constructor(tokens: TokenStream) {
    this.#tokens = tokens
  }

  query(): Expr {
    const tokens = this.#tokens
    let skip = 0
    while (tokens.ahead(skip).text === '(' && tokens.ahead(skip).kind === 'symbol') skip++
    if (skip > EXPRESSION_DEPTH_MAX) throw parseError(tokens.text, `the expression is nested more than ${EXPRESSION_DEPTH_MAX} deep`)
    if (tokens.ahead(skip).text !== '{' || tokens.ahead(skip).kind !== 'symbol') return this.#binary(0)
    for (let i = 0; i < skip; i++) tokens.expect('(')
    let log = this.#selector()
    for (let i = 0; ; i++) {
      log = { ...log, stages: [...log.stages, ...this.#stages()] }
      if (i === skip) return log
      tokens.expect(')')
    }
  }

  #selector(): LogExpr {
    const { text } = this.#tokens
    const matchers = parseSelector(this.#tokens)
    if (!matchers.some((spec) => !compiled(text, spec).matches(''))) {
      throw parseError(
        text,
        'queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will',
      )
    }
    return { kind: 'log', matchers, stages: [] }
  }

  #stages(): Stage[] {
    const out: Stage[] = []
    while (startsStage(this.#tokens) && !startsUnwrap(this.#tokens)) out.push(parseStage(this.#tokens))
    return out
  }

  #binary(minimum: number): SampleExpr {
    if (++this.#depth > EXPRESSION_DEPTH_MAX)
      throw parseError(this.#tokens.text, `the expression is nested more than ${EXPRESSION_DEPTH_MAX} deep`)
    let left = this.#operand()
    for (;;) {
      const { kind, text } = this.#tokens.current
      const op = text as BinaryOp
      const level = kind === 'symbol' || kind === 'word' ? PRECEDENCE[op] : undefined
      if (level === undefined || level < minimum || !Object.hasOwn(PRECEDENCE, text)) break
      this.#tokens.next()
      const returnBool = this.#tokens.accept('bool')
      const matching = this.#matching()
      // `^` is right-associative.
      const right = this.#binary(op === '^' ? level : level + 1)
      left = reduceLiterals({ kind: 'binary', op, left, right, returnBool, matching })
    }
    this.#depth--
    return left
  }

  #matching(): Matching | undefined {
    const tokens = this.#tokens
    if (!tokens.is('on') && !tokens.is('ignoring')) return undefined
    const on = tokens.next().text === 'on'
    const labels = this.#names()
    if (!tokens.is('group_left') && !tokens.is('group_right')) return { on, labels, card: 'one-to-one', include: [] }
    const card = tokens.next().text === 'group_left' ? 'many-to-one' : 'one-to-many'
    // `group_left (a) x`: names; `group_left (count_over_time(…))`: the operand.
    const isNames =
      tokens.is('(') && (tokens.ahead().text === ')' || (tokens.ahead().kind === 'word' && [',', ')'].includes(tokens.ahead(2).text)))
    return { on, labels, card, include: isNames ? this.#names() : [] }
  }

  #names(): string[] {
    const tokens = this.#tokens
    tokens.expect('(')
    const names: string[] = []
    while (!tokens.is(')')) {
      names.push(tokens.expectKind('word', 'IDENTIFIER').text)
      if (!tokens.accept(',')) break
    }
    tokens.expect(')')
    return names
  }

  #operand(): SampleExpr {
    const tokens = this.#tokens
    const { kind, text } = tokens.current
    if (kind === 'number') return { kind: 'literal', value: parseNumber(tokens) }
    if (kind === 'symbol' && (text === '-' || text === '+')) {
      tokens.next()
      if (tokens.current.kind !== 'number') throw tokens.unexpected('NUMBER')
      return { kind: 'literal', value: (text === '-' ? -1 : 1) * parseNumber(tokens) }
    }
    if (tokens.accept('(')) {
      const inner = this.#binary(0)
      tokens.expect(')')
      return inner
    }
    if (kind !== 'word') throw tokens.unexpected()
    if ((RANGE_OPS as readonly string[]).includes(text)) return this.#rangeAggregation(text as RangeOp)
    if ((VECTOR_OPS as readonly string[]).includes(text)) return this.#vectorAggregation(text as VectorOp)
    if (text === 'vector') return this.#vector()
    if (text === 'label_replace') return this.#labelReplace()
    if (text === 'variants') throw notBuilt('variants()')
    throw tokens.unexpected()
  }

  #vector(): SampleExpr {
    const tokens = this.#tokens
    tokens.next()
    tokens.expect('(')
    const sign = tokens.accept('-') ? -1 : 1
    const value = sign * parseNumber(tokens)
    tokens.expect(')')
    return { kind: 'vector', value }
  }

  #labelReplace(): SampleExpr {
    const tokens = this.#tokens
    const { start } = tokens.next()
    tokens.expect('(')
    const expr = this.#binary(0)
    const texts: string[] = []
    while (texts.length < 4) {
      tokens.expect(',')
      texts.push(tokens.expectKind('string', 'STRING').text)
    }
    tokens.expect(')')
    const [target, replacement, label, pattern] = texts as [string, string, string, string]
    try {
      compileRegexp(pattern, { anchored: true })
    } catch (error) {
      throw parseError(tokens.text, `invalid regex in label_replace: ${messageOf(error)}`, start)
    }
    return { kind: 'label_replace', expr, target, replacement, label, pattern }
  }

  #grouping(): Grouping | undefined {
    const tokens = this.#tokens
    if (!tokens.is('by') && !tokens.is('without')) return undefined
    const without = tokens.next().text === 'without'
    return { without, labels: this.#names() }
  }

  #vectorAggregation(op: VectorOp): SampleExpr {
    const tokens = this.#tokens
    tokens.next()
    let grouping = this.#grouping()
    tokens.expect('(')
    const isParameter = tokens.current.kind === 'number' && tokens.ahead().text === ','
    const parameterText = isParameter ? tokens.current.text : undefined
    if (isParameter) {
      tokens.next()
      tokens.next()
    }
    const expr = this.#binary(0)
    tokens.expect(')')
    grouping ??= this.#grouping()
    return checkAggregation(tokens.text, { kind: 'aggregate', op, parameter: undefined, expr, grouping }, parameterText)
  }

  #rangeAggregation(op: RangeOp): SampleExpr {
    const tokens = this.#tokens
    const { start } = tokens.next()
    tokens.expect('(')
    let parameter: number | undefined
    if (tokens.current.kind === 'number') {
      parameter = parseNumber(tokens)
      tokens.expect(',')
    }
    const range = this.#logRange()
    if (range.rangeMs === undefined) throw tokens.unexpected()
    tokens.expect(')')
    const grouping = this.#grouping()
    const node: RangeAggregation = {
      kind: 'range',
      op,
      parameter,
      log: range.log,
      unwrap: range.unwrap,
      rangeMs: range.rangeMs,
      offsetMs: range.offsetMs,
      grouping,
      source: tokens.text.slice(start, tokens.lastEnd),
    }
    return checkRange(tokens.text, node)
  }

  /** A selector, its stages, unwrap, range and offset, parenthesised anywhere Loki allows it. */
  #logRange(): { log: LogExpr; unwrap: Unwrap | undefined; rangeMs: number | undefined; offsetMs: number } {
    const tokens = this.#tokens
    if (++this.#depth > EXPRESSION_DEPTH_MAX)
      throw parseError(tokens.text, `the expression is nested more than ${EXPRESSION_DEPTH_MAX} deep`)
    let out: { log: LogExpr; unwrap: Unwrap | undefined; rangeMs: number | undefined; offsetMs: number }
    if (tokens.accept('(')) {
      out = this.#logRange()
      tokens.expect(')')
    } else {
      if (!tokens.is('{')) throw tokens.unexpected()
      out = { log: this.#selector(), unwrap: undefined, rangeMs: undefined, offsetMs: 0 }
    }
    for (;;) {
      if (out.unwrap === undefined && startsUnwrap(tokens)) out = { ...out, unwrap: parseUnwrap(tokens) }
      else if (out.unwrap === undefined && startsStage(tokens)) {
        out = { ...out, log: { ...out.log, stages: [...out.log.stages, parseStage(tokens)] } }
      } else if (out.rangeMs === undefined && tokens.current.kind === 'range') {
        out = { ...out, rangeMs: durationMs(tokens.text, tokens.current.text, tokens.current.start) }
        tokens.next()
        if (tokens.accept('offset')) {
          const sign = tokens.accept('-') ? -1 : 1
          out = { ...out, offsetMs: (sign * tokens.expectKind('duration', 'DURATION').value) / 1e6 }
        }
      } else break
    }
    this.#depth--
    return out
  }
}

function durationMs(query: string, text: string, at: number): number {
  const ns = parseDurationLiteral(text)
  if (ns === undefined) throw parseError(query, `not a valid duration string: "${text}"`, at)
  if (ns <= 0) throw new SightlineError('bad_data', 'parse error : duration must be greater than 0')
  return ns / 1e6
}
