/**
 * Partial results of range aggregations: what is kept for each step's window so that answers of several partitions add up to one.
 *
 *   kind       cells of a step          merged by
 *   count      lines                    adding
 *   sum        count, sum               adding
 *   min, max   count, value             the smaller, the larger; NaN gives way
 *   variance   count, mean, M2          Chan's formula
 *   first,last count, time, value       the earlier, the later
 *   raw        the samples themselves   joining (quantiles, counters: they need all samples of a window)
 *
 * A row holds one cell of all steps: `state[(series * width + cell) * steps + step]`.
 */
import type { RangeAggregation } from './ast.ts'
import type { StateKind } from './source.ts'

const WIDTHS: Readonly<Record<StateKind, number>> = { count: 1, sum: 2, min: 2, max: 2, variance: 3, first: 3, last: 3, raw: 0 }

export function widthOf(kind: StateKind): number {
  return WIDTHS[kind]
}

export function stateKindOf({ op, unwrap }: Pick<RangeAggregation, 'op' | 'unwrap'>): StateKind {
  switch (op) {
    case 'count_over_time':
    case 'absent_over_time':
      return 'count'
    case 'rate':
      return unwrap === undefined ? 'count' : 'sum'
    case 'bytes_over_time':
    case 'bytes_rate':
    case 'sum_over_time':
    case 'avg_over_time':
      return 'sum'
    case 'min_over_time':
      return 'min'
    case 'max_over_time':
      return 'max'
    case 'stddev_over_time':
    case 'stdvar_over_time':
      return 'variance'
    case 'first_over_time':
      return 'first'
    case 'last_over_time':
      return 'last'
    case 'quantile_over_time':
    case 'rate_counter':
      return 'raw'
  }
}

/** Adds one sample to the windows of steps [first, last]; `base` is the series' first cell. Not for `count` and `raw`. */
export function addSample(
  kind: StateKind,
  state: Float64Array,
  base: number,
  steps: number,
  first: number,
  last: number,
  timeMs: number,
  value: number,
): void {
  for (let k = base + first; k <= base + last; k++) {
    const count = ++state[k]!
    const v = k + steps
    switch (kind) {
      case 'sum':
        state[v]! += value
        break
      case 'min':
        if (count === 1 || value < state[v]! || Number.isNaN(state[v]!)) state[v] = value
        break
      case 'max':
        if (count === 1 || value > state[v]! || Number.isNaN(state[v]!)) state[v] = value
        break
      case 'variance': {
        const delta = value - state[v]!
        state[v]! += delta / count
        state[v + steps]! += delta * (value - state[v]!)
        break
      }
      case 'first':
      case 'last':
        if (count === 1 || (kind === 'first' ? timeMs < state[v]! : timeMs >= state[v]!)) {
          state[v] = timeMs
          state[v + steps] = value
        }
        break
      default:
    }
  }
}

/** Merges one series' state into another's. */
export function mergeState(kind: StateKind, into: Float64Array, at: number, from: Float64Array, fromAt: number, steps: number): void {
  for (let k = 0; k < steps; k++) {
    const [i, j] = [at + k, fromAt + k]
    const [a, b] = [into[i]!, from[j]!]
    if (b === 0) continue
    if (a === 0) {
      for (let cell = 0; cell < widthOf(kind); cell++) into[i + cell * steps] = from[j + cell * steps]!
      continue
    }
    into[i] = a + b
    const [v, w] = [i + steps, j + steps]
    if (kind === 'sum') into[v]! += from[w]!
    else if (kind === 'min') {
      if (from[w]! < into[v]! || Number.isNaN(into[v]!)) into[v] = from[w]!
    } else if (kind === 'max') {
      if (from[w]! > into[v]! || Number.isNaN(into[v]!)) into[v] = from[w]!
    } else if (kind === 'variance') {
      const delta = from[w]! - into[v]!
      into[v]! += (delta * b) / (a + b)
      into[v + steps]! += from[w + steps]! + (delta * delta * a * b) / (a + b)
    } else if (kind !== 'count' && (kind === 'first' ? from[w]! < into[v]! : from[w]! > into[v]!)) {
      into[v] = from[w]!
      into[v + steps] = from[w + steps]!
    }
  }
}
