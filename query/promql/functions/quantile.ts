/**
 * The q-quantile of some values by linear interpolation between the nearest ranks.
 *
 * @param values any order, read only
 * @returns NaN without values or for q = NaN, −Inf below q = 0, +Inf above 1. Cost: a sort.
 * Source: Prometheus `quantile`; NaN values count as the smallest.
 */
export function quantileOf(q: number, values: Float64Array): number {
  const n = values.length
  if (n === 0 || Number.isNaN(q)) return NaN
  if (q < 0) return -Infinity
  if (q > 1) return Infinity
  const sorted = values.slice().sort(ascendingNanFirst)
  const rank = q * (n - 1)
  const lower = Math.max(0, Math.floor(rank))
  const upper = Math.min(n - 1, lower + 1)
  const weight = rank - Math.floor(rank)
  return sorted[lower]! * (1 - weight) + sorted[upper]! * weight
}

function ascendingNanFirst(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1
  if (Number.isNaN(b)) return 1
  return a - b || (a < b ? -1 : a > b ? 1 : 0)
}
