/** The histogram_* functions: over native histograms, and over classic buckets (`le`) where these have them too. */
import {
  METRIC_NAME,
  labelValue,
  labelsKey,
  labelsWith,
  labelsWithout,
  type FloatHistogram,
  type Labels,
} from '../../../lib/model/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { remarks } from '../annotations.ts'
import { ColumnBuilder, droppedLabels, type Column, type Value } from '../columns.ts'
import { formatGeneral, parseGoNumber } from '../go-float.ts'
import { histogramFraction, histogramQuantile, histogramVariance, type Estimate } from '../histogram/quantile.ts'
import { classicFraction, classicQuantile, type ClassicBucket } from './classic-histogram.ts'
import {
  rebuild,
  scalarArgument,
  stringArgument,
  vectorArgument,
  vectorOf,
  type CallContext,
  type ValueFunction,
} from './value-function.ts'

function property(read: (histogram: FloatHistogram) => number): ValueFunction {
  return (context) =>
    rebuild(context, vectorArgument(context, 0), (column, k, out) => {
      const histogram = column.histograms?.[k]
      if (histogram !== undefined) out.set(k, read(histogram))
    })
}

/** Classic buckets of one histogram: columns that differ in `le` only. */
interface ClassicGroup {
  readonly labels: Labels
  readonly metric: string
  readonly buckets: { readonly bound: number; readonly column: Column }[]
}

interface Estimators {
  readonly native: (histogram: FloatHistogram, step: number) => Estimate
  readonly classic: (buckets: ClassicBucket[], step: number) => { value: number; forcedMonotonic: boolean }
  readonly nanRemark: (metric: string, skewed: boolean) => ReturnType<typeof remarks.nanFraction>
  /** A label that is set on every result. */
  readonly extra?: readonly [name: string, value: string]
}

const LE: ReadonlySet<string> = new Set(['le'])
const LE_AND_NAME: ReadonlySet<string> = new Set(['le', METRIC_NAME])

/** The estimate of every native histogram and every group of classic buckets. */
function estimate(context: CallContext, index: number, estimators: Estimators): Column[] {
  const columns = vectorArgument(context, index)
  const at = context.call.args[index]!.start
  const { groups, mixed } = groupBuckets(context, columns, at)
  const finish = (builder: ColumnBuilder, labels: Labels): Column => {
    const named = droppedLabels(labels, context.policy)
    return builder.build(estimators.extra === undefined ? named : labelsWith(named, ...estimators.extra), true)
  }
  const out: Column[] = []
  for (const column of columns) {
    if (column.histograms === undefined) continue
    const builder = new ColumnBuilder(context.grid.count)
    const metric = labelValue(column.labels, METRIC_NAME)
    const group = mixed.get(column)
    for (let k = 0; k < context.grid.count; k++) {
      const histogram = column.histograms[k]
      if (column.present[k] === 0 || histogram === undefined) continue
      if (group !== undefined && group.buckets.some((bucket) => hasFloat(bucket.column, k))) {
        context.note(remarks.mixedClassicNative(metric), at)
        continue
      }
      const { value, nan } = estimators.native(histogram, k)
      if (nan !== undefined) context.note(estimators.nanRemark(metric, nan === 'skewed'), at)
      builder.set(k, value)
    }
    if (builder.used) out.push(finish(builder, column.labels))
  }
  for (const group of groups) {
    const builder = estimateClassic(context, group, mixed, estimators, at)
    if (builder.used) out.push(finish(builder, group.labels))
  }
  return out
}

function hasFloat(column: Column, k: number): boolean {
  return column.present[k] === 1 && column.histograms?.[k] === undefined
}

function estimateClassic(
  context: CallContext,
  group: ClassicGroup,
  mixed: ReadonlyMap<Column, ClassicGroup>,
  estimators: Estimators,
  at: number,
): ColumnBuilder {
  const builder = new ColumnBuilder(context.grid.count)
  const natives = [...mixed].filter(([, other]) => other === group).map(([column]) => column)
  for (let k = 0; k < context.grid.count; k++) {
    if (natives.some((column) => column.present[k] === 1 && column.histograms?.[k] !== undefined)) continue
    const buckets: ClassicBucket[] = []
    for (const { bound, column } of group.buckets) if (hasFloat(column, k)) buckets.push({ bound, count: column.values[k]! })
    if (buckets.length === 0) continue
    const { value, forcedMonotonic } = estimators.classic(buckets, k)
    if (forcedMonotonic) context.note(remarks.monotonicity(group.metric), at)
    builder.set(k, value)
  }
  return builder
}

