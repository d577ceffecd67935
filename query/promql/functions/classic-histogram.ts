/** Quantiles and fractions of classic histograms: cumulative counts by upper bound. Source: Prometheus `promql/quantile.go`. */

export interface ClassicBucket {
  readonly bound: number
  count: number
}

/** Relative differences below this are float noise, not a fall. */
const SMALL_DELTA = 1e-12

/**
 * The q-quantile by linear interpolation.
 *
 * @param buckets any order; changed
 * @returns NaN without a +Inf bucket, with fewer than two buckets or without observations
 */
export function classicQuantile(q: number, buckets: ClassicBucket[]): { value: number; forcedMonotonic: boolean } {
  const plain = (value: number): { value: number; forcedMonotonic: boolean } => ({ value, forcedMonotonic: false })
  if (Number.isNaN(q)) return plain(NaN)
  if (q < 0) return plain(-Infinity)
  if (q > 1) return plain(Infinity)
  const prepared = prepare(buckets)
  if (prepared === undefined) return plain(NaN)
  const { sorted, forcedMonotonic } = prepared
  const result = (value: number): { value: number; forcedMonotonic: boolean } => ({ value, forcedMonotonic })
  const last = sorted.length - 1
  const total = sorted[last]!.count
  if (last < 1 || total === 0) return result(NaN)
  let rank = q * total
  let b = 0
  while (b < last && !(sorted[b]!.count >= rank)) b++
  if (b === last) return result(sorted[last - 1]!.bound)
  if (b === 0 && sorted[0]!.bound <= 0) return result(sorted[0]!.bound)
  let start = 0
  let count = sorted[b]!.count
  if (b > 0) {
    start = sorted[b - 1]!.bound
    count -= sorted[b - 1]!.count
    rank -= sorted[b - 1]!.count
  }
  return result(start + (sorted[b]!.bound - start) * (rank / count))
}

/** The share of observations between two values; NaN as `classicQuantile`. */
export function classicFraction(lower: number, upper: number, buckets: ClassicBucket[]): number {
  const prepared = prepare(buckets)
  if (prepared === undefined) return NaN
  const { sorted } = prepared
  const total = sorted.at(-1)!.count
  if (sorted.length < 2 || total === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN
  if (lower >= upper) return 0
  return (Math.min(rankOf(lower, sorted), total) - Math.min(rankOf(upper, sorted), total)) / -total
}

function rankOf(value: number, sorted: readonly ClassicBucket[]): number {
  let below = 0
  let start = sorted[0]!.bound > 0 ? 0 : -Infinity
  for (const { bound, count } of sorted) {
    if (start >= value) return below
    if (bound > value) {
      if (start === -Infinity) return count
      return below + (count - below) * ((value - start) / (bound - start))
    }
    below = count
    start = bound
  }
  return below
}

/** Sorted by bound, equal bounds joined, counts made ascending; undefined without a +Inf bucket. */
function prepare(buckets: ClassicBucket[]): { sorted: ClassicBucket[]; forcedMonotonic: boolean } | undefined {
  buckets.sort((a, b) => (a.bound < b.bound ? -1 : a.bound > b.bound ? 1 : 0))
  if (buckets.at(-1)?.bound !== Infinity) return undefined
  const sorted: ClassicBucket[] = []
  for (const bucket of buckets) {
    const last = sorted.at(-1)
    if (last?.bound === bucket.bound) last.count += bucket.count
    else sorted.push(bucket)
  }
  let forcedMonotonic = false
  let previous = sorted[0]!.count
  for (let i = 1; i < sorted.length; i++) {
    const current = sorted[i]!.count
    if (current === previous) continue
    if (almostEqual(previous, current)) sorted[i]!.count = previous
    else if (current < previous) {
      sorted[i]!.count = previous
      forcedMonotonic = true
    } else previous = current
  }
  return { sorted, forcedMonotonic }
}

function almostEqual(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true
  if (a === b) return true
  const sum = Math.abs(a) + Math.abs(b)
  const difference = Math.abs(a - b)
  if (a === 0 || b === 0 || sum < Number.MIN_VALUE) return difference < SMALL_DELTA * Number.MIN_VALUE
  return difference / Math.min(sum, Number.MAX_VALUE) < SMALL_DELTA
}
