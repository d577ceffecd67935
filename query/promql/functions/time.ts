/** time() and the parts of a date. Values are Unix seconds, dates are UTC. */
import type { Value } from '../columns.ts'
import { mapFloats, plainColumn, vectorArgument, type CallContext, type ValueFunction } from './value-function.ts'

const DAY_MS = 86_400_000

const PARTS: Readonly<Record<string, (date: Date) => number>> = {
  minute: (date) => date.getUTCMinutes(),
  hour: (date) => date.getUTCHours(),
  day_of_week: (date) => date.getUTCDay(),
  day_of_month: (date) => date.getUTCDate(),
  day_of_year: (date) => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / DAY_MS) + 1,
  days_in_month: (date) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate(),
  month: (date) => date.getUTCMonth() + 1,
  year: (date) => date.getUTCFullYear(),
}

/** The instant of each step in seconds. */
export function stepSeconds({ grid }: Pick<CallContext, 'grid'>): Float64Array {
  return Float64Array.from({ length: grid.count }, (_, k) => (grid.startMs + k * grid.stepMs) / 1000)
}

function datePart(context: CallContext, part: (date: Date) => number): Value {
  const columns = context.args.length === 0 ? [plainColumn(stepSeconds(context))] : vectorArgument(context, 0)
  return mapFloats(context, columns, (seconds) => part(new Date(Math.trunc(seconds) * 1000)))
}

export const TIME_FUNCTIONS: Readonly<Record<string, ValueFunction>> = {
  ...Object.fromEntries(Object.entries(PARTS).map(([name, part]) => [name, (context: CallContext) => datePart(context, part)])),
  time: (context) => ({ type: 'scalar', values: stepSeconds(context) }),
  // Of a selector the evaluator answers with the samples' own times; of anything else the samples are of the step.
  timestamp: (context) => {
    const seconds = stepSeconds(context)
    const columns = vectorArgument(context, 0).map(({ labels, values, present, dropName }) => ({ labels, values, present, dropName }))
    return mapFloats(context, columns, (_value, k) => seconds[k]!)
  },
  start_timestamp: () => ({ type: 'vector', columns: [] }),
}
