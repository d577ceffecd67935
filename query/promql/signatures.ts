/**
 * The functions of PromQL as the parser knows them: argument types, how many may be left out or repeated, result type.
 * What each computes is in `functions/`.
 */
import type { ValueType } from './ast.ts'

export interface FunctionSignature {
  readonly name: string
  readonly args: readonly ValueType[]
  /** How many of the last argument may be missing (n − 1) or repeated; −1: any number, 0: exactly `args`. */
  readonly variadic: number
  readonly returns: ValueType
}

type Row = readonly [names: string, args: string, variadic: number, returns: ValueType]

/** v instant vector, m range vector, s scalar, t string. */
const TYPES: Readonly<Record<string, ValueType>> = { v: 'vector', m: 'matrix', s: 'scalar', t: 'string' }

const ROWS: readonly Row[] = [
  [
    'abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sqrt tan tanh',
    'v',
    0,
    'vector',
  ],
  [
    'histogram_avg histogram_count histogram_stddev histogram_stdvar histogram_sum sort sort_desc timestamp start_timestamp',
    'v',
    0,
    'vector',
  ],
  ['absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate', 'm', 0, 'vector'],
  ['last_over_time mad_over_time max_over_time min_over_time present_over_time rate resets', 'm', 0, 'vector'],
  ['stddev_over_time stdvar_over_time sum_over_time', 'm', 0, 'vector'],
  ['ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time', 'm', 0, 'vector'],
  ['day_of_month day_of_week day_of_year days_in_month hour minute month year', 'v', 1, 'vector'],
  ['clamp', 'vss', 0, 'vector'],
  ['clamp_max clamp_min', 'vs', 0, 'vector'],
  ['round', 'vs', 1, 'vector'],
  ['predict_linear', 'ms', 0, 'vector'],
  ['quantile_over_time', 'sm', 0, 'vector'],
  ['double_exponential_smoothing', 'mss', 0, 'vector'],
  ['histogram_quantile', 'sv', 0, 'vector'],
  ['histogram_quantiles', 'vtss', 9, 'vector'],
  ['histogram_fraction', 'ssv', 0, 'vector'],
  ['label_replace', 'vtttt', 0, 'vector'],
  ['label_join', 'vttt', -1, 'vector'],
  ['sort_by_label sort_by_label_desc', 'vt', -1, 'vector'],
  ['info', 'vv', 1, 'vector'],
  ['scalar', 'v', 0, 'scalar'],
  ['min_of max_of', 'ss', 0, 'scalar'],
  ['vector', 's', 0, 'vector'],
  ['time pi start end step range', '', 0, 'scalar'],
]

export const FUNCTION_SIGNATURES: ReadonlyMap<string, FunctionSignature> = new Map(
  ROWS.flatMap(([names, args, variadic, returns]) =>
    names.split(' ').map(
      (name) =>
        [
          name,
          {
            name,
            args: args
              .split('')
              .filter(Boolean)
              .map((letter) => TYPES[letter]!),
            variadic,
            returns,
          },
        ] as const,
    ),
  ),
)
