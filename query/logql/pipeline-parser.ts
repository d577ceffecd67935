/** Selectors and the stages behind them. */
import type { MatchOp, MatcherSpec } from '../../lib/model/index.ts'
import type { CompareOp, Extraction, LabelChoice, LabelFilter, LabelFormat, LineOp, Stage, Unwrap } from './ast.ts'
import { notBuilt, parseError, syntaxError } from './errors.ts'
import type { TokenStream } from './token-stream.ts'
import { parseFloatText } from './units.ts'

const LINE_OPS: readonly string[] = ['|=', '!=', '|~', '!~', '|>', '!>']
const MATCH_OPS: readonly string[] = ['=', '!=', '=~', '!~']
const COMPARE_OPS: readonly string[] = ['=', '==', '!=', '>', '>=', '<', '<=']
const CONVERSIONS: readonly string[] = ['duration', 'duration_seconds', 'bytes']
const FILTER_DEPTH_MAX = 100

export function parseSelector(tokens: TokenStream): MatcherSpec[] {
  tokens.expect('{')
  const matchers: MatcherSpec[] = []
  while (!tokens.is('}')) {
    matchers.push(parseMatcher(tokens))
    if (!tokens.accept(',')) break
  }
  if (!tokens.is('}')) throw tokens.unexpected()
  tokens.next()
  return matchers
}

function parseMatcher(tokens: TokenStream): MatcherSpec {
  const name = tokens.expectKind('word', 'IDENTIFIER').text
  return { name, op: parseMatchOp(tokens), value: tokens.expectKind('string', 'STRING').text }
}

function parseMatchOp(tokens: TokenStream): MatchOp {
  const { kind, text } = tokens.current
  if (kind !== 'symbol' || !MATCH_OPS.includes(text)) throw tokens.unexpected()
  tokens.next()
  return text as MatchOp
}

export function startsStage(tokens: TokenStream): boolean {
  const { kind, text } = tokens.current
  return kind === 'symbol' && (text === '|' || LINE_OPS.includes(text))
}

export function startsUnwrap(tokens: TokenStream): boolean {
  return tokens.is('|') && tokens.ahead().text === 'unwrap' && tokens.ahead().kind === 'word'
}

/** One stage; the current token starts it. */
export function parseStage(tokens: TokenStream): Stage {
  const { text } = tokens.current
  if (LINE_OPS.includes(text)) return parseLineFilter(tokens)
  tokens.expect('|')
  const word = tokens.current
  // A parser's name is also a good label name: `| json = "x"`.
  const isFilter = word.kind !== 'word' || COMPARE_OPS.concat('=~', '!~').includes(tokens.ahead().text)
  if (isFilter && word.text !== 'line_format') return { kind: 'label_filter', filter: parseLabelFilter(tokens) }
  switch (word.text) {
    case 'json':
      tokens.next()
      return { kind: 'json', expressions: parseExtractions(tokens) }
    case 'logfmt':
      return parseLogfmt(tokens)
    case 'regexp':
    case 'pattern':
      tokens.next()
      return { kind: word.text, pattern: tokens.expectKind('string', 'STRING').text }
    case 'unpack':
    case 'decolorize':
      tokens.next()
      return { kind: word.text }
    case 'line_format':
      tokens.next()
      return { kind: 'line_format', template: tokens.expectKind('string', 'STRING').text }
    case 'label_format':
      return parseLabelFormat(tokens)
    case 'drop':
    case 'keep':
      tokens.next()
      return { kind: word.text, labels: parseChoices(tokens) }
    case 'distinct':
      throw notBuilt('| distinct')
    default:
      return { kind: 'label_filter', filter: parseLabelFilter(tokens) }
  }
}

function parseLineFilter(tokens: TokenStream): Stage {
  const op = tokens.next().text as LineOp
  const alternatives = [parseAlternative(tokens, op)]
  while (tokens.is('or')) {
    tokens.next()
    alternatives.push(parseAlternative(tokens, op))
  }
  return { kind: 'line', op, alternatives }
}

function parseAlternative(tokens: TokenStream, op: LineOp): { text: string; isIp: boolean } {
  if (!tokens.is('ip')) return { text: tokens.expectKind('string').text, isIp: false }
  const { start } = tokens.next()
  tokens.expect('(')
  const { text } = tokens.expectKind('string', 'STRING')
  tokens.expect(')')
  if (op !== '|=' && op !== '!=') throw parseError(tokens.text, 'ip: invalid operation', start)
  return { text, isIp: true }
}

function parseExtractions(tokens: TokenStream): Extraction[] {
  const out: Extraction[] = []
  while (tokens.current.kind === 'word') {
    const name = tokens.next().text
    out.push({ name, expression: tokens.accept('=') ? tokens.expectKind('string', 'STRING').text : name })
    if (!tokens.accept(',')) break
    if (tokens.current.kind !== 'word') throw tokens.unexpected('IDENTIFIER')
  }
  return out
}

function parseLogfmt(tokens: TokenStream): Stage {
  tokens.next()
  const flags = new Set<string>()
  while (tokens.current.kind === 'flag') flags.add(tokens.next().text)
  return { kind: 'logfmt', strict: flags.has('strict'), keepEmpty: flags.has('keep-empty'), expressions: parseExtractions(tokens) }
}

