/** label_replace, label_join, and the sort functions. */
import { METRIC_NAME, compareLabels, labelValue, labelsWith } from '../../../lib/model/index.ts'
import { compileRegexp } from '../../../lib/regexp/index.ts'
import { SightlineError, messageOf } from '../../../lib/runtime/errors.ts'
import { remarks } from '../annotations.ts'
import { mergeDuplicates, type Column, type Value } from '../columns.ts'
import { hasInvalidBytes, quote } from '../strings.ts'
import { vectorArgument, vectorOf, stringArgument, type CallContext, type ValueFunction } from './value-function.ts'

function labelReplace(context: CallContext): Value {
  const [target, replacement, source, pattern] = [1, 2, 3, 4].map((i) => stringArgument(context, i)) as [string, string, string, string]
  let regexp
  try {
    regexp = compileRegexp(pattern, { anchored: true })
  } catch (error) {
    throw new SightlineError('execution', `invalid regular expression in label_replace(): ${pattern}`, { cause: messageOf(error) })
  }
  checkLabelName(target, 'destination label name in label_replace()')
  const compiled = regexp
  return relabel(context, target, (column) => compiled.expand(replacement, labelValue(column.labels, source)))
}

function labelJoin(context: CallContext): Value {
  const target = stringArgument(context, 1)
  const separator = stringArgument(context, 2)
  const sources = context.args.slice(3).map((_, i) => stringArgument(context, i + 3))
  checkLabelName(target, 'destination label name in label_join()')
  for (const source of sources) checkLabelName(source, 'source label name in label_join()')
  return relabel(context, target, (column) => sources.map((source) => labelValue(column.labels, source)).join(separator))
}

/** Sets one label of each column; null leaves the column as it is. A metric name that is set stays. */
function relabel(context: CallContext, target: string, valueOf: (column: Column) => string | null): Value {
  const columns = vectorArgument(context, 0).map((column) => {
    const value = valueOf(column)
    if (value === null) return column
    const labels = labelsWith(column.labels, target, value)
    return { ...column, labels, dropName: target === METRIC_NAME ? false : column.dropName }
  })
  return vectorOf(mergeDuplicates(columns))
}

function checkLabelName(name: string, what: string): void {
  if (name === '' || hasInvalidBytes(name)) throw new SightlineError('execution', `invalid ${what}: ${quote(name).slice(1, -1)}`)
}

/** Sorted by value; histograms are left out, NaN comes last. Only instant queries have an order. */
function sortByValue(context: CallContext, sign: 1 | -1): Value {
  const columns = vectorArgument(context, 0)
  if (warnInRange(context)) return vectorOf(columns)
  const floats = columns.filter((column) => column.present[0] === 1 && column.histograms?.[0] === undefined)
  return vectorOf(
    floats.sort((a, b) => {
      const [x, y] = [a.values[0]!, b.values[0]!]
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : -1
      return (x < y ? -1 : x > y ? 1 : 0) * sign
    }),
  )
}

function sortByLabel(context: CallContext, sign: 1 | -1): Value {
  const columns = vectorArgument(context, 0)
  if (warnInRange(context)) return vectorOf(columns)
  const names = context.args.slice(1).map((_, i) => stringArgument(context, i + 1))
  const sorted = [...columns].sort((a, b) => {
    for (const name of names) {
      const order = compareNatural(labelValue(a.labels, name), labelValue(b.labels, name))
      if (order !== 0) return order * sign
    }
    return compareLabels(a.labels, b.labels) * sign
  })
  return vectorOf(sorted)
}

function warnInRange(context: CallContext): boolean {
  if (context.isRange) context.note(remarks.sortInRange(), context.call.start)
  return context.isRange
}

/** Order of texts in which runs of digits compare as numbers. */
export function compareNatural(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? []
  const right = b.match(/\d+|\D+/g) ?? []
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i]!, right[i]!]
    if (x === y) continue
    if (/^\d/.test(x) && /^\d/.test(y)) {
      const [p, q] = [x.replace(/^0+(?=\d)/, ''), y.replace(/^0+(?=\d)/, '')]
      if (p.length !== q.length) return p.length - q.length
      if (p !== q) return p < q ? -1 : 1
    }
    return x < y ? -1 : 1
  }
  return left.length - right.length
}

export const LABEL_FUNCTIONS: Readonly<Record<string, ValueFunction>> = {
  label_replace: labelReplace,
  label_join: labelJoin,
  sort: (context) => sortByValue(context, 1),
  sort_desc: (context) => sortByValue(context, -1),
  sort_by_label: (context) => sortByLabel(context, 1),
  sort_by_label_desc: (context) => sortByLabel(context, -1),
}
