import { CELL_HISTOGRAM, METRIC_NAME, labelValue, type SeriesSamples } from '../../../lib/model/index.ts'
import type { Remark } from '../annotations.ts'
import { ColumnBuilder } from '../columns.ts'
import type { RangeRequest, StepSeries } from '../storage.ts'
import { lookbackInto } from './lookback.ts'
import { WindowRows, splitSamples } from './range-function.ts'
import { RANGE_FUNCTIONS } from './registry.ts'

export interface RangeEvaluation {
  /** Labels as they came, the metric name included; series without any sample are left out. */
  readonly series: readonly StepSeries[]
  /** Each once. */
  readonly remarks: readonly Remark[]
}

const WITH_ARGUMENTS = new Set(['predict_linear', 'quantile_over_time', 'double_exponential_smoothing'])

/** Whether a function's result is without the metric name. */
export function rangeFunctionDropsName(func: string): boolean {
  return func !== '' && RANGE_FUNCTIONS.get(func)?.keepsName !== true
}

/**
 * One range function over every step of the request for each series.
 *
 * @param func name of the function; '' for an instant selector with look-back
 * @param series read only, not kept
 * @returns undefined where the evaluator has to do it (see the front door)
 */
export function evaluateRangeFunction(func: string, series: readonly SeriesSamples[], request: RangeRequest): RangeEvaluation | undefined {
  const kernel = RANGE_FUNCTIONS.get(func)
  if ((func !== '' && kernel === undefined) || WITH_ARGUMENTS.has(func)) return undefined
  if (series.some((one) => one.cells?.includes(CELL_HISTOGRAM) === true)) return undefined
  const count = request.stepMs <= 0 ? 1 : Math.floor((request.endMs - request.startMs) / request.stepMs) + 1
  const evalTimes = Float64Array.from({ length: count }, (_, k) => request.startMs + k * request.stepMs)
  const ends = evalTimes.map((time) => time - request.offsetMs)
  const remarks = new Map<string, Remark>()
  const environment = { params: [], note: (remark: Remark) => void remarks.set(remark.text, remark) }
  const rows = new WindowRows(ends, request.rangeMs)
  const out: StepSeries[] = []
  for (const one of series) {
    const builder = new ColumnBuilder(count)
    if (kernel === undefined) lookbackInto(one, ends, request.lookbackMs, builder, 'value')
    else {
      const split = splitSamples(one)
      const metric = labelValue(one.labels, METRIC_NAME)
      kernel.run({ series: split, metric, count, ...rows.of(split), ends, evalTimes, rangeMs: request.rangeMs }, builder, environment)
    }
    if (builder.used) out.push({ labels: one.labels, values: builder.values, present: builder.present })
  }
  return { series: out, remarks: [...remarks.values()] }
}