function parseLabelFormat(tokens: TokenStream): Stage {
  tokens.next()
  const formats: LabelFormat[] = []
  do {
    const { text: name, start } = tokens.expectKind('word', 'IDENTIFIER')
    tokens.expect('=')
    if (name === '__error__' || name === '__error_details__') throw parseError(tokens.text, `${name} cannot be formatted`)
    if (formats.some((format) => format.name === name))
      throw parseError(tokens.text, `multiple label name '${name}' not allowed in a single format operation`, start)
    if (tokens.current.kind === 'string') formats.push({ name, kind: 'template', template: tokens.next().text })
    else formats.push({ name, kind: 'rename', source: tokens.expectKind('word').text })
  } while (tokens.accept(','))
  return { kind: 'label_format', formats }
}

function parseChoices(tokens: TokenStream): LabelChoice[] {
  const labels: LabelChoice[] = []
  do {
    const name = tokens.expectKind('word', 'IDENTIFIER').text
    const { kind, text } = tokens.current
    const matcher =
      kind === 'symbol' && MATCH_OPS.includes(text)
        ? { name, op: parseMatchOp(tokens), value: tokens.expectKind('string', 'STRING').text }
        : undefined
    labels.push({ name, matcher })
  } while (tokens.accept(','))
  return labels
}

/** `or` binds loosest; `and`, a comma and nothing at all are the same. */
export function parseLabelFilter(tokens: TokenStream, depth = 0): LabelFilter {
  if (depth > FILTER_DEPTH_MAX) throw parseError(tokens.text, `label filters are nested more than ${FILTER_DEPTH_MAX} deep`)
  let left = parseConjunction(tokens, depth)
  while (tokens.accept('or')) left = { kind: 'or', left, right: parseConjunction(tokens, depth) }
  return left
}

function parseConjunction(tokens: TokenStream, depth: number): LabelFilter {
  let left = parseComparison(tokens, depth)
  for (;;) {
    const isJoined = tokens.accept('and') || tokens.accept(',')
    const { kind, text } = tokens.current
    const follows = (kind === 'word' && text !== 'or') || (kind === 'symbol' && text === '(')
    if (!isJoined && !follows) return left
    left = { kind: 'and', left, right: parseComparison(tokens, depth) }
  }
}

function parseComparison(tokens: TokenStream, depth: number): LabelFilter {
  if (tokens.accept('(')) {
    const inner = parseLabelFilter(tokens, depth + 1)
    tokens.expect(')')
    return inner
  }
  const name = tokens.expectKind('word').text
  const op = parseComparator(tokens)
  if (tokens.current.kind === 'string' && MATCH_OPS.includes(op)) {
    return { kind: 'string', matcher: { name, op: op as MatchOp, value: tokens.next().text } }
  }
  if (tokens.is('ip') && (op === '=' || op === '!=')) {
    tokens.next()
    tokens.expect('(')
    const pattern = tokens.expectKind('string', 'STRING').text
    tokens.expect(')')
    return { kind: 'ip', name, op, pattern }
  }
  if (!COMPARE_OPS.includes(op)) throw tokens.unexpected('STRING')
  return parseAmount(tokens, name, op as CompareOp)
}

function parseComparator(tokens: TokenStream): string {
  const { kind, text } = tokens.current
  if (kind !== 'symbol' || (!COMPARE_OPS.includes(text) && !MATCH_OPS.includes(text))) throw tokens.unexpected()
  return tokens.next().text
}

function parseAmount(tokens: TokenStream, name: string, op: CompareOp): LabelFilter {
  const sign = tokens.is('-') ? -1 : 1
  if (tokens.is('-') || tokens.is('+')) tokens.next()
  const { kind, value } = tokens.current
  if (kind === 'duration') {
    tokens.next()
    return { kind: 'duration', name, op, valueNs: sign * value }
  }
  if (kind === 'bytes') {
    tokens.next()
    return { kind: 'bytes', name, op, value: sign * value }
  }
  if (kind !== 'number') throw tokens.unexpected()
  return { kind: 'number', name, op, value: sign * parseNumber(tokens) }
}

/** The current token as a float. */
export function parseNumber(tokens: TokenStream): number {
  const { text, start } = tokens.expectKind('number', 'NUMBER')
  const value = parseFloatText(text)
  if (typeof value === 'string') throw parseError(tokens.text, `unable to parse literal as a float: ${value}`, start)
  return value
}

export function parseUnwrap(tokens: TokenStream): Unwrap {
  tokens.expect('|')
  tokens.expect('unwrap')
  const { text: word } = tokens.expectKind('word', 'IDENTIFIER')
  let unwrap: Pick<Unwrap, 'label' | 'convert'> = { label: word, convert: '' }
  if (tokens.is('(')) {
    if (!CONVERSIONS.includes(word)) throw syntaxError(tokens.text, tokens.current.start, '(')
    tokens.next()
    unwrap = { label: tokens.expectKind('word', 'IDENTIFIER').text, convert: word as Unwrap['convert'] }
    tokens.expect(')')
  }
  const filters: LabelFilter[] = []
  while (tokens.is('|') && !startsUnwrap(tokens)) {
    tokens.next()
    filters.push(parseLabelFilter(tokens))
  }
  return { ...unwrap, filters }
}
