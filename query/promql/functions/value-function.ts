/** Functions over evaluated arguments: vectors, scalars and strings, all steps at once. */
import type { Call } from '../ast.ts'
import type { Remark } from '../annotations.ts'
import { ColumnBuilder, droppedLabels, isEmptyColumn, type Column, type Grid, type NamePolicy, type Value } from '../columns.ts'

export interface CallContext {
  readonly call: Call
  readonly args: readonly Value[]
  readonly grid: Grid
  readonly policy: NamePolicy
  /** A range query, not an instant one. */
  readonly isRange: boolean
  /** @param offset place in the query */
  readonly note: (remark: Remark, offset: number) => void
}

export type ValueFunction = (context: CallContext) => Value

export function vectorArgument(context: CallContext, index: number): readonly Column[] {
  const value = context.args[index]
  return value?.type === 'vector' ? value.columns : []
}

export function scalarArgument(context: CallContext, index: number): Float64Array | undefined {
  const value = context.args[index]
  return value?.type === 'scalar' ? value.values : undefined
}

export function stringArgument(context: CallContext, index: number): string {
  const value = context.args[index]
  return value?.type === 'string' ? value.value : ''
}

export function vectorOf(columns: readonly Column[]): Value {
  return { type: 'vector', columns }
}

/** A column of one value a step without labels. */
export function plainColumn(values: Float64Array): Column {
  return { labels: [], values, present: new Uint8Array(values.length).fill(1), dropName: false }
}

/**
 * Each float of each column through `apply`; histograms are left out, and columns with nothing left. The metric name goes.
 */
export function mapFloats(context: CallContext, columns: readonly Column[], apply: (value: number, step: number) => number): Value {
  const out: Column[] = []
  for (const column of columns) {
    const { values, present, histograms } = column
    const mapped = new Float64Array(values.length)
    let kept = present
    if (histograms !== undefined) kept = present.map((flag, k) => (histograms[k] === undefined ? flag : 0))
    for (let k = 0; k < mapped.length; k++) if (kept[k] === 1) mapped[k] = apply(values[k]!, k)
    const result = { labels: droppedLabels(column.labels, context.policy), values: mapped, present: kept, dropName: true }
    if (histograms === undefined || !isEmptyColumn(result)) out.push(result)
  }
  return vectorOf(out)
}

/** Each sample of each column through `write`, which may set it in the builder or leave it out. The metric name goes. */
export function rebuild(
  context: CallContext,
  columns: readonly Column[],
  write: (column: Column, step: number, out: ColumnBuilder) => void,
): Value {
  const out: Column[] = []
  for (const column of columns) {
    const builder = new ColumnBuilder(column.values.length)
    for (let k = 0; k < column.present.length; k++) if (column.present[k] === 1) write(column, k, builder)
    if (builder.used) out.push(builder.build(droppedLabels(column.labels, context.policy), true))
  }
  return vectorOf(out)
}
