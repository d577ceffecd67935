/** A query's canonical text: print(parse(q)) parses to the same tree. */
import { formatDuration } from '../../lib/model/index.ts'
import type { MatcherSpec } from '../../lib/model/index.ts'
import type { BinaryExpr, Expr, Extraction, Grouping, LabelFilter, LogExpr, RangeAggregation, Stage } from './ast.ts'
import { quote } from './strings.ts'
import { formatGoDuration } from './units.ts'

export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'log':
      return printLog(expr)
    case 'range':
      return printRange(expr)
    case 'aggregate': {
      const parameter = expr.parameter === undefined ? '' : `${expr.parameter},`
      return `${expr.op}${printGrouping(expr.grouping)}(${parameter}${printExpr(expr.expr)})`
    }
    case 'binary':
      return printBinary(expr)
    case 'label_replace': {
      const texts = [expr.target, expr.replacement, expr.label, expr.pattern].map(quote)
      return `label_replace(${printExpr(expr.expr)},${texts.join(',')})`
    }
    case 'literal':
      return printNumber(expr.value)
    case 'vector':
      return `vector(${printNumber(expr.value)})`
  }
}

/** NaN and infinities have no literal: they come out of folded arithmetic, and are printed as such. */
function printNumber(value: number): string {
  if (Number.isNaN(value)) return '(0 / 0)'
  if (!Number.isFinite(value)) return `(${value < 0 ? '-' : ''}1e308 * 10)`
  return Object.is(value, -0) ? '-0' : String(value)
}

function printGrouping(grouping: Grouping | undefined): string {
  return grouping === undefined ? '' : ` ${grouping.without ? 'without' : 'by'} (${grouping.labels.join(',')})`
}

function printBinary({ op, left, right, returnBool, matching }: BinaryExpr): string {
  let modifiers = returnBool ? ' bool' : ''
  if (matching !== undefined) {
    modifiers += ` ${matching.on ? 'on' : 'ignoring'} (${matching.labels.join(',')})`
    if (matching.card !== 'one-to-one')
      modifiers += ` group_${matching.card === 'many-to-one' ? 'left' : 'right'} (${matching.include.join(',')})`
  }
  return `(${printExpr(left)} ${op}${modifiers} ${printExpr(right)})`
}

function printLog({ matchers, stages }: LogExpr): string {
  const selector = `{${matchers.map(printMatcher).join(', ')}}`
  return [selector, ...stages.map(printStage)].join(' ')
}

function printMatcher({ name, op, value }: MatcherSpec): string {
  return `${name}${op}${quote(value)}`
}

function printRange({ op, parameter, log, unwrap, rangeMs, offsetMs, grouping }: RangeAggregation): string {
  let inner = printLog(log)
  if (unwrap !== undefined) {
    inner += ` | unwrap ${unwrap.convert === '' ? unwrap.label : `${unwrap.convert}(${unwrap.label})`}`
    for (const filter of unwrap.filters) inner += ` | ${printFilter(filter)}`
  }
  const offset = offsetMs === 0 ? '' : ` offset ${offsetMs < 0 ? '-' : ''}${printMs(Math.abs(offsetMs))}`
  return `${op}(${parameter === undefined ? '' : `${printNumber(parameter)},`}${inner} [${printMs(rangeMs)}]${offset})${printGrouping(grouping)}`
}

function printMs(ms: number): string {
  return Number.isInteger(ms) ? formatDuration(ms) : formatGoDuration(ms * 1e6)
}

function printExtractions(expressions: readonly Extraction[]): string {
  return expressions.length === 0 ? '' : ` ${expressions.map(({ name, expression }) => `${name}=${quote(expression)}`).join(', ')}`
}

function printStage(stage: Stage): string {
  switch (stage.kind) {
    case 'line':
      return `${stage.op} ${stage.alternatives.map(({ text, isIp }) => (isIp ? `ip(${quote(text)})` : quote(text))).join(' or ')}`
    case 'json':
      return `| json${printExtractions(stage.expressions)}`
    case 'logfmt':
      return `| logfmt${stage.strict ? ' --strict' : ''}${stage.keepEmpty ? ' --keep-empty' : ''}${printExtractions(stage.expressions)}`
    case 'regexp':
    case 'pattern':
      return `| ${stage.kind} ${quote(stage.pattern)}`
    case 'unpack':
    case 'decolorize':
      return `| ${stage.kind}`
    case 'line_format':
      return `| line_format ${quote(stage.template)}`
    case 'label_format':
      return `| label_format ${stage.formats.map((one) => `${one.name}=${one.kind === 'rename' ? one.source : quote(one.template)}`).join(',')}`
    case 'label_filter':
      return `| ${printFilter(stage.filter)}`
    case 'drop':
    case 'keep':
      return `| ${stage.kind} ${stage.labels.map(({ name, matcher }) => (matcher === undefined ? name : printMatcher(matcher))).join(',')}`
  }
}

function printFilter(filter: LabelFilter): string {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return `( ${printFilter(filter.left)} ${filter.kind} ${printFilter(filter.right)} )`
    case 'string':
      return printMatcher(filter.matcher)
    case 'ip':
      return `${filter.name}${filter.op}ip(${quote(filter.pattern)})`
    case 'number':
      return `${filter.name}${filter.op}${printNumber(filter.value)}`
    case 'duration':
      return `${filter.name}${filter.op}${formatGoDuration(filter.valueNs)}`
    case 'bytes':
      return `${filter.name}${filter.op}${filter.value}B`
  }
}
