/**
 * Per-second increase of a counter over a window, resets added back, extrapolated to the window's edges but never past where the counter was zero.
 * One sample gives 0. Source: Loki's `extrapolatedRate` (Prometheus' rule, with the threshold applied before the zero point).
 */
export function counterRate(times: Float64Array, values: Float64Array, startMs: number, endMs: number): number {
  if (times.length < 2) return 0
  const last = times.length - 1
  let increase = values[last]! - values[0]!
  for (let i = 1; i <= last; i++) if (values[i]! < values[i - 1]!) increase += values[i - 1]!
  const sampled = (times[last]! - times[0]!) / 1000
  if (sampled === 0) return 0
  let toStart = (times[0]! - startMs) / 1000
  let toEnd = (endMs - times[last]!) / 1000
  const average = sampled / last
  const threshold = average * 1.1
  if (toStart >= threshold) toStart = average / 2
  if (increase > 0 && values[0]! >= 0) toStart = Math.min(toStart, sampled * (values[0]! / increase))
  if (toEnd >= threshold) toEnd = average / 2
  return (increase * ((sampled + toStart + toEnd) / sampled)) / ((endMs - startMs) / 1000)
}
