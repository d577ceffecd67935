/**
 * What expressions evaluate to: columns over the steps of a grid. A vector is a list of columns; a scalar is one.
 */
import { METRIC_NAME, hasLabel, labelsKey, labelsWithout, type FloatHistogram, type Labels } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'

/** Evenly spaced steps: step k is at `startMs + k * stepMs`. */
export interface Grid {
  readonly startMs: number
  readonly stepMs: number
  readonly count: number
}

export function gridOf(startMs: number, endMs: number, stepMs: number): Grid {
  if (endMs < startMs) return { startMs, stepMs, count: 0 }
  return { startMs, stepMs, count: stepMs <= 0 ? 1 : Math.floor((endMs - startMs) / stepMs) + 1 }
}

export function gridEnd(grid: Grid): number {
  return grid.startMs + (grid.count - 1) * grid.stepMs
}

/**
 * One series of a vector. Step k has a sample where `present[k]` is 1: the histogram at k where there is one, else
 * `values[k]`. Columns are never changed once they are handed on.
 */
export interface Column {
  readonly labels: Labels
  readonly values: Float64Array
  readonly present: Uint8Array
  readonly histograms?: readonly (FloatHistogram | undefined)[]
  /** The metric name is to be removed at the end (delayed name removal). */
  readonly dropName: boolean
}

export type Value =
  | { readonly type: 'scalar'; readonly values: Float64Array }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'vector'; readonly columns: readonly Column[] }

/** A column while it is filled. */
export class ColumnBuilder {
  readonly values: Float64Array
  readonly present: Uint8Array
  histograms: (FloatHistogram | undefined)[] | undefined
  /** Whether anything was set. */
  used = false

  constructor(count: number) {
    this.values = new Float64Array(count)
    this.present = new Uint8Array(count)
  }

  set(step: number, value: number): void {
    this.values[step] = value
    this.present[step] = 1
    this.used = true
  }

  setHistogram(step: number, histogram: FloatHistogram): void {
    this.histograms ??= Array.from({ length: this.values.length })
    this.histograms[step] = histogram
    this.present[step] = 1
    this.used = true
  }

  /** Copies a sample of another column. */
  copy(step: number, from: Column): void {
    const histogram = from.histograms?.[step]
    if (histogram === undefined) this.set(step, from.values[step]!)
    else this.setHistogram(step, histogram)
  }

  build(labels: Labels, dropName = false): Column {
    const { values, present, histograms } = this
    return histograms === undefined ? { labels, values, present, dropName } : { labels, values, present, histograms, dropName }
  }
}

export function isEmptyColumn(column: Column): boolean {
  return column.present.indexOf(1) === -1
}

export function histogramAt(column: Column, step: number): FloatHistogram | undefined {
  return column.histograms?.[step]
}

/** Labels that name a metric rather than describe a series. */
const NAME_ONLY: ReadonlySet<string> = new Set([METRIC_NAME])
const NAME_TYPE_UNIT: ReadonlySet<string> = new Set([METRIC_NAME, '__type__', '__unit__'])

/** How metric names are dropped: at once, or flagged and dropped at the end; with `__type__` and `__unit__` or without. */
export interface NamePolicy {
  readonly delayed: boolean
  readonly metadataLabels: boolean
}

export function withoutName(labels: Labels, policy: NamePolicy): Labels {
  return labelsWithout(labels, policy.metadataLabels ? NAME_TYPE_UNIT : NAME_ONLY)
}

/** The labels an operation that drops the metric name gives its result. */
export function droppedLabels(labels: Labels, policy: NamePolicy): Labels {
  return policy.delayed ? labels : withoutName(labels, policy)
}

export function hasName(labels: Labels): boolean {
  return hasLabel(labels, METRIC_NAME)
}

export function duplicateLabelset(): SightlineError {
  return new SightlineError('execution', 'vector cannot contain metrics with the same labelset')
}

/**
 * Columns of equal labels joined into one.
 * @throws execution where two of them have a sample at the same step
 */
export function mergeDuplicates(columns: readonly Column[]): readonly Column[] {
  if (columns.length < 2) return columns
  const byKey = new Map<string, number>()
  const out: Column[] = []
  const merged = new Map<number, ColumnBuilder>()
  for (const column of columns) {
    const key = labelsKey(column.labels)
    const at = byKey.get(key)
    if (at === undefined) {
      byKey.set(key, out.length)
      out.push(column)
      continue
    }
    let builder = merged.get(at)
    if (builder === undefined) {
      builder = new ColumnBuilder(column.values.length)
      copyInto(builder, out[at]!)
      merged.set(at, builder)
    }
    copyInto(builder, column)
    out[at] = builder.build(column.labels, out[at]!.dropName || column.dropName)
  }
  return out
}

function copyInto(builder: ColumnBuilder, column: Column): void {
  for (let k = 0; k < column.present.length; k++) {
    if (column.present[k] === 0) continue
    if (builder.present[k] === 1) throw duplicateLabelset()
    builder.copy(k, column)
  }
}

/** @throws execution where two columns have equal labels */
export function assertUnique(columns: readonly Column[]): void {
  const seen = new Set<string>()
  for (const column of columns) {
    const key = labelsKey(column.labels)
    if (seen.has(key)) throw duplicateLabelset()
    seen.add(key)
  }
}