/** Columns with `le` by their other labels, and which native columns have such buckets beside them. */
function groupBuckets(
  context: CallContext,
  columns: readonly Column[],
  at: number,
): { groups: ClassicGroup[]; mixed: Map<Column, ClassicGroup> } {
  const groups = new Map<string, ClassicGroup>()
  for (const column of columns) {
    const hasFloats = column.present.some((flag, k) => flag === 1 && column.histograms?.[k] === undefined)
    if (!hasFloats) continue
    const le = labelValue(column.labels, 'le')
    const bound = le === '' ? undefined : parseGoNumber(le.replace(/^\+/, ''))
    const signed = bound === undefined && le.startsWith('-') ? negative(le) : bound
    const metric = labelValue(column.labels, METRIC_NAME)
    if (typeof signed !== 'number') {
      context.note(remarks.badBucketLabel(le, metric), at)
      continue
    }
    const labels = labelsWithout(column.labels, LE)
    const key = labelsKey(labels)
    const group = groups.get(key) ?? { labels, metric, buckets: [] }
    groups.set(key, group)
    group.buckets.push({ bound: signed, column })
  }
  const byLabels = new Map<string, ClassicGroup>()
  for (const group of groups.values()) byLabels.set(labelsKey(labelsWithout(group.labels, LE_AND_NAME)) + nameKey(group.metric), group)
  const mixed = new Map<Column, ClassicGroup>()
  for (const column of columns) {
    if (column.histograms === undefined) continue
    const key = labelsKey(labelsWithout(column.labels, LE_AND_NAME)) + nameKey(labelValue(column.labels, METRIC_NAME))
    const group = byLabels.get(key)
    if (group !== undefined) mixed.set(column, group)
  }
  return { groups: [...groups.values()], mixed }
}

function nameKey(metric: string): string {
  return `\udc00${metric}`
}

function negative(text: string): number | undefined {
  const value = parseGoNumber(text.slice(1))
  return typeof value === 'number' ? -value : undefined
}

function warnQuantile(context: CallContext, q: Float64Array, offset: number): void {
  for (const value of q) {
    if (!(value >= 0 && value <= 1)) context.note(remarks.invalidQuantile(formatGeneral(value)), offset)
  }
}

function quantileEstimators(q: Float64Array): Estimators {
  return {
    native: (histogram, k) => histogramQuantile(q[k]!, histogram),
    classic: (buckets, k) => classicQuantile(q[k]!, buckets),
    nanRemark: (metric, skewed) => remarks.nanQuantile(metric, skewed),
  }
}

function quantile(context: CallContext): Value {
  const q = scalarArgument(context, 0)!
  warnQuantile(context, q, context.call.args[0]!.start)
  return vectorOf(estimate(context, 1, quantileEstimators(q)))
}

/** histogram_quantiles(v, "label", q…): one result a quantile, told apart by the label. */
function quantiles(context: CallContext): Value {
  const label = stringArgument(context, 1)
  const out: Column[] = []
  const seen = new Set<string>()
  for (let i = 2; i < context.args.length; i++) {
    const q = scalarArgument(context, i)!
    warnQuantile(context, q, context.call.args[i]!.start)
    const shown = openMetricsFloat(q[0]!)
    if (seen.has(shown)) throw new SightlineError('execution', 'vector cannot contain metrics with the same labelset')
    seen.add(shown)
    out.push(...estimate(context, 0, { ...quantileEstimators(q), extra: [label, shown] }))
  }
  return vectorOf(out)
}

/** A number as a label value: always with a point or an exponent. */
function openMetricsFloat(value: number): string {
  const text = formatGeneral(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

function fraction(context: CallContext): Value {
  const lower = scalarArgument(context, 0)!
  const upper = scalarArgument(context, 1)!
  const estimators: Estimators = {
    native: (histogram, k) => histogramFraction(lower[k]!, upper[k]!, histogram),
    classic: (buckets, k) => ({ value: classicFraction(lower[k]!, upper[k]!, buckets), forcedMonotonic: false }),
    nanRemark: (metric) => remarks.nanFraction(metric),
  }
  return vectorOf(estimate(context, 2, estimators))
}

export const HISTOGRAM_FUNCTIONS: Readonly<Record<string, ValueFunction>> = {
  histogram_count: property((histogram) => histogram.count),
  histogram_sum: property((histogram) => histogram.sum),
  histogram_avg: property((histogram) => histogram.sum / histogram.count),
  histogram_stdvar: property(histogramVariance),
  histogram_stddev: property((histogram) => Math.sqrt(histogramVariance(histogram))),
  histogram_quantile: quantile,
  histogram_quantiles: quantiles,
  histogram_fraction: fraction,
}
