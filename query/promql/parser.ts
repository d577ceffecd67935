/**
 * PromQL's grammar by recursive descent, with the messages of Prometheus' generated parser. The first error ends the parse.
 *
 * Precedence, lowest first: or · and unless · comparisons · + - · * / % atan2 · unary · ^ (right) · modifiers and brackets.
 */
import { METRIC_NAME, type Matcher, type MatchOp } from '../../lib/model/index.ts'
import { compileMatcher } from '../../lib/regexp/index.ts'
import { SightlineError, messageOf } from '../../lib/runtime/errors.ts'
import type {
  AggregateExpr,
  AtModifier,
  BinaryExpr,
  DurationValue,
  Expr,
  MatchCard,
  NumberLiteral,
  StringLiteral,
  SubqueryExpr,
  VectorMatching,
  VectorSelector,
} from './ast.ts'
import { DurationParser } from './duration-parser.ts'
import { formatFixed, parseGoNumber } from './go-float.ts'
import { parseError } from './parse-error.ts'
import { FUNCTION_SIGNATURES } from './signatures.ts'
import { quote, unquote } from './strings.ts'
import { TokenStream } from './token-stream.ts'
import type { Token } from './lexer.ts'
import { checkTypes } from './typecheck.ts'

export const QUERY_LENGTH_MAX = 1 << 20
/** How deep expressions may nest, operators that follow each other counted too: every walk over a tree is recursive. */
export const EXPRESSION_DEPTH_MAX = 1_000

const PRECEDENCE: Readonly<Record<string, number>> = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '<=': 3,
  '>': 3,
  '>=': 3,
  '</': 3,
  '>/': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  atan2: 5,
  '^': 7,
}
const UNARY_OPERAND = 6
/** Keywords that are no metric names. */
const MATCHING_KEYWORDS = new Set(['bool', 'on', 'ignoring', 'group_left', 'group_right'])

/**
 * The checked tree of a query.
 * @throws bad_data: Prometheus' message with `line:column`, or the limit that was passed
 */
export function parseExpr(query: string): Expr {
  if (query.length > QUERY_LENGTH_MAX) {
    throw new SightlineError('bad_data', `cannot parse query: it has ${query.length} characters, at most ${QUERY_LENGTH_MAX} are allowed`)
  }
  return checkTypes(query, new Parser(query).parse())
}

/** The matchers of a series selector as in `match[]`: an instant vector selector without modifiers. */
export function parseMetricSelector(query: string): readonly Matcher[] {
  const expr = parseExpr(query)
  if (expr.kind !== 'vectorSelector' || expr.offset !== undefined || expr.at !== undefined) {
    throw parseError(query, 0, 'a series selector is expected')
  }
  return expr.matchers
}

class Parser {
  readonly #query: string
  readonly #tokens: TokenStream
  readonly #durations: DurationParser
  #depth = 0

  constructor(query: string) {
    this.#query = query
    this.#tokens = new TokenStream(query)
    this.#durations = new DurationParser(query, this.#tokens)
  }

  parse(): Expr {
    if (this.#tokens.peek().type === 'eof') throw parseError(this.#query, 0, 'no expression found in input')
    const expr = this.#binary(0)
    if (this.#tokens.peek().type !== 'eof') this.#tokens.unexpected()
    return expr
  }

  #fail(offset: number, message: string): never {
    throw parseError(this.#query, offset, message)
  }

  #enter(): void {
    if (++this.#depth > EXPRESSION_DEPTH_MAX) {
      this.#fail(this.#tokens.peek().start, `expression is nested deeper than ${EXPRESSION_DEPTH_MAX} levels`)
    }
  }

  #binary(least: number): Expr {
    const depth = this.#depth
    this.#enter()
    let lhs = this.#unary()
    for (;;) {
      const token = this.#tokens.peek()
      const level = token.type === 'operator' ? PRECEDENCE[token.id] : undefined
      if (level === undefined || level < least) break
      this.#enter()
      this.#tokens.next()
      const modifiers = this.#binaryModifiers()
      const rhs = this.#binary(token.id === '^' ? level : level + 1)
      lhs = { kind: 'binary', op: token.id, lhs, rhs, ...modifiers, start: lhs.start, end: rhs.end } satisfies BinaryExpr
    }
    this.#depth = depth
    return lhs
  }

