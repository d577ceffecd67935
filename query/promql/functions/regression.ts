/** deriv, predict_linear, double_exponential_smoothing: lines and curves through a window's floats. */
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { KahanSum } from '../kahan.ts'
import { noteIgnored } from './over-time.ts'
import { formatGeneral } from '../go-float.ts'
import type { RangeFunction } from './range-function.ts'

/**
 * Least squares through rows `from` to before `to`; times relative to `interceptMs`, in seconds.
 * Source: Prometheus `linearRegression`: a constant series is answered without arithmetic, infinities by NaN.
 */
export function linearRegression(
  times: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
  interceptMs: number,
): { slope: number; intercept: number } {
  const initial = values[from]!
  let constant = true
  let n = 0
  const sumX = new KahanSum()
  const sumY = new KahanSum()
  const sumXY = new KahanSum()
  const sumX2 = new KahanSum()
  for (let i = from; i < to; i++) {
    const y = values[i]!
    if (constant && i > from && y !== initial) constant = false
    n++
    const x = (times[i]! - interceptMs) / 1000
    sumX.add(x)
    sumY.add(y)
    sumXY.add(x * y)
    sumX2.add(x * x)
  }
  if (constant) return initial === Infinity || initial === -Infinity ? { slope: NaN, intercept: NaN } : { slope: 0, intercept: initial }
  const x = sumX.sum + sumX.compensation
  const y = sumY.sum + sumY.compensation
  const covariance = sumXY.sum + sumXY.compensation - (x * y) / n
  const variance = sumX2.sum + sumX2.compensation - (x * x) / n
  const slope = covariance / variance
  return { slope, intercept: y / n - (slope * x) / n }
}

const deriv: RangeFunction = {
  run(windows, out, environment) {
    const { series, from, to, count } = windows
    for (let k = 0; k < count; k++) {
      const first = from[k]!
      if (to[k]! > first) noteIgnored(windows, k, environment)
      if (to[k]! - first < 2) continue
      out.set(k, linearRegression(series.times, series.values, first, to[k]!, series.times[first]!).slope)
    }
  },
}

const predictLinear: RangeFunction = {
  run(windows, out, environment) {
    const { series, from, to, count, evalTimes } = windows
    for (let k = 0; k < count; k++) {
      const first = from[k]!
      if (to[k]! > first) noteIgnored(windows, k, environment)
      if (to[k]! - first < 2) continue
      const { slope, intercept } = linearRegression(series.times, series.values, first, to[k]!, evalTimes[k]!)
      out.set(k, slope * environment.params[0]![k]! + intercept)
    }
  },
}

const smoothing: RangeFunction = {
  run(windows, out, environment) {
    const { series, from, to, count } = windows
    const [level, trend] = environment.params
    for (let k = 0; k < count; k++) {
      checkFactor('smoothing', level![k]!)
      checkFactor('trend', trend![k]!)
      if (to[k]! > from[k]!) noteIgnored(windows, k, environment)
      if (to[k]! - from[k]! < 2) continue
      out.set(k, smooth(series.values, from[k]!, to[k]!, level![k]!, trend![k]!))
    }
  },
}

function smooth(values: Float64Array, from: number, to: number, levelFactor: number, trendFactor: number): number {
  let before = 0
  let level = values[from]!
  let trend = values[from + 1]! - values[from]!
  for (let i = from + 1; i < to; i++) {
    const scaled = levelFactor * values[i]!
    if (i > from + 1) trend = trendFactor * (level - before) + (1 - trendFactor) * trend
    before = level
    level = scaled + (1 - levelFactor) * (level + trend)
  }
  return level
}

function checkFactor(name: string, value: number): void {
  if (!(value > 0 && value < 1)) {
    throw new SightlineError(
      'execution',
      `invalid ${name} factor. Expected: 0 < ${name === 'smoothing' ? 'sf' : 'tf'} < 1, got: ${formatGeneral(value)}`,
    )
  }
}

export const REGRESSION_FUNCTIONS: Readonly<Record<string, RangeFunction>> = {
  deriv,
  predict_linear: predictLinear,
  double_exponential_smoothing: smoothing,
}
