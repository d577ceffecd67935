/** `sum`, `count`, `min`, `max` in two halves: one beside the data, one where the parts meet. */
import { METRIC_NAME, labelsKeep, labelsKey, labelsWithout, type Labels } from '../../../lib/model/index.ts'
import { KahanSum } from '../kahan.ts'
import type { RangeRequest, StepSeries } from '../storage.ts'

export type AggregateSpec = NonNullable<RangeRequest['aggregate']>

interface Group {
  readonly labels: Labels
  readonly values: Float64Array
  readonly present: Uint8Array
  readonly compensation: Float64Array
}

const OPERATIONS = new Set(['sum', 'count', 'min', 'max'])

/**
 * Series folded by their grouping labels.
 *
 * @param dropName remove the metric name before grouping (`rangeFunctionDropsName`)
 * @returns undefined where the operation is none of the four
 * Source: Prometheus' aggregations; NaN loses against any number in min and max.
 */
export function partialAggregate(series: readonly StepSeries[], spec: AggregateSpec, dropName: boolean): StepSeries[] | undefined {
  if (!OPERATIONS.has(spec.op)) return undefined
  return fold(series, spec.op, groupLabelsOf(spec, dropName), spec.op === 'count')
}

/** Partial results of several holders, or of merges of them, folded into one answer. */
export function mergePartials(parts: readonly (readonly StepSeries[])[], spec: AggregateSpec): StepSeries[] {
  return fold(parts.flat(), spec.op === 'count' ? 'sum' : spec.op, (labels) => labels, false)
}

function groupLabelsOf(spec: AggregateSpec, dropName: boolean): (labels: Labels) => Labels {
  if (spec.without) {
    const names = new Set([...spec.grouping, METRIC_NAME])
    return (labels) => labelsWithout(labels, names)
  }
  const names = new Set(dropName ? spec.grouping.filter((name) => name !== METRIC_NAME) : spec.grouping)
  return (labels) => labelsKeep(labels, names)
}

function fold(series: readonly StepSeries[], op: string, groupLabels: (labels: Labels) => Labels, countOnly: boolean): StepSeries[] {
  const groups = new Map<string, Group>()
  const kahan = new KahanSum()
  for (const one of series) {
    const labels = groupLabels(one.labels)
    const key = labelsKey(labels)
    const count = one.values.length
    let group = groups.get(key)
    if (group === undefined) {
      group = {
        labels,
        values: new Float64Array(count),
        present: new Uint8Array(count),
        compensation: new Float64Array(count),
      }
      groups.set(key, group)
    }
    for (let k = 0; k < count; k++) {
      if (one.present[k] === 0) continue
      foldOne(group, k, countOnly ? 1 : one.values[k]!, op, kahan)
      group.present[k] = 1
    }
  }
  return [...groups.values()].map(({ labels, values, present, compensation }) => {
    if (op === 'min' || op === 'max') return { labels, present, values }
    return { labels, present, values: values.map((value, k) => value + compensation[k]!) }
  })
}

function foldOne(group: Group, k: number, value: number, op: string, kahan: KahanSum): void {
  const { values, compensation, present } = group
  if (op === 'min' || op === 'max') {
    const current = values[k]!
    if (present[k] === 0 || Number.isNaN(current) || (op === 'min' ? value < current : value > current)) values[k] = value
    return
  }
  kahan.reset(values[k]!, compensation[k]!)
  kahan.add(value)
  values[k] = kahan.sum
  compensation[k] = kahan.compensation
}
