/**
 * Go's text/template for `line_format` and `label_format`: `compileTemplate(text)` once, then one call a line.
 *
 * A label that is absent renders as nothing (Go's `missingkey=zero` on a map of strings). Errors: bad_data with Go's text where the template is
 * invalid; execution or too_large from a run. Limits: blocks nest 50 deep, output of 1 Mi characters, loops by the size of their value.
 * Not built: define, template, block, break, continue.
 */
import { templateFunctions, type TemplateScope } from './functions.ts'
import { parseTemplate, type Argument, type Node, type Pipeline } from './parse.ts'
import { executionError, fieldOf, isTrue, OUTPUT_LENGTH_MAX, show, toText, tooLong, type Value } from './value.ts'

export type Template = (scope: TemplateScope) => string

export function compileTemplate(text: string): Template {
  const functions = templateFunctions()
  const nodes = parseTemplate(text, (name) => functions.has(name))
  return (scope) => {
    const run = new Run(scope, functions)
    run.nodes(nodes, undefined)
    return run.out
  }
}

class Run {
  out = ''
  readonly #scope: TemplateScope
  readonly #functions: ReturnType<typeof templateFunctions>
  readonly #variables = new Map<string, Value>()

  constructor(scope: TemplateScope, functions: ReturnType<typeof templateFunctions>) {
    this.#scope = scope
    this.#functions = functions
  }

  /** `dot` is undefined at the top, where a field is a label. */
  nodes(nodes: readonly Node[], dot: Value): void {
    for (const node of nodes) {
      if (node.kind === 'text') this.#write(node.text)
      else if (node.kind === 'action') {
        const value = this.#pipeline(node.pipeline, dot)
        if (node.pipeline.target === undefined) this.#write(show(value))
      } else if (node.kind === 'range') this.#range(node, dot)
      else {
        const value = this.#pipeline(node.pipeline, dot)
        if (isTrue(value)) this.nodes(node.body, node.kind === 'with' ? value : dot)
        else this.nodes(node.otherwise, dot)
      }
    }
  }

  #write(text: string): void {
    this.out += text
    if (this.out.length > OUTPUT_LENGTH_MAX) throw tooLong()
  }

  #range({ pipeline, body, otherwise }: Extract<Node, { kind: 'if' | 'with' | 'range' }>, dot: Value): void {
    const value = this.#commands(pipeline, dot)
    const items: [Value, Value][] = Array.isArray(value)
      ? value.map((item: Value, i) => [i, item])
      : typeof value === 'object' && value !== null && !(value instanceof Date)
        ? Object.entries(value as Readonly<Record<string, Value>>)
        : []
    if (items.length === 0) return this.nodes(otherwise, dot)
    for (const [index, item] of items) {
      if (pipeline.target !== undefined) this.#variables.set(pipeline.target.name, item)
      if (pipeline.target?.index !== undefined) this.#variables.set(pipeline.target.index, index)
      this.nodes(body, item)
    }
  }

  #pipeline(pipeline: Pipeline, dot: Value): Value {
    const value = this.#commands(pipeline, dot)
    if (pipeline.target !== undefined) this.#variables.set(pipeline.target.name, value)
    return value
  }

  #commands({ commands }: Pipeline, dot: Value): Value {
    let piped: Value
    for (const [i, [first, ...rest]] of commands.entries()) {
      const args = rest.map((argument) => this.#argument(argument, dot))
      if (i > 0) args.push(piped)
      if (first!.kind === 'function') piped = this.#call(first!.name, args)
      else if (args.length > 0) throw executionError('template', "can't give argument to non-function")
      else piped = this.#argument(first!, dot)
    }
    return piped
  }

  #argument(argument: Argument, dot: Value): Value {
    switch (argument.kind) {
      case 'value':
        return argument.value
      case 'function':
        return this.#call(argument.name, [])
      case 'pipeline':
        return fieldOf(this.#commands(argument.pipeline, dot), argument.path)
      case 'variable':
        return argument.name === '$' ? this.#field(argument.path, undefined) : fieldOf(this.#variables.get(argument.name), argument.path)
      case 'field':
        return this.#field(argument.path, dot)
    }
  }

  #field(path: readonly string[], dot: Value): Value {
    if (dot !== undefined) return fieldOf(dot, path)
    if (path.length === 0) return Object.fromEntries(this.#scope.labels)
    return path.length === 1 ? (this.#scope.labels.get(path[0]!) ?? '') : ''
  }

  #call(name: string, args: readonly Value[]): Value {
    const value = this.#functions.get(name)!(args, this.#scope)
    return typeof value === 'string' && value.length > OUTPUT_LENGTH_MAX ? toText(value).slice(0, OUTPUT_LENGTH_MAX) : value
  }
}
