/** Functions of one number: rounding, roots, logarithms, trigonometry, clamping. */
import { isEmptyColumn, type Value } from '../columns.ts'
import { mapFloats, plainColumn, scalarArgument, vectorArgument, vectorOf, type CallContext, type ValueFunction } from './value-function.ts'

const UNARY: Readonly<Record<string, (value: number) => number>> = {
  abs: Math.abs,
  ceil: Math.ceil,
  floor: Math.floor,
  exp: Math.exp,
  sqrt: Math.sqrt,
  ln: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  deg: (value) => (value * 180) / Math.PI,
  rad: (value) => (value * Math.PI) / 180,
  sgn: (value) => (value < 0 ? -1 : value > 0 ? 1 : value),
}

/** Rounds to the nearest multiple of 1 / inverse, halves up. */
function round(context: CallContext): Value {
  const nearest = scalarArgument(context, 1)
  return mapFloats(context, vectorArgument(context, 0), (value, k) => {
    const inverse = 1 / (nearest?.[k] ?? 1)
    return Math.floor(value * inverse + 0.5) / inverse
  })
}

function clamp(context: CallContext, least: Float64Array | undefined, most: Float64Array | undefined): Value {
  const columns = vectorArgument(context, 0)
  const mapped = mapFloats(context, columns, (value, k) => {
    const low = least?.[k] ?? -Infinity
    const high = most?.[k] ?? Infinity
    return Math.max(low, Math.min(high, value))
  })
  if (mapped.type !== 'vector' || least === undefined || most === undefined) return mapped
  const cleared = mapped.columns.map((column) => ({
    ...column,
    present: column.present.map((flag, k) => (most[k]! < least[k]! ? 0 : flag)),
  }))
  return vectorOf(cleared.filter((column) => !isEmptyColumn(column)))
}

/** The only sample of the vector at each step; NaN where there are none or several. Histograms don't count. */
function scalar(context: CallContext): Value {
  const values = new Float64Array(context.grid.count).fill(NaN)
  const seen = new Uint32Array(context.grid.count)
  for (const column of vectorArgument(context, 0)) {
    for (let k = 0; k < values.length; k++) {
      if (column.present[k] === 0 || column.histograms?.[k] !== undefined) continue
      values[k] = ++seen[k]! === 1 ? column.values[k]! : NaN
    }
  }
  return { type: 'scalar', values }
}

/** The smaller or larger of two scalars; NaN where either is. */
function extremeOf(context: CallContext, pick: (a: number, b: number) => number): Value {
  const other = scalarArgument(context, 1)!
  return { type: 'scalar', values: scalarArgument(context, 0)!.map((value, k) => pick(value, other[k]!)) }
}

export const MATH_FUNCTIONS: Readonly<Record<string, ValueFunction>> = {
  ...Object.fromEntries(
    Object.entries(UNARY).map(([name, apply]) => [name, (context: CallContext) => mapFloats(context, vectorArgument(context, 0), apply)]),
  ),
  round,
  scalar,
  clamp: (context) => clamp(context, scalarArgument(context, 1), scalarArgument(context, 2)),
  clamp_min: (context) => clamp(context, scalarArgument(context, 1), undefined),
  clamp_max: (context) => clamp(context, undefined, scalarArgument(context, 1)),
  vector: (context) => vectorOf([plainColumn(scalarArgument(context, 0)!)]),
  min_of: (context) => extremeOf(context, Math.min),
  max_of: (context) => extremeOf(context, Math.max),
  pi: ({ grid }) => ({ type: 'scalar', values: new Float64Array(grid.count).fill(Math.PI) }),
}
