/**
 * Tokens to a pipeline. Recursive descent with precedence climbing; at most `DEPTH_MAX` deep.
 *
 * Source: the grammar of Tempo's `pkg/traceql`. Metrics stages (`rate()` and the like) are recognised by name and answered as not built.
 */
import {
  isConstant,
  type AttributeRef,
  type AttributeScope,
  type CompareOp,
  type FieldExpr,
  type FieldOp,
  type Intrinsic,
  type IntrinsicName,
  type Pipeline,
  type ScalarExpr,
  type Spanset,
  type SpansetOp,
  type Stage,
  type Static,
} from './ast.ts'
import { parseError, tokenize, type Token } from './lexer.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'

const DEPTH_MAX = 200

const INTRINSICS: Readonly<Record<string, IntrinsicName>> = {
  name: 'name',
  kind: 'kind',
  status: 'status',
  statusMessage: 'statusMessage',
  duration: 'duration',
  traceDuration: 'traceDuration',
  rootName: 'rootName',
  rootServiceName: 'rootServiceName',
  nestedSetLeft: 'nestedSetLeft',
  nestedSetRight: 'nestedSetRight',
  nestedSetParent: 'nestedSetParent',
  childCount: 'childCount',
  parent: 'parent',
  'trace:duration': 'traceDuration',
  'trace:id': 'traceId',
  'trace:rootName': 'rootName',
  'trace:rootService': 'rootServiceName',
  'span:name': 'name',
  'span:kind': 'kind',
  'span:status': 'status',
  'span:statusMessage': 'statusMessage',
  'span:duration': 'duration',
  'span:id': 'spanId',
  'span:parentID': 'parentId',
  'span:childCount': 'childCount',
  'event:name': 'eventName',
  'event:timeSinceStart': 'eventTimeSinceStart',
  'link:spanID': 'linkSpanId',
  'link:traceID': 'linkTraceId',
  'instrumentation:name': 'scopeName',
  'instrumentation:version': 'scopeVersion',
}

const STATUS: Readonly<Record<string, number>> = { unset: 0, ok: 1, error: 2 }
const KIND: Readonly<Record<string, number>> = { unspecified: 0, internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }
const METRICS = new Set([
  'rate', 'count_over_time', 'min_over_time', 'max_over_time', 'avg_over_time', 'sum_over_time', 'quantile_over_time', 'histogram_over_time',
  'compare', 'topk', 'bottomk',
]) // prettier-ignore
const AGGREGATES = new Set(['count', 'min', 'max', 'avg', 'sum'])

/** Loosest first. Comparisons don't chain, arithmetic is left-associative, `^` right. */
const FIELD_LEVELS: readonly (readonly FieldOp[])[] = [
  ['||'],
  ['&&'],
  ['=', '!=', '<', '<=', '>', '>=', '=~', '!~'],
  ['+', '-'],
  ['*', '/', '%'],
  ['^'],
]
const SPANSET_LEVELS: readonly (readonly SpansetOp[])[] = [
  ['||'],
  ['&&'],
  ['>', '>>', '<', '<<', '~', '!>', '!>>', '!<', '!<<', '!~', '&>', '&>>', '&<', '&<<', '&~'],
]
const COMPARISONS: readonly string[] = ['=', '!=', '<', '<=', '>', '>=']