  #unary(): Expr {
    const token = this.#tokens.peek()
    if (token.type !== 'operator' || (token.id !== '+' && token.id !== '-')) return this.#postfix(this.#primary())
    this.#tokens.next()
    const operand = this.#binary(UNARY_OPERAND)
    if (operand.kind === 'number') {
      return { ...operand, value: token.id === '-' ? -operand.value : operand.value, start: token.start }
    }
    return { kind: 'unary', op: token.id, expr: operand, start: token.start, end: operand.end }
  }

  #binaryModifiers(): { returnBool: boolean; matching: VectorMatching } {
    const tokens = this.#tokens
    const returnBool = tokens.acceptKeyword('bool')
    let on = false
    let card: MatchCard = 'one-to-one'
    let labels: readonly string[] = []
    let include: readonly string[] = []
    const matcher = tokens.peek()
    if (tokens.acceptKeyword('on') || tokens.acceptKeyword('ignoring')) {
      on = matcher.id === 'on'
      labels = this.#groupingLabels()
      const group = tokens.peek()
      if (tokens.acceptKeyword('group_left') || tokens.acceptKeyword('group_right')) {
        card = group.id === 'group_left' ? 'many-to-one' : 'one-to-many'
        if (tokens.isPunctuation('(')) include = this.#groupingLabels()
      }
    }
    const fills = this.#fillModifiers()
    return { returnBool, matching: { card, on, labels, include, ...fills } }
  }

  #fillModifiers(): { fillLeft?: number; fillRight?: number } {
    const fills: { fillLeft?: number; fillRight?: number } = {}
    for (;;) {
      const token = this.#tokens.peek()
      const isFill = token.type === 'keyword' && token.id.startsWith('fill')
      if (!isFill || this.#tokens.peekSecond().text !== '(') return fills
      this.#tokens.next()
      this.#tokens.next()
      const value = this.#signedNumber('fill modifier')
      this.#tokens.expectPunctuation(')', 'fill modifier', '")"')
      if (token.id !== 'fill_right') fills.fillLeft = value
      if (token.id !== 'fill_left') fills.fillRight = value
    }
  }

  #signedNumber(context: string): number {
    const sign = this.#tokens.peek()
    const negative = sign.type === 'operator' && sign.id === '-'
    if (negative || (sign.type === 'operator' && sign.id === '+')) this.#tokens.next()
    if (this.#tokens.peek().type !== 'number' && this.#tokens.peek().type !== 'duration') this.#tokens.unexpected(context, 'number')
    const { value } = this.#number(this.#tokens.next())
    return negative ? -value : value
  }

  #primary(): Expr {
    const tokens = this.#tokens
    const token = tokens.peek()
    switch (token.type) {
      case 'number':
      case 'duration':
        return this.#number(tokens.next())
      case 'string':
        return this.#string(tokens.next())
      case 'punctuation':
        if (token.text === '{') return this.#selector(undefined)
        if (token.text === '(') return this.#paren()
        return tokens.unexpected()
      case 'aggregator':
        return this.#aggregateOrSelector()
      case 'identifier':
      case 'metric':
      case 'keyword':
        if (token.type === 'keyword' && MATCHING_KEYWORDS.has(token.id)) return tokens.unexpected()
        if (token.type !== 'metric' && tokens.peekSecond().text === '(') return this.#call()
        return this.#selector(tokens.next())
      case 'operator':
        if (token.id === 'and' || token.id === 'or' || token.id === 'unless') return this.#selector(tokens.next())
        return tokens.unexpected()
      case 'eof':
        return tokens.unexpected()
    }
  }

  #number(token: Token): NumberLiteral {
    const { start, end } = token
    if (token.type === 'duration') return { kind: 'number', value: this.#durations.milliseconds(token) / 1000, duration: true, start, end }
    return { kind: 'number', value: parseNumber(this.#query, token), duration: false, start, end }
  }

  #string(token: Token): StringLiteral {
    return { kind: 'string', value: this.#unquote(token), start: token.start, end: token.end }
  }

  #unquote(token: Token): string {
    try {
      return unquote(token.text)
    } catch (error) {
      return this.#fail(token.start, `error unquoting string ${quote(token.text)}: ${messageOf(error)}`)
    }
  }

  #paren(): Expr {
    const open = this.#tokens.next()
    const expr = this.#binary(0)
    const close = this.#tokens.expectPunctuation(')')
    return { kind: 'paren', expr, start: open.start, end: close.end }
  }

  #call(): Expr {
    const name = this.#tokens.next()
    const signature = FUNCTION_SIGNATURES.get(name.type === 'keyword' ? name.id : name.text)
    if (signature === undefined) this.#fail(name.start, `unknown function with name ${quote(name.text)}`)
    const { args, end } = this.#arguments()
    return { kind: 'call', name: signature.name, args, start: name.start, end }
  }

  #arguments(): { args: Expr[]; end: number } {
    const tokens = this.#tokens
    tokens.expectPunctuation('(')
    const args: Expr[] = []
    while (!tokens.isPunctuation(')')) {
      args.push(this.#binary(0))
      if (!tokens.isPunctuation(',')) break
      const comma = tokens.next()
      if (tokens.isPunctuation(')')) this.#fail(comma.start, 'trailing commas not allowed in function call args')
    }
    return { args, end: tokens.expectPunctuation(')').end }
  }

  #aggregateOrSelector(): Expr {
    const tokens = this.#tokens
    const name = tokens.next()
    const opensBody = (): boolean => tokens.isPunctuation('(')
    const isModifier = (): boolean => tokens.isKeyword('by') || tokens.isKeyword('without')
    if (!opensBody() && !isModifier()) return this.#selector(name)
    let modifier = isModifier() ? this.#aggregateModifier() : undefined
    const { args, end: bodyEnd } = this.#arguments()
    let end = bodyEnd
    if (modifier === undefined && isModifier()) {
      modifier = this.#aggregateModifier()
      end = modifier.end
    }
    return this.#aggregate(name, args, modifier, end)
  }

  #aggregateModifier(): { without: boolean; grouping: readonly string[]; end: number } {
    const keyword = this.#tokens.next()
    const grouping = this.#groupingLabels()
    return { without: keyword.id === 'without', grouping, end: this.#tokens.lastEnd }
  }

  #aggregate(
    name: Token,
    args: readonly Expr[],
    modifier: { without: boolean; grouping: readonly string[] } | undefined,
    end: number,
  ): AggregateExpr {
    const withParam = ['topk', 'bottomk', 'count_values', 'quantile', 'limitk', 'limit_ratio'].includes(name.id)
    const wanted = withParam ? 2 : 1
    if (args.length === 0) this.#fail(name.start, 'no arguments for aggregate expression provided')
    if (args.length !== wanted) {
      this.#fail(name.start, `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`)
    }
    const base = { without: modifier?.without ?? false, grouping: modifier?.grouping ?? [], start: name.start, end }
    const expr = args[wanted - 1]!
    return withParam
      ? { kind: 'aggregate', op: name.id, expr, param: args[0]!, ...base }
      : { kind: 'aggregate', op: name.id, expr, ...base }
  }

  #groupingLabels(): string[] {
    const tokens = this.#tokens
    const context = 'grouping opts'
    tokens.expectPunctuation('(', context, '"("')
    const labels: string[] = []
    while (!tokens.isPunctuation(')')) {
      const token = tokens.peek()
      const named =
        ['identifier', 'metric', 'keyword', 'aggregator'].includes(token.type) || (token.type === 'operator' && /^[a-z]/.test(token.id))
      if (token.type === 'string') labels.push(this.#unquote(tokens.next()))
      else if (named && !token.text.includes(':')) labels.push(tokens.next().text)
      else tokens.unexpected(context, 'label')
      if (tokens.isPunctuation(',')) tokens.next()
      else if (!tokens.isPunctuation(')')) tokens.unexpected(context, '"," or ")"')
    }
    tokens.next()
    return labels
  }

  #selector(name: Token | undefined): VectorSelector {
    const tokens = this.#tokens
    const start = name?.start ?? tokens.peek().start
    const matchers = tokens.isPunctuation('{') ? this.#labelMatchers() : []
    const end = tokens.lastEnd
    if (name !== undefined) matchers.push(compileMatcher({ name: METRIC_NAME, op: '=', value: name.text }))
    return { kind: 'vectorSelector', name: name?.text ?? '', matchers, anchored: false, smoothed: false, start, end }
  }

  #labelMatchers(): Matcher[] {
    const tokens = this.#tokens
    const context = 'label matching'
    tokens.next()
    const matchers: Matcher[] = []
    while (!tokens.isPunctuation('}')) {
      matchers.push(this.#labelMatcher(context))
      if (tokens.isPunctuation(',')) tokens.next()
      else if (!tokens.isPunctuation('}')) tokens.unexpected(context, '"," or "}"')
    }
    tokens.next()
    return matchers
  }

  #labelMatcher(context: string): Matcher {
    const tokens = this.#tokens
    const token = tokens.peek()
    if (token.type !== 'identifier' && token.type !== 'string') tokens.unexpected(context, 'identifier or "}"')
    tokens.next()
    const name = token.type === 'string' ? this.#unquote(token) : token.text
    const operator = tokens.peek()
    if (!['=', '!=', '=~', '!~'].includes(operator.text)) {
      const alone = token.type === 'string' && (tokens.isPunctuation(',') || tokens.isPunctuation('}'))
      if (alone) return compileMatcher({ name: METRIC_NAME, op: '=', value: name })
      tokens.unexpected(context, 'label matching operator')
    }
    tokens.next()
    if (tokens.peek().type !== 'string') tokens.unexpected(context, 'string')
    const value = this.#unquote(tokens.next())
    try {
      return compileMatcher({ name, op: operator.text as MatchOp, value })
    } catch (error) {
      return this.#fail(token.start, messageOf(error))
    }
  }

  #postfix(first: Expr): Expr {
    const tokens = this.#tokens
    let expr = first
    for (;;) {
      this.#enter()
      if (tokens.isPunctuation('[')) expr = this.#brackets(expr)
      else if (tokens.isKeyword('offset')) expr = this.#offset(expr)
      else if (tokens.isPunctuation('@')) expr = this.#at(expr)
      else if (tokens.isKeyword('anchored') || tokens.isKeyword('smoothed')) expr = this.#extend(expr)
      else return expr
    }
  }

  #brackets(expr: Expr): Expr {
    const tokens = this.#tokens
    const open = tokens.next()
    const range = this.#durations.bracketed('subquery or range selector')
    if (tokens.isPunctuation(']')) {
      const { end } = tokens.next()
      if (expr.kind !== 'vectorSelector') this.#fail(open.start, 'ranges only allowed for vector selectors')
      if (expr.offset !== undefined) this.#fail(open.start, 'no offset modifiers allowed before range')
      if (expr.at !== undefined) this.#fail(open.start, 'no @ modifiers allowed before range')
      return { kind: 'matrixSelector', selector: expr, range, start: expr.start, end }
    }
    if (!tokens.isPunctuation(':')) tokens.unexpected('subquery or range selector', '":" or "]"')
    tokens.next()
    const step = tokens.isPunctuation(']') ? undefined : this.#durations.bracketed('subquery selector')
    const { end } = tokens.expectPunctuation(']', 'subquery selector', '"]"')
    const subquery: SubqueryExpr = { kind: 'subquery', expr, range, start: expr.start, end }
    return step === undefined ? subquery : { ...subquery, step }
  }

  #offset(expr: Expr): Expr {
    this.#tokens.next()
    const offset = this.#durations.offset()
    return this.#modify(expr, 'offset', offset)
  }

  #modify(expr: Expr, name: 'offset' | '@', offset?: DurationValue, at?: AtModifier): Expr {
    const target = expr.kind === 'matrixSelector' ? expr.selector : expr
    if (target.kind !== 'vectorSelector' && target.kind !== 'subquery') {
      this.#fail(expr.start, `${name} modifier must be preceded by an instant vector selector or range vector selector or a subquery`)
    }
    const taken = name === 'offset' ? target.offset : target.at
    if (taken !== undefined) this.#fail(expr.start, `${name === 'offset' ? 'offset' : '@ <timestamp>'} may not be set multiple times`)
    const end = this.#tokens.lastEnd
    const changed = { ...target, ...(offset === undefined ? {} : { offset }), ...(at === undefined ? {} : { at }) }
    if (expr.kind === 'matrixSelector') return { ...expr, selector: changed as VectorSelector, end }
    return { ...changed, end }
  }

  #at(expr: Expr): Expr {
    const tokens = this.#tokens
    tokens.next()
    const token = tokens.peek()
    if (token.type === 'keyword' && (token.id === 'start' || token.id === 'end')) {
      tokens.next()
      tokens.expectPunctuation('(', '@', 'timestamp')
      tokens.expectPunctuation(')', '@', 'timestamp')
      return this.#modify(expr, '@', undefined, { kind: token.id })
    }
    const sign = token.type === 'operator' && (token.id === '-' || token.id === '+') ? tokens.next().id : '+'
    const number = tokens.peek()
    if (number.type !== 'number' && number.type !== 'duration') tokens.unexpected('@', 'timestamp')
    tokens.next()
    const value = this.#number(number).value * (sign === '-' ? -1 : 1)
    if (!Number.isFinite(value) || Math.abs(value) * 1000 >= 2 ** 63) {
      const shown = Number.isFinite(value) ? value.toFixed(6) : formatFixed(value)
      this.#fail(expr.start, `timestamp out of bounds for @ modifier: ${Number.isFinite(value) ? exactFixed(value) : shown}`)
    }
    return this.#modify(expr, '@', undefined, { kind: 'time', ms: roundHalfAway(value * 1000) })
  }

  #extend(expr: Expr): Expr {
    const keyword = this.#tokens.next()
    const target = expr.kind === 'matrixSelector' ? expr.selector : expr
    if (target.kind !== 'vectorSelector') {
      this.#fail(expr.start, `${keyword.id} modifier must be preceded by an instant vector selector or range vector selector`)
    }
    if (keyword.id === 'anchored' && expr.kind === 'vectorSelector') {
      this.#fail(expr.start, 'anchored modifier must be preceded by a range vector selector')
    }
    const { end } = keyword
    const changed: VectorSelector = {
      ...target,
      anchored: keyword.id === 'anchored' || target.anchored,
      smoothed: keyword.id === 'smoothed' || target.smoothed,
    }
    if (changed.anchored && changed.smoothed) this.#fail(expr.start, 'anchored and smoothed modifiers cannot be used together')
    return expr.kind === 'matrixSelector' ? { ...expr, selector: changed, end } : { ...changed, end }
  }
}

/** A number token's value. @throws bad_data where it is none or too large */
export function parseNumber(query: string, token: Token): number {
  const value = parseGoNumber(token.text)
  if (value === 'range' || value === undefined) {
    const cause = value === 'range' ? 'value out of range' : 'invalid syntax'
    throw parseError(query, token.start, `error parsing number: strconv.ParseFloat: parsing ${quote(token.text)}: ${cause}`)
  }
  return value
}

/** Six decimals of a number too large for `toFixed`. */
function exactFixed(value: number): string {
  return `${BigInt(value)}.000000`
}

/** Go's `math.Round`. */
function roundHalfAway(value: number): number {
  return value < 0 ? -Math.round(-value) : Math.round(value)
}
