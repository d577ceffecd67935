/** The values of a range aggregation from its merged partial results. */
import { labelsOf, type Labels } from '../../../lib/model/index.ts'
import type { RangeAggregation } from '../ast.ts'
import type { Grid, SampleColumns } from '../source.ts'
import { widthOf } from '../window-state.ts'
import { counterRate } from './counter.ts'
import { emptySeries, type StepSeries } from './series.ts'

export function finishSamples(node: RangeAggregation, columns: SampleColumns, grid: Grid): StepSeries[] {
  if (node.op === 'absent_over_time') return absent(node, columns, grid)
  return columns.labels.map((labels, i) =>
    columns.kind === 'raw' ? fromRaw(node, labels, columns, i, grid) : fromState(node, labels, columns, i, grid),
  )
}

function fromState(node: RangeAggregation, labels: Labels, { kind, state }: SampleColumns, i: number, { count }: Grid): StepSeries {
  const out = emptySeries(labels, count)
  const base = i * widthOf(kind) * count
  const seconds = node.rangeMs / 1000
  for (let k = 0; k < count; k++) {
    const n = state[base + k]!
    if (n === 0) continue
    const second = state[base + count + k]!
    out.present[k] = 1
    out.values[k] = valueOf(node, n, second, state[base + 2 * count + k]!, seconds)
  }
  return out
}

function valueOf({ op, unwrap }: RangeAggregation, count: number, second: number, third: number, seconds: number): number {
  switch (op) {
    case 'rate':
      return (unwrap === undefined ? count : second) / seconds
    case 'bytes_rate':
      return second / seconds
    case 'bytes_over_time':
    case 'sum_over_time':
    case 'min_over_time':
    case 'max_over_time':
      return second
    case 'avg_over_time':
      return second / count
    case 'stdvar_over_time':
      return third / count
    case 'stddev_over_time':
      return Math.sqrt(third / count)
    case 'first_over_time':
    case 'last_over_time':
      return third
    default:
      return count
  }
}

/** Present where no line is; its labels are what the selector asks for by equality. */
function absent(node: RangeAggregation, { labels, state }: SampleColumns, { count }: Grid): StepSeries[] {
  const names = new Map<string, string>()
  const twice = new Set<string>()
  for (const { name, op, value } of node.log.matchers) {
    if (names.has(name)) twice.add(name)
    if (op === '=') names.set(name, value)
  }
  const out = emptySeries(labelsOf([...names].filter(([name]) => !twice.has(name))), count)
  for (let k = 0; k < count; k++) {
    if (labels.some((_, i) => state[i * count + k]! > 0)) continue
    out.present[k] = 1
    out.values[k] = 1
  }
  return [out]
}

function fromRaw(node: RangeAggregation, labels: Labels, columns: SampleColumns, i: number, grid: Grid): StepSeries {
  const out = emptySeries(labels, grid.count)
  const from = columns.rawStart[i]!
  const times = columns.rawTimes.subarray(from, columns.rawStart[i + 1])
  const order = Uint32Array.from(times, (_, at) => at).sort((a, b) => times[a]! - times[b]!)
  const sortedTimes = Float64Array.from(order, (at) => times[at]!)
  const sortedValues = Float64Array.from(order, (at) => columns.rawValues[from + at]!)
  let first = 0
  let end = 0
  for (let k = 0; k < grid.count; k++) {
    const endMs = grid.startMs + k * grid.stepMs - node.offsetMs
    while (end < sortedTimes.length && sortedTimes[end]! <= endMs) end++
    while (first < end && sortedTimes[first]! <= endMs - node.rangeMs) first++
    if (first >= end) continue
    out.present[k] = 1
    const values = sortedValues.subarray(first, end)
    out.values[k] =
      node.op === 'rate_counter'
        ? counterRate(sortedTimes.subarray(first, end), values, endMs - node.rangeMs, endMs)
        : quantile(node.parameter!, values)
  }
  return out
}

/** Linear between ranks; outside 0 … 1 an infinity. Source: Prometheus `quantile`. */
function quantile(q: number, values: Float64Array): number {
  if (values.length === 0 || Number.isNaN(q)) return Number.NaN
  if (q < 0) return -Infinity
  if (q > 1) return Infinity
  // NaN is smaller than every number here.
  const sorted = values.toSorted((a, b) => (Number.isNaN(a) ? (Number.isNaN(b) ? 0 : -1) : Number.isNaN(b) ? 1 : a - b))
  const rank = q * (sorted.length - 1)
  const lower = Math.max(0, Math.floor(rank))
  const upper = Math.min(sorted.length - 1, lower + 1)
  const weight = rank - Math.floor(rank)
  return sorted[lower]! * (1 - weight) + sorted[upper]! * weight
}
