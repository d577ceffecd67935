/** TraceQL as a tree. Durations are nanoseconds; status and kind are their OTLP numbers. */

export type StaticType = 'int' | 'float' | 'string' | 'bool' | 'duration' | 'status' | 'kind' | 'nil'

export interface Static {
  readonly kind: 'static'
  readonly type: StaticType
  readonly value: number | string | boolean | null
}

export type AttributeScope = 'none' | 'span' | 'resource' | 'event' | 'link' | 'instrumentation'

export interface AttributeRef {
  readonly kind: 'attribute'
  readonly scope: AttributeScope
  readonly name: string
  /** Of the parent span: parsed, not built. */
  readonly parent: boolean
}

export type IntrinsicName =
  | 'name'
  | 'kind'
  | 'status'
  | 'statusMessage'
  | 'duration'
  | 'traceDuration'
  | 'rootName'
  | 'rootServiceName'
  | 'nestedSetLeft'
  | 'nestedSetRight'
  | 'nestedSetParent'
  | 'childCount'
  | 'traceId'
  | 'spanId'
  | 'parentId'
  | 'eventName'
  | 'eventTimeSinceStart'
  | 'linkSpanId'
  | 'linkTraceId'
  | 'scopeName'
  | 'scopeVersion'
  | 'parent'

export interface Intrinsic {
  readonly kind: 'intrinsic'
  readonly name: IntrinsicName
  /** As written: `span:duration`. */
  readonly text: string
  readonly parent: boolean
}

export type FieldOp = '=' | '!=' | '<' | '<=' | '>' | '>=' | '=~' | '!~' | '+' | '-' | '*' | '/' | '%' | '^' | '&&' | '||'

export type FieldExpr =
  | Static
  | AttributeRef
  | Intrinsic
  | { readonly kind: 'unary'; readonly op: '-' | '!'; readonly expr: FieldExpr }
  | { readonly kind: 'binary'; readonly op: FieldOp; readonly left: FieldExpr; readonly right: FieldExpr }

export type SpansetOp =
  | '&&'
  | '||'
  | '>'
  | '>>'
  | '<'
  | '<<'
  | '~'
  | '!>'
  | '!>>'
  | '!<'
  | '!<<'
  | '!~'
  | '&>'
  | '&>>'
  | '&<'
  | '&<<'
  | '&~'

export type Spanset =
  | { readonly kind: 'filter'; readonly expr: FieldExpr }
  | { readonly kind: 'spansetBinary'; readonly op: SpansetOp; readonly left: Spanset; readonly right: Spanset }
  | Pipeline

export type ScalarExpr =
  | Static
  | { readonly kind: 'aggregate'; readonly op: 'count' | 'min' | 'max' | 'avg' | 'sum'; readonly expr?: FieldExpr }
  | { readonly kind: 'scalarBinary'; readonly op: '+' | '-' | '*' | '/' | '%' | '^'; readonly left: ScalarExpr; readonly right: ScalarExpr }
  | Pipeline

export type CompareOp = '=' | '!=' | '<' | '<=' | '>' | '>='

export type Stage =
  | Spanset
  | { readonly kind: 'scalarFilter'; readonly op: CompareOp; readonly left: ScalarExpr; readonly right: ScalarExpr }
  | { readonly kind: 'by'; readonly expr: FieldExpr }
  | { readonly kind: 'coalesce' }
  | { readonly kind: 'select'; readonly fields: readonly (AttributeRef | Intrinsic)[] }

export interface Pipeline {
  readonly kind: 'pipeline'
  readonly stages: readonly Stage[]
}

/** True for numbers and sums of numbers. */
export function isConstant(expr: ScalarExpr): boolean {
  return expr.kind === 'static' || (expr.kind === 'scalarBinary' && isConstant(expr.left) && isConstant(expr.right))
}
