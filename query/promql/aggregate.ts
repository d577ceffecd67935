/**
 * Aggregations that fold a group into one series: sum, avg, count, min, max, group, stddev, stdvar, quantile. Additions
 * happen series by series in the order of the vector, compensated as Prometheus does. The ones that pick or count series
 * (topk, limitk, count_values) are in `aggregate-pick.ts`.
 */
import { METRIC_NAME, labelValue, labelsKeep, labelsKey, labelsWithout, type Labels } from '../../lib/model/index.ts'
import type { AggregateExpr } from './ast.ts'
import { remarks, type Note } from './annotations.ts'
import { ColumnBuilder, withoutName, type Column, type NamePolicy } from './columns.ts'
import { quantileOf } from './functions/quantile.ts'
import { HistogramSum, compactHistogram } from './histogram/index.ts'

export interface Group {
  readonly labels: Labels
  readonly members: Column[]
}

/** The columns by their grouping labels, groups in order of first appearance. */
export function groupColumns(columns: readonly Column[], expr: Pick<AggregateExpr, 'without' | 'grouping'>, policy: NamePolicy): Group[] {
  const groups = new Map<string, Group>()
  const labelsOf = groupLabels(expr, policy)
  for (const column of columns) {
    const key = labelsOf.key(column.labels)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { labels: labelsOf.labels(column.labels), members: [column] })
    else group.members.push(column)
  }
  return [...groups.values()]
}

function groupLabels(
  expr: Pick<AggregateExpr, 'without' | 'grouping'>,
  policy: NamePolicy,
): { key: (labels: Labels) => string; labels: (labels: Labels) => Labels } {
  if (expr.without) {
    const names = new Set([...expr.grouping, METRIC_NAME])
    const labels = (all: Labels): Labels => withoutName(labelsWithout(all, names), { ...policy, delayed: false })
    return { labels, key: (all) => labelsKey(labels(all)) }
  }
  const names = new Set(expr.grouping)
  const sorted = [...names].sort()
  const labels = (all: Labels): Labels => labelsKeep(all, names)
  if (sorted.length === 0) return { labels, key: () => '' }
  if (sorted.length === 1) return { labels, key: (all) => labelValue(all, sorted[0]!) }
  return { labels, key: (all) => sorted.map((name) => labelValue(all, name)).join('\udc00') }
}

/**
 * @param param quantile's argument by step
 * @param count number of steps
 */
export function aggregate(op: string, groups: readonly Group[], param: Float64Array | undefined, count: number, note: Note): Column[] {
  const out: Column[] = []
  for (const { labels, members } of groups) {
    const builder = new ColumnBuilder(count)
    const hasHistograms = members.some((column) => column.histograms !== undefined)
    if (op === 'sum' || op === 'avg') {
      if (hasHistograms) addMixed(op, members, builder, note)
      else if (op === 'sum') sumFloats(members, builder)
      else averageFloats(members, builder)
    } else if (op === 'count' || op === 'group') countSamples(members, builder, op === 'group')
    else {
      if (hasHistograms) noteIgnored(op, members, note)
      foldFloats(op, members, param, builder)
    }
    if (builder.used)
      out.push(
        builder.build(
          labels,
          members.some((column) => column.dropName),
        ),
      )
  }
  return out
}

function noteIgnored(op: string, members: readonly Column[], note: Note): void {
  if (members.some((column) => column.histograms?.some((histogram) => histogram !== undefined) === true)) {
    note(remarks.histogramIgnoredAggregation(op))
  }
}

function sumFloats(members: readonly Column[], out: ColumnBuilder): void {
  const { values: sums, present } = out
  const compensation = new Float64Array(sums.length)
  for (const column of members) {
    for (let k = 0; k < sums.length; k++) {
      if (column.present[k] === 0) continue
      const value = column.values[k]!
      const sum = sums[k]!
      const total = sum + value
      if (total === Infinity || total === -Infinity) compensation[k] = 0
      else if (Math.abs(sum) >= Math.abs(value)) compensation[k]! += sum - total + value
      else compensation[k]! += value - total + sum
      sums[k] = total
      present[k] = 1
    }
  }
  for (let k = 0; k < sums.length; k++) sums[k]! += compensation[k]!
  out.used = present.includes(1)
}

