/** Vector aggregations over columns. */
import { labelsKeep, labelsKey, labelsWithout, type Labels } from '../../../lib/model/index.ts'
import type { Grouping, VectorAggregation, VectorOp } from '../ast.ts'
import { emptySeries, hasAny, type StepSeries } from './series.ts'

export function groupLabels(labels: Labels, grouping: Grouping | undefined): Labels {
  if (grouping === undefined) return []
  const names = new Set(grouping.labels)
  return grouping.without ? labelsWithout(labels, names) : labelsKeep(labels, names)
}

export function aggregate({ op, parameter, grouping }: VectorAggregation, series: readonly StepSeries[], count: number): StepSeries[] {
  if (op === 'sort' || op === 'sort_desc') return sorted(series, op)
  const groups = new Map<string, { labels: Labels; members: StepSeries[] }>()
  for (const one of series) {
    const labels = groupLabels(one.labels, grouping)
    const key = labelsKey(labels)
    const group = groups.get(key) ?? { labels, members: [] }
    groups.set(key, group)
    group.members.push(one)
  }
  const all = [...groups.values()]
  if (op === 'topk' || op === 'bottomk' || op === 'approx_topk') {
    return all.flatMap(({ members }) => pick(members, parameter!, op !== 'bottomk', count))
  }
  return all.map(({ labels, members }) => fold(op, labels, members, count)).filter(hasAny)
}

function fold(op: VectorOp, labels: Labels, members: readonly StepSeries[], count: number): StepSeries {
  const out = emptySeries(labels, count)
  const seen = new Float64Array(count)
  const squares = new Float64Array(op === 'stddev' || op === 'stdvar' ? count : 0)
  for (const { values, present } of members) {
    for (let k = 0; k < count; k++) {
      if (present[k] === 0) continue
      const value = values[k]!
      const n = ++seen[k]!
      const before = out.values[k]!
      switch (op) {
        case 'sum':
        case 'avg':
          out.values[k] = before + value
          break
        case 'min':
          if (n === 1 || value < before || Number.isNaN(before)) out.values[k] = value
          break
        case 'max':
          if (n === 1 || value > before || Number.isNaN(before)) out.values[k] = value
          break
        case 'count':
          out.values[k] = n
          break
        default: {
          const delta = value - before
          out.values[k] = before + delta / n
          squares[k]! += delta * (value - out.values[k]!)
        }
      }
    }
  }
  for (let k = 0; k < count; k++) {
    if (seen[k] === 0) continue
    out.present[k] = 1
    if (op === 'avg') out.values[k]! /= seen[k]!
    else if (op === 'stdvar') out.values[k] = squares[k]! / seen[k]!
    else if (op === 'stddev') out.values[k] = Math.sqrt(squares[k]! / seen[k]!)
  }
  return out
}

/** Each step keeps its `k` largest (smallest) members; NaN comes last either way. */
function pick(members: readonly StepSeries[], k: number, isTop: boolean, count: number): StepSeries[] {
  const out = members.map(({ labels }) => emptySeries(labels, count))
  let firstOrder: number[] | undefined
  for (let step = 0; step < count; step++) {
    const there = members.map((_, i) => i).filter((i) => members[i]!.present[step] === 1)
    there.sort((a, b) => order(members[a]!.values[step]!, members[b]!.values[step]!, isTop))
    firstOrder ??= there
    for (const i of there.slice(0, k)) {
      out[i]!.present[step] = 1
      out[i]!.values[step] = members[i]!.values[step]!
    }
  }
  const ranked = count === 1 && firstOrder !== undefined ? firstOrder.map((i) => out[i]!) : out
  return ranked.filter(hasAny)
}

function order(a: number, b: number, isDescending: boolean): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : -1
  return isDescending ? compare(b, a) : compare(a, b)
}

/** Without a difference: infinities have none. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** By the value of the first step; there is one step only in an instant query, and no order in a range query. */
function sorted(series: readonly StepSeries[], op: 'sort' | 'sort_desc'): StepSeries[] {
  return series.toSorted((a, b) => order(a.values[0]!, b.values[0]!, op === 'sort_desc'))
}
