/** The tree of a LogQL query. Plain data: it is built by the parser, read by the printer, the compiler of pipelines and the evaluator. */
import type { MatcherSpec } from '../../lib/model/index.ts'

export type LineOp = '|=' | '!=' | '|~' | '!~' | '|>' | '!>'
export type CompareOp = '=' | '==' | '!=' | '>' | '>=' | '<' | '<='

/** `name="expression"` of json and logfmt; `name` alone stands for itself. */
export interface Extraction {
  readonly name: string
  readonly expression: string
}

export type LabelFilter =
  | { readonly kind: 'string'; readonly matcher: MatcherSpec }
  | { readonly kind: 'number'; readonly name: string; readonly op: CompareOp; readonly value: number }
  | { readonly kind: 'duration'; readonly name: string; readonly op: CompareOp; readonly valueNs: number }
  | { readonly kind: 'bytes'; readonly name: string; readonly op: CompareOp; readonly value: number }
  | { readonly kind: 'ip'; readonly name: string; readonly op: '=' | '!='; readonly pattern: string }
  | { readonly kind: 'and' | 'or'; readonly left: LabelFilter; readonly right: LabelFilter }

/** A label of drop or keep: always, or only where its value matches. */
export interface LabelChoice {
  readonly name: string
  readonly matcher: MatcherSpec | undefined
}

export type Stage =
  | { readonly kind: 'line'; readonly op: LineOp; readonly alternatives: readonly { readonly text: string; readonly isIp: boolean }[] }
  | { readonly kind: 'json'; readonly expressions: readonly Extraction[] }
  | { readonly kind: 'logfmt'; readonly strict: boolean; readonly keepEmpty: boolean; readonly expressions: readonly Extraction[] }
  | { readonly kind: 'regexp' | 'pattern'; readonly pattern: string }
  | { readonly kind: 'unpack' | 'decolorize' }
  | { readonly kind: 'line_format'; readonly template: string }
  | { readonly kind: 'label_format'; readonly formats: readonly LabelFormat[] }
  | { readonly kind: 'label_filter'; readonly filter: LabelFilter }
  | { readonly kind: 'drop' | 'keep'; readonly labels: readonly LabelChoice[] }

export type LabelFormat =
  | { readonly name: string; readonly kind: 'rename'; readonly source: string }
  | { readonly name: string; readonly kind: 'template'; readonly template: string }

export interface LogExpr {
  readonly kind: 'log'
  readonly matchers: readonly MatcherSpec[]
  readonly stages: readonly Stage[]
}

export interface Unwrap {
  readonly label: string
  readonly convert: '' | 'duration' | 'duration_seconds' | 'bytes'
  readonly filters: readonly LabelFilter[]
}

export interface Grouping {
  readonly without: boolean
  readonly labels: readonly string[]
}

export const RANGE_OPS = [
  'count_over_time',
  'rate',
  'bytes_over_time',
  'bytes_rate',
  'rate_counter',
  'sum_over_time',
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'quantile_over_time',
  'first_over_time',
  'last_over_time',
  'absent_over_time',
] as const
export type RangeOp = (typeof RANGE_OPS)[number]

export interface RangeAggregation {
  readonly kind: 'range'
  readonly op: RangeOp
  readonly parameter: number | undefined
  readonly log: LogExpr
  readonly unwrap: Unwrap | undefined
  readonly rangeMs: number
  readonly offsetMs: number
  readonly grouping: Grouping | undefined
  /** The text of this node: what travels to the workers. */
  readonly source: string
}

export const VECTOR_OPS = [
  'sum',
  'avg',
  'min',
  'max',
  'count',
  'stddev',
  'stdvar',
  'topk',
  'bottomk',
  'approx_topk',
  'sort',
  'sort_desc',
] as const
export type VectorOp = (typeof VECTOR_OPS)[number]

export interface VectorAggregation {
  readonly kind: 'aggregate'
  readonly op: VectorOp
  readonly parameter: number | undefined
  readonly expr: SampleExpr
  readonly grouping: Grouping | undefined
}

export type BinaryOp = 'or' | 'and' | 'unless' | '==' | '!=' | '>' | '>=' | '<' | '<=' | '+' | '-' | '*' | '/' | '%' | '^'

export interface Matching {
  readonly on: boolean
  readonly labels: readonly string[]
  readonly card: 'one-to-one' | 'many-to-one' | 'one-to-many'
  readonly include: readonly string[]
}

export interface BinaryExpr {
  readonly kind: 'binary'
  readonly op: BinaryOp
  readonly left: SampleExpr
  readonly right: SampleExpr
  readonly returnBool: boolean
  readonly matching: Matching | undefined
}

export interface LabelReplace {
  readonly kind: 'label_replace'
  readonly expr: SampleExpr
  readonly target: string
  readonly replacement: string
  readonly label: string
  readonly pattern: string
}

export type SampleExpr =
  | RangeAggregation
  | VectorAggregation
  | BinaryExpr
  | LabelReplace
  | { readonly kind: 'literal'; readonly value: number }
  | { readonly kind: 'vector'; readonly value: number }

export type Expr = LogExpr | SampleExpr