/** Direct mean, or an incremental one from the sample on that makes the sum overflow. */
function averageFloats(members: readonly Column[], out: ColumnBuilder): void {
  const steps = out.values.length
  const sums = out.values
  const compensation = new Float64Array(steps)
  const counts = new Float64Array(steps)
  const incremental = new Uint8Array(steps)
  for (const column of members) {
    for (let k = 0; k < steps; k++) {
      if (column.present[k] === 0) continue
      const count = ++counts[k]!
      let value = column.values[k]!
      if (count === 1) {
        sums[k] = value
        continue
      }
      const direct = sums[k]! + value
      if (incremental[k] === 0 && (direct === Infinity || direct === -Infinity)) {
        incremental[k] = 1
        sums[k]! /= count - 1
        compensation[k]! /= count - 1
      }
      if (incremental[k] === 1) {
        const share = (count - 1) / count
        sums[k]! *= share
        compensation[k]! *= share
        value /= count
      }
      const sum = sums[k]!
      const total = sum + value
      if (total === Infinity || total === -Infinity) compensation[k] = 0
      else if (Math.abs(sum) >= Math.abs(value)) compensation[k]! += sum - total + value
      else compensation[k]! += value - total + sum
      sums[k] = total
    }
  }
  for (let k = 0; k < steps; k++) {
    const count = counts[k]!
    if (count === 0) continue
    out.set(k, incremental[k] === 1 ? sums[k]! + compensation[k]! : sums[k]! / count + compensation[k]! / count)
  }
}

/** sum and avg of a group with histograms: a step with both kinds has no result. */
function addMixed(op: 'sum' | 'avg', members: readonly Column[], out: ColumnBuilder, note: Note): void {
  const floats = members.map((column) => ({
    ...column,
    present: column.present.map((flag, k) => (column.histograms?.[k] === undefined ? flag : 0)),
  }))
  const floatResult = new ColumnBuilder(out.values.length)
  if (op === 'sum') sumFloats(floats, floatResult)
  else averageFloats(floats, floatResult)
  for (let k = 0; k < out.values.length; k++) {
    const sum = new HistogramSum()
    for (const column of members) {
      const histogram = column.present[k] === 1 ? column.histograms?.[k] : undefined
      if (histogram !== undefined) sum.add(histogram)
    }
    if (sum.added === 0) {
      if (floatResult.present[k] === 1) out.set(k, floatResult.values[k]!)
      continue
    }
    if (floatResult.present[k] === 1) {
      note(remarks.mixedFloatsHistogramsAggregation())
      continue
    }
    if (sum.hintCollision) note(remarks.counterResetCollision('aggregation'))
    if (sum.boundsReconciled) note(remarks.mismatchedBuckets('aggregation'))
    const total = op === 'sum' ? sum.total() : sum.average()
    if (total === undefined) note(remarks.mixedExponentialCustom(''))
    else out.setHistogram(k, compactHistogram(total))
  }
}

function countSamples(members: readonly Column[], out: ColumnBuilder, isGroup: boolean): void {
  const { values, present } = out
  for (const column of members) {
    for (let k = 0; k < values.length; k++) {
      if (column.present[k] === 0) continue
      values[k] = isGroup ? 1 : values[k]! + 1
      present[k] = 1
      out.used = true
    }
  }
}

function foldFloats(op: string, members: readonly Column[], param: Float64Array | undefined, out: ColumnBuilder): void {
  const window = new Float64Array(members.length)
  for (let k = 0; k < out.values.length; k++) {
    let n = 0
    for (const column of members) {
      if (column.present[k] === 1 && column.histograms?.[k] === undefined) window[n++] = column.values[k]!
    }
    if (n > 0) out.set(k, foldWindow(op, window.subarray(0, n), param?.[k] ?? NaN))
  }
}

function foldWindow(op: string, values: Float64Array, param: number): number {
  switch (op) {
    case 'min':
      return values.reduce((least, value) => (value < least || Number.isNaN(least) ? value : least))
    case 'max':
      return values.reduce((most, value) => (value > most || Number.isNaN(most) ? value : most))
    case 'quantile':
      return quantileOf(param, values)
    case 'stddev':
      return Math.sqrt(variance(values))
    default:
      return variance(values)
  }
}

function variance(values: Float64Array): number {
  let mean = 0
  let squares = 0
  let count = 0
  for (const value of values) {
    count++
    const delta = value - mean
    mean += delta / count
    squares += delta * (value - mean)
  }
  return squares / count
}
