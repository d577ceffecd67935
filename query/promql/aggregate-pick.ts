/** Aggregations that keep whole series: topk, bottomk, limitk, limit_ratio; and count_values, which counts equal ones. */
import { labelsKey, labelsWith, METRIC_NAME, labelsKeep, labelsWithout, type Labels } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { AggregateExpr } from './ast.ts'
import { remarks, type Note } from './annotations.ts'
import { ColumnBuilder, histogramAt, type Column } from './columns.ts'
import type { Group } from './aggregate.ts'
import { formatFixed, formatGeneral } from './go-float.ts'
import { formatHistogram } from './histogram/index.ts'
import { labelHashShare } from './label-hash.ts'
import { hasInvalidBytes, quote } from './strings.ts'

const K_MAX = 2 ** 63

/** How many series to keep at each step. @throws execution where k is no number that fits */
function limits(param: Float64Array): Float64Array {
  return param.map((k) => {
    if (Number.isNaN(k)) throw new SightlineError('execution', 'Parameter value is NaN')
    if (k >= K_MAX) throw new SightlineError('execution', `Scalar value ${formatGeneral(k)} overflows int64`)
    if (k <= -K_MAX) throw new SightlineError('execution', `Scalar value ${formatGeneral(k)} underflows int64`)
    return Math.trunc(k)
  })
}

/**
 * The k largest or smallest samples of each group at each step. NaN comes last. In an instant query the result is in order,
 * group by group.
 */
export function topOrBottom(groups: readonly Group[], param: Float64Array, top: boolean, note: Note): Column[] {
  const wanted = limits(param)
  const out: Column[] = []
  for (const { members } of groups) {
    const builders = members.map((column) => new ColumnBuilder(column.values.length))
    const order = new Map<number, number>()
    for (let k = 0; k < wanted.length; k++) {
      if (wanted[k]! < 1) continue
      const rows: number[] = []
      for (let m = 0; m < members.length; m++) {
        if (members[m]!.present[k] === 0) continue
        if (histogramAt(members[m]!, k) === undefined) rows.push(m)
        else note(remarks.histogramIgnoredAggregation(top ? 'topk' : 'bottomk'))
      }
      const valueOf = (m: number): number => members[m]!.values[k]!
      rows.sort((a, b) => compareForTop(valueOf(a), valueOf(b), top) || a - b)
      rows.slice(0, wanted[k]!).forEach((m, i) => {
        builders[m]!.set(k, valueOf(m))
        if (!order.has(m)) order.set(m, i)
      })
    }
    const kept = [...order].sort((a, b) => a[1] - b[1]).map(([m]) => m)
    for (const m of wanted.length === 1 ? kept : kept.sort((a, b) => a - b))
      out.push(builders[m]!.build(members[m]!.labels, members[m]!.dropName))
  }
  return out
}

function compareForTop(a: number, b: number, top: boolean): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : -1
  const order = a < b ? -1 : a > b ? 1 : 0
  return top ? -order : order
}

/** The first k series of each group at each step, histograms too. */
export function limitK(groups: readonly Group[], param: Float64Array): Column[] {
  const wanted = limits(param)
  return groups.flatMap(({ members }) => {
    const taken = new Float64Array(wanted.length)
    return pick(members, (_column, k) => ++taken[k]! <= wanted[k]!)
  })
}

/** The series whose hash lies in the wanted share: a ratio of 0.3 and one of −0.7 complement each other. */
export function limitRatio(groups: readonly Group[], param: Float64Array, note: Note): Column[] {
  const ratios = param.map((ratio) => {
    if (Number.isNaN(ratio)) throw new SightlineError('execution', 'Ratio value is NaN')
    const capped = Math.max(-1, Math.min(1, ratio))
    if (capped !== ratio) note(remarks.invalidRatio(formatGeneral(ratio), formatGeneral(capped)))
    return capped
  })
  return groups.flatMap(({ members }) => {
    const shares = new Map(members.map((column) => [column, labelHashShare(column.labels)]))
    return pick(members, (column, k) => {
      const ratio = ratios[k]!
      const share = shares.get(column)!
      return ratio >= 0 ? share < ratio : share >= 1 + ratio
    })
  })
}

function pick(members: readonly Column[], keep: (column: Column, k: number) => boolean): Column[] {
  const out: Column[] = []
  for (const column of members) {
    const builder = new ColumnBuilder(column.values.length)
    for (let k = 0; k < column.present.length; k++) if (column.present[k] === 1 && keep(column, k)) builder.copy(k, column)
    if (builder.used) out.push(builder.build(column.labels, column.dropName))
  }
  return out
}

/** How often each value occurs in a group, the value as a label. */
export function countValues(columns: readonly Column[], expr: AggregateExpr, label: string, count: number): Column[] {
  if (label === '' || hasInvalidBytes(label)) throw new SightlineError('execution', `invalid label name ${quote(label)}`)
  const out = new Map<string, { labels: Labels; builder: ColumnBuilder; dropName: boolean }>()
  const without = new Set([...expr.grouping, METRIC_NAME])
  const by = new Set([...expr.grouping, label])
  for (const column of columns) {
    for (let k = 0; k < count; k++) {
      if (column.present[k] === 0) continue
      const histogram = histogramAt(column, k)
      const shown = histogram === undefined ? formatFixed(column.values[k]!) : formatHistogram(histogram)
      const tagged = labelsWith(column.labels, label, shown)
      const labels = expr.without ? labelsWith(labelsWithout(column.labels, without), label, shown) : labelsKeep(tagged, by)
      const key = labelsKey(labels)
      let entry = out.get(key)
      if (entry === undefined) out.set(key, (entry = { labels, builder: new ColumnBuilder(count), dropName: false }))
      entry.dropName ||= column.dropName
      entry.builder.set(k, entry.builder.values[k]! + 1)
    }
  }
  return [...out.values()].map(({ labels, builder, dropName }) => builder.build(labels, dropName))
}
