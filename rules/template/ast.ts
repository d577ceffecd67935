/** Trees of a template. Positions are code-unit offsets into the text. */

/** One stage of a pipeline: an operand alone, or a function or method with arguments. */
export interface Command {
  readonly operands: readonly Operand[]
  readonly at: number
}

export interface Pipeline {
  /** `$x := …`, `$x = …`, and `$i, $v := …` in a range. */
  readonly variables: readonly string[]
  readonly isDeclaration: boolean
  readonly commands: readonly Command[]
  readonly at: number
}

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  /** `.`, with the fields behind it. */
  | { readonly kind: 'dot'; readonly fields: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly fields: readonly string[] }
  | { readonly kind: 'function'; readonly name: string; readonly fields: readonly string[] }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly fields: readonly string[] }

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly pipeline: Pipeline
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }
  | { readonly kind: 'template'; readonly name: string; readonly pipeline: Pipeline | undefined; readonly at: number }
  | { readonly kind: 'break' | 'continue' }

export interface ParsedTemplate {
  readonly body: readonly Node[]
  /** Templates that `define` and `block` made, by name. */
  readonly defined: ReadonlyMap<string, readonly Node[]>
}
