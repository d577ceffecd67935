import { COUNTER_FUNCTIONS } from './counter.ts'
import { OVER_TIME_FUNCTIONS } from './over-time.ts'
import type { RangeFunction } from './range-function.ts'
import { REGRESSION_FUNCTIONS } from './regression.ts'
import { TRANSITION_FUNCTIONS } from './transitions.ts'

/** Every function over one range vector, by name. `absent_over_time` is not among them: it looks at all series at once. */
export const RANGE_FUNCTIONS: ReadonlyMap<string, RangeFunction> = new Map(
  [COUNTER_FUNCTIONS, OVER_TIME_FUNCTIONS, REGRESSION_FUNCTIONS, TRANSITION_FUNCTIONS].flatMap((family) => Object.entries(family)),
)

/** Where among the arguments the range vector is. */
export function rangeArgument(name: string): number {
  return name === 'quantile_over_time' ? 1 : 0
}