export function parse(query: string): Pipeline {
  const parser = new Parser(tokenize(query))
  return parser.query()
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  query(): Pipeline {
    const pipeline = this.#pipeline()
    this.#hints()
    if (this.#peek().kind !== 'end') throw this.#unexpected()
    return pipeline
  }

  #pipeline(): Pipeline {
    const stages: Stage[] = [this.#stage()]
    while (this.#take('|')) stages.push(this.#stage())
    return { kind: 'pipeline', stages }
  }

  #stage(): Stage {
    const token = this.#peek()
    if (token.kind === 'word' && METRICS.has(token.text)) {
      throw new SightlineError('bad_data', `TraceQL metrics are not built yet: ${token.text}() at col ${token.at + 1}`)
    }
    if (token.kind === 'word' && token.text === 'by') return this.#call(() => ({ kind: 'by', expr: this.#field() }))
    if (token.kind === 'word' && token.text === 'coalesce') return this.#call(() => ({ kind: 'coalesce' }))
    if (token.kind === 'word' && token.text === 'select') return this.#call(() => ({ kind: 'select', fields: this.#fields() }))
    if (this.#startsScalar()) return this.#scalarFilter()
    const spanset = this.#spanset(0)
    // A wrapped pipeline that ends in an aggregate is a scalar: `({…} | count()) > 1`.
    if (this.#isOp(COMPARISONS) || this.#isOp(['+', '-', '*', '/', '%', '^'])) throw this.#unexpected()
    return spanset
  }

  #call<T>(inside: () => T): T {
    this.#at++
    this.#expect('(')
    const value = inside()
    this.#expect(')')
    return value
  }

  #fields(): (AttributeRef | Intrinsic)[] {
    const fields: (AttributeRef | Intrinsic)[] = []
    do {
      const expr = this.#fieldPrimary()
      if (expr.kind !== 'attribute' && expr.kind !== 'intrinsic') throw this.#unexpected()
      fields.push(expr)
    } while (this.#take(','))
    return fields
  }

  /** A scalar begins with an aggregate, a number, or a parenthesis around one of these or around a pipeline with an aggregate at its end. */
  #startsScalar(): boolean {
    const depth = this.#tokens.slice(this.#at).findIndex((token) => !(token.kind === 'op' && (token.text === '(' || token.text === '-')))
    const first = this.#tokens[this.#at + depth]
    if (first === undefined) return false
    if (first.kind === 'number' || first.kind === 'duration') return true
    if (first.kind === 'word' && AGGREGATES.has(first.text)) return true
    return depth > 0 && this.#wrapsAggregate()
  }

  /** Whether the parenthesis here closes right behind an aggregate. */
  #wrapsAggregate(): boolean {
    let depth = 0
    for (let i = this.#at; i < this.#tokens.length; i++) {
      const token = this.#tokens[i]!
      if (token.kind !== 'op') continue
      if (token.text === '(') depth++
      if (token.text === ')' && --depth === 0) return this.#endsWithAggregate(i)
    }
    return false
  }

  #endsWithAggregate(close: number): boolean {
    let depth = 0
    for (let i = close - 1; i > this.#at; i--) {
      const token = this.#tokens[i]!
      if (token.kind === 'op' && token.text === ')') depth++
      if (token.kind === 'op' && token.text === '(' && --depth === 0) {
        const [name, before] = [this.#tokens[i - 1]!, this.#tokens[i - 2]]
        return name.kind === 'word' && AGGREGATES.has(name.text) && before?.kind === 'op' && before.text === '|'
      }
      if (depth === 0) return false
    }
    return false
  }

  #scalarFilter(): Stage {
    const left = this.#scalar(0)
    const op = this.#peek()
    if (!this.#isOp(COMPARISONS)) throw this.#unexpected()
    this.#at++
    const right = this.#scalar(0)
    if (isConstant(left) && isConstant(right)) throw parseError(op.at, 'a comparison of two numbers is no query')
    return { kind: 'scalarFilter', op: (op as { text: string }).text as CompareOp, left, right }
  }

  #scalar(level: number): ScalarExpr {
    const levels = [['+', '-'], ['*', '/', '%'], ['^']] as const
    const ops = levels[level]
    if (ops === undefined) return this.#scalarPrimary()
    let left = this.#scalar(level + 1)
    while (this.#isOp(ops)) {
      const op = (this.#tokens[this.#at++] as { text: string }).text as '+'
      left = { kind: 'scalarBinary', op, left, right: this.#scalar(level + 1) }
    }
    return left
  }

  #scalarPrimary(): ScalarExpr {
    return this.#nested(() => {
      const token = this.#peek()
      if (token.kind === 'word' && AGGREGATES.has(token.text)) {
        this.#at++
        this.#expect('(')
        const op = token.text as 'count'
        const aggregate: ScalarExpr = op === 'count' ? { kind: 'aggregate', op } : { kind: 'aggregate', op, expr: this.#field() }
        this.#expect(')')
        return aggregate
      }
      if (this.#take('(')) {
        const inner = this.#startsScalar() ? this.#scalar(0) : this.#scalarPipeline()
        this.#expect(')')
        return inner
      }
      if (this.#take('-')) return negated(this.#numericStatic(), () => this.#unexpected())
      return this.#numericStatic()
    })
  }

  #scalarPipeline(): ScalarExpr {
    const stages: Stage[] = [this.#stage()]
    while (this.#take('|')) {
      const token = this.#peek()
      if (token.kind === 'word' && AGGREGATES.has(token.text)) {
        const last = this.#scalar(0)
        return { kind: 'pipeline', stages: [...stages, { kind: 'scalarFilter', op: '=', left: last, right: last }] }
      }
      stages.push(this.#stage())
    }
    throw this.#unexpected()
  }

  #numericStatic(): Static {
    const token = this.#tokens[this.#at++]!
    if (token.kind === 'number') return { kind: 'static', type: token.isInt ? 'int' : 'float', value: token.value }
    if (token.kind === 'duration') return { kind: 'static', type: 'duration', value: token.ns }
    this.#at--
    throw this.#unexpected()
  }

  #spanset(level: number): Spanset {
    const ops = SPANSET_LEVELS[level]
    if (ops === undefined) return this.#spansetPrimary()
    let left = this.#spanset(level + 1)
    while (this.#isOp(ops)) {
      const op = (this.#tokens[this.#at++] as { text: string }).text as SpansetOp
      left = { kind: 'spansetBinary', op, left, right: this.#spanset(level + 1) }
    }
    return left
  }

  #spansetPrimary(): Spanset {
    return this.#nested(() => {
      if (this.#take('{')) {
        const expr: FieldExpr = this.#isOp(['}']) ? { kind: 'static', type: 'bool', value: true } : this.#field()
        this.#expect('}')
        return { kind: 'filter', expr }
      }
      if (!this.#take('(')) throw this.#unexpected()
      const inner = this.#pipeline()
      this.#expect(')')
      const [only] = inner.stages
      return inner.stages.length === 1 && (only!.kind === 'filter' || only!.kind === 'spansetBinary') ? (only as Spanset) : inner
    })
  }

  #field(level = 0): FieldExpr {
    const ops = FIELD_LEVELS[level]
    if (ops === undefined) return this.#fieldUnary()
    let left = this.#field(level + 1)
    while (this.#isOp(ops)) {
      const op = (this.#tokens[this.#at++] as { text: string }).text as FieldOp
      left = { kind: 'binary', op, left, right: this.#field(op === '^' ? level : level + 1) }
    }
    return left
  }

  #fieldUnary(): FieldExpr {
    return this.#nested(() => {
      if (this.#take('-')) {
        const expr = this.#fieldUnary()
        const isNumber =
          expr.kind === 'static' &&
          typeof expr.value === 'number' &&
          (expr.type === 'int' || expr.type === 'float' || expr.type === 'duration')
        return isNumber ? { ...expr, value: -(expr.value as number) } : { kind: 'unary', op: '-', expr }
      }
      if (this.#take('!')) return { kind: 'unary', op: '!', expr: this.#fieldUnary() }
      return this.#fieldPrimary()
    })
  }

  #fieldPrimary(): FieldExpr {
    if (this.#take('(')) {
      const expr = this.#field()
      this.#expect(')')
      return expr
    }
    const token = this.#tokens[this.#at++]!
    switch (token.kind) {
      case 'string':
        return { kind: 'static', type: 'string', value: token.value }
      case 'number':
        return { kind: 'static', type: token.isInt ? 'int' : 'float', value: token.value }
      case 'duration':
        return { kind: 'static', type: 'duration', value: token.ns }
      case 'attribute':
        return attributeOf(token.prefix, token.name)
      case 'scoped':
      case 'word': {
        const field = wordField(token.text)
        if (field !== undefined) return field
      }
    }
    this.#at--
    throw this.#unexpected()
  }

  /** `with (sample=true)`: hints change how, not what; they are read and passed over. */
  #hints(): void {
    const token = this.#peek()
    if (token.kind !== 'word' || token.text !== 'with') return
    this.#at++
    this.#expect('(')
    while (!this.#isOp([')'])) {
      if (this.#peek().kind === 'end') throw this.#unexpected()
      this.#at++
    }
    this.#expect(')')
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw parseError(this.#peek().at, `nested deeper than ${DEPTH_MAX}`)
    try {
      return read()
    } finally {
      this.#depth--
    }
  }

  #peek(): Token {
    return this.#tokens[this.#at]!
  }

  #isOp(ops: readonly string[]): boolean {
    const token = this.#peek()
    return token.kind === 'op' && ops.includes(token.text)
  }

  #take(op: string): boolean {
    if (!this.#isOp([op])) return false
    this.#at++
    return true
  }

  #expect(op: string): void {
    if (!this.#take(op)) throw this.#unexpected()
  }

  #unexpected(): SightlineError {
    const token = this.#peek()
    const what = token.kind === 'end' ? 'end of the query' : 'text' in token ? token.text : token.kind
    return parseError(token.at, `syntax error: unexpected ${what}`)
  }
}

function negated(value: Static, fail: () => Error): Static {
  if (typeof value.value !== 'number') throw fail()
  return { ...value, value: -value.value }
}

function wordField(text: string): FieldExpr | undefined {
  if (text === 'true' || text === 'false') return { kind: 'static', type: 'bool', value: text === 'true' }
  if (text === 'nil') return { kind: 'static', type: 'nil', value: null }
  if (text in STATUS) return { kind: 'static', type: 'status', value: STATUS[text]! }
  if (text in KIND) return { kind: 'static', type: 'kind', value: KIND[text]! }
  const name = INTRINSICS[text]
  return name === undefined ? undefined : { kind: 'intrinsic', name, text, parent: name === 'parent' }
}

function attributeOf(prefix: string, name: string): FieldExpr {
  const isParent = prefix === 'parent' || prefix.startsWith('parent.')
  const scope = isParent ? prefix.slice('parent.'.length) : prefix
  const intrinsic = INTRINSICS[name]
  if (isParent && scope === '' && intrinsic !== undefined)
    return { kind: 'intrinsic', name: intrinsic, text: `parent.${name}`, parent: true }
  return { kind: 'attribute', scope: scope === '' ? 'none' : (scope as AttributeScope), name, parent: isParent }
}
