/** Trees back to text, in the canonical form of Prometheus' `Expr.String()`. */
import { METRIC_NAME, formatDuration, type Matcher } from '../../lib/model/index.ts'
import type { AtModifier, BinaryExpr, DurationNode, DurationValue, Expr, VectorSelector } from './ast.ts'
import { formatFixed } from './go-float.ts'
import { quote } from './strings.ts'

export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'number':
      return expr.duration ? formatDuration(expr.value * 1000) : formatFixed(expr.value)
    case 'string':
      return quote(expr.value)
    case 'paren':
      return `(${printExpr(expr.expr)})`
    case 'unary':
      return expr.op + printExpr(expr.expr)
    case 'call':
      return `${expr.name}(${expr.args.map(printExpr).join(', ')})`
    case 'aggregate': {
      const labels = expr.grouping.map(printLabelName).join(', ')
      const grouping = expr.without ? ` without (${labels}) ` : expr.grouping.length > 0 ? ` by (${labels}) ` : ''
      const param = expr.param === undefined ? '' : `${printExpr(expr.param)}, `
      return `${expr.op}${grouping}(${param}${printExpr(expr.expr)})`
    }
    case 'binary':
      return printBinary(expr)
    case 'vectorSelector':
      return printBare(expr) + printModifiers(expr)
    case 'matrixSelector':
      return `${printBare(expr.selector)}[${printDuration(expr.range)}]${printModifiers(expr.selector)}`
    case 'subquery':
      return `${printExpr(expr.expr)}[${printDuration(expr.range)}:${expr.step === undefined ? '' : printDuration(expr.step)}]${printModifiers(expr)}`
  }
}

function printBinary(expr: BinaryExpr): string {
  let matching = ''
  const { matching: m } = expr
  if (m !== undefined) {
    const labels = m.labels.map(printLabelName).join(', ')
    if (m.on) matching += ` on (${labels})`
    else if (m.labels.length > 0) matching += ` ignoring (${labels})`
    else if (m.card === 'many-to-one' || m.card === 'one-to-many') matching += ' ignoring ()'
    if (m.card === 'many-to-one' || m.card === 'one-to-many') {
      matching += ` ${m.card === 'many-to-one' ? 'group_left' : 'group_right'} (${m.include.map(printLabelName).join(', ')})`
    }
    if (m.fillLeft !== undefined && Object.is(m.fillLeft, m.fillRight)) matching += ` fill (${formatFixed(m.fillLeft)})`
    else {
      if (m.fillLeft !== undefined) matching += ` fill_left (${formatFixed(m.fillLeft)})`
      if (m.fillRight !== undefined) matching += ` fill_right (${formatFixed(m.fillRight)})`
    }
  }
  return `${printExpr(expr.lhs)} ${expr.op}${expr.returnBool ? ' bool' : ''}${matching} ${printExpr(expr.rhs)}`
}

function printBare(selector: VectorSelector): string {
  const matchers = selector.name === '' ? selector.matchers : selector.matchers.slice(0, -1)
  const shown = matchers.map(printMatcher).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return selector.name + (shown.length === 0 && selector.name !== '' ? '' : `{${shown.join(',')}}`)
}

export function printMatcher(matcher: Matcher): string {
  return `${printLabelName(matcher.name)}${matcher.op}${quote(matcher.value)}`
}

function printLabelName(name: string): string {
  return name === METRIC_NAME || /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : quote(name)
}

function printModifiers(node: { offset?: DurationValue; at?: AtModifier; anchored?: boolean; smoothed?: boolean }): string {
  let out = ''
  if (node.anchored === true) out += ' anchored'
  if (node.smoothed === true) out += ' smoothed'
  if (node.at !== undefined) out += node.at.kind === 'time' ? ` @ ${(node.at.ms / 1000).toFixed(3)}` : ` @ ${node.at.kind}()`
  if (node.offset !== undefined && (node.offset.expr !== undefined || node.offset.ms !== 0)) out += ` offset ${printDuration(node.offset)}`
  return out
}

function printDuration(value: DurationValue): string {
  return value.expr === undefined ? formatDuration(value.ms) : printDurationNode(value.expr)
}

function printDurationNode(node: DurationNode): string {
  switch (node.kind) {
    case 'number':
      return node.duration ? formatDuration(node.value * 1000) : formatFixed(node.value)
    case 'paren':
      return `(${printDurationNode(node.arg)})`
    case 'negate':
      return `-${printDurationNode(node.arg)}`
    case 'call':
      return `${node.name}(${node.args.map(printDurationNode).join(', ')})`
    case 'binary':
      return `${printDurationNode(node.lhs)} ${node.op} ${printDurationNode(node.rhs)}`
  }
}
