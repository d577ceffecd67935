/** One output series: a value a step where present. Its arrays are its own. */
import type { Labels } from '../../../lib/model/index.ts'

export interface StepSeries {
  readonly labels: Labels
  readonly values: Float64Array
  readonly present: Uint8Array
}

export function emptySeries(labels: Labels, count: number): StepSeries {
  return { labels, values: new Float64Array(count), present: new Uint8Array(count) }
}

export function hasAny({ present }: StepSeries): boolean {
  return present.includes(1)
}
