/**
 * Runs a parsed template. Values are JavaScript's: a `Map` is Go's map (a missing key is ""), an object is a struct (a missing field is an
 * error; a function in it is a method), an array a slice, a `Date` a time.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Command, Node, Operand, ParsedTemplate, Pipeline } from './ast.ts'
import { formatValue } from './format.ts'
import { timeMethod } from './time.ts'

export type TemplateFunction = (...args: unknown[]) => unknown
export type Functions = ReadonlyMap<string, TemplateFunction>

export interface ExecuteLimits {
  readonly outputCharsMax: number
  readonly stepsMax: number
}

const CALLS_MAX = 100

type Flow = 'break' | 'continue' | undefined

interface Scope {
  readonly dot: unknown
  /** Innermost last; a name may be there more than once. */
  readonly variables: { readonly name: string; value: unknown }[]
}

/** Errors: bad_data with what failed; the output so far is lost. */
export function executeTemplate(
  template: ParsedTemplate,
  lookUp: (name: string) => readonly Node[] | undefined,
  data: unknown,
  functions: Functions,
  limits: ExecuteLimits,
): string {
  const run = new Execution(lookUp, functions, limits)
  run.nodes(template.body, { dot: data, variables: [{ name: '$', value: data }] })
  return run.output
}

class Execution {
  output = ''
  readonly #lookUp: (name: string) => readonly Node[] | undefined
  readonly #functions: Functions
  readonly #limits: ExecuteLimits
  #steps = 0
  #calls = 0

  constructor(lookUp: (name: string) => readonly Node[] | undefined, functions: Functions, limits: ExecuteLimits) {
    this.#lookUp = lookUp
    this.#functions = functions
    this.#limits = limits
  }

  nodes(nodes: readonly Node[], scope: Scope): Flow {
    for (const node of nodes) {
      this.#step()
      const flow = this.#node(node, scope)
      if (flow !== undefined) return flow
    }
    return undefined
  }

  #node(node: Node, scope: Scope): Flow {
    switch (node.kind) {
      case 'text':
        this.#write(node.text)
        return undefined
      case 'action': {
        const value = this.#pipeline(node.pipeline, scope)
        if (node.pipeline.variables.length === 0) this.#write(value === null || value === undefined ? '<no value>' : formatValue(value))
        return undefined
      }
      case 'if':
      case 'with': {
        const outer = scope.variables.length
        const value = this.#pipeline(node.pipeline, scope)
        const holds = isTrue(value)
        const inner = node.kind === 'with' && holds ? { ...scope, dot: value } : scope
        const flow = this.nodes(holds ? node.body : node.otherwise, inner)
        scope.variables.length = outer
        return flow
      }
      case 'range':
        return this.#range(node.pipeline, node.body, node.otherwise, scope)
      case 'template': {
        const body = this.#lookUp(node.name)
        if (body === undefined) throw new SightlineError('bad_data', `template "${node.name}" not defined`)
        if (++this.#calls > CALLS_MAX) throw new SightlineError('bad_data', `exceeded maximum template depth (${CALLS_MAX})`)
        const dot = node.pipeline === undefined ? null : this.#pipeline(node.pipeline, scope)
        this.nodes(body, { dot, variables: [{ name: '$', value: dot }] })
        this.#calls--
        return undefined
      }
      default:
        return node.kind
    }
  }

  #range(pipeline: Pipeline, body: readonly Node[], otherwise: readonly Node[], scope: Scope): Flow {
    const outer = scope.variables.length
    const { variables } = pipeline
    const entries = entriesOf(this.#commands(pipeline, scope))
    for (const [key, value] of entries) {
      this.#step()
      const named = variables.length === 1 ? [value] : [key, value]
      for (const [i, name] of variables.entries()) scope.variables.push({ name, value: named[i] })
      const flow = this.nodes(body, { ...scope, dot: value })
      scope.variables.length = outer
      if (flow === 'break') break
    }
    if (entries.length === 0) return this.nodes(otherwise, scope)
    return undefined
  }

  #pipeline(pipeline: Pipeline, scope: Scope): unknown {
    const value = this.#commands(pipeline, scope)
    for (const name of pipeline.variables) {
      if (pipeline.isDeclaration) scope.variables.push({ name, value })
      else variableOf(scope, name).value = value
    }
    return value
  }

  #commands({ commands }: Pipeline, scope: Scope): unknown {
    let value: unknown
    for (const [i, command] of commands.entries()) value = this.#command(command, scope, i === 0 ? [] : [value])
    return value
  }

  #command({ operands }: Command, scope: Scope, piped: readonly unknown[]): unknown {
    this.#step()
    const [first, ...rest] = operands as [Operand, ...Operand[]]
    if (first.kind === 'function' && first.fields.length === 0) {
      // These two stop at the first value that decides.
      if (first.name === 'and' || first.name === 'or') return this.#logic(first.name, rest, scope, piped)
      return this.#call(first.name, [...rest.map((operand) => this.#operand(operand, scope)), ...piped])
    }
    const args = [...rest.map((operand) => this.#operand(operand, scope)), ...piped]
    if (args.length === 0) return this.#operand(first, scope)
    if (first.kind === 'literal' || first.fields.length === 0)
      throw new SightlineError('bad_data', `can't give argument to non-function ${describeOperand(first)}`)
    return this.#withFields(first, scope, args)
  }

  #logic(name: 'and' | 'or', operands: readonly Operand[], scope: Scope, piped: readonly unknown[]): unknown {
    let value: unknown
    const thunks = [...operands.map((operand) => () => this.#operand(operand, scope)), ...piped.map((one) => () => one)]
    if (thunks.length === 0) throw new SightlineError('bad_data', `wrong number of args for ${name}: want at least 1 got 0`)
    for (const thunk of thunks) {
      value = thunk()
      if (isTrue(value) === (name === 'or')) return value
    }
    return value
  }

  #call(name: string, args: readonly unknown[]): unknown {
    const fn = this.#functions.get(name)
    if (fn === undefined) throw new SightlineError('bad_data', `function "${name}" not defined`)
    return fn(...args)
  }

  #operand(operand: Operand, scope: Scope): unknown {
    this.#step()
    return operand.kind === 'literal' ? operand.value : this.#withFields(operand, scope, [])
  }

  #withFields(operand: Exclude<Operand, { kind: 'literal' }>, scope: Scope, args: readonly unknown[]): unknown {
    let value: unknown
    if (operand.kind === 'dot') value = scope.dot
    else if (operand.kind === 'variable') value = variableOf(scope, operand.name).value
    else if (operand.kind === 'function') value = this.#call(operand.name, [])
    else value = this.#pipeline(operand.pipeline, scope)
    for (const [i, name] of operand.fields.entries()) value = fieldOf(value, name, i === operand.fields.length - 1 ? args : [])
    return value
  }

  #write(text: string): void {
    this.output += text
    if (this.output.length > this.#limits.outputCharsMax) {
      throw new SightlineError('bad_data', `output is longer than ${this.#limits.outputCharsMax} characters`)
    }
  }

  #step(): void {
    if (++this.#steps > this.#limits.stepsMax) throw new SightlineError('bad_data', `more than ${this.#limits.stepsMax} steps`)
  }
}

function variableOf(scope: Scope, name: string): { value: unknown } {
  const found = scope.variables.findLast((variable) => variable.name === name)
  if (found === undefined) throw new SightlineError('bad_data', `undefined variable "${name}"`)
  return found
}

function fieldOf(value: unknown, name: string, args: readonly unknown[]): unknown {
  if (value === null || value === undefined) throw new SightlineError('bad_data', `nil data; no entry for key "${name}"`)
  if (value instanceof Date) return timeMethod(value, name, args)
  if (typeof value !== 'object') throw new SightlineError('bad_data', `can't evaluate field ${name} in type ${typeof value}`)
  // Methods come before keys, and only ours: nothing of JavaScript's own can be reached.
  const method =
    value instanceof Map || Array.isArray(value)
      ? methodsOf(value)?.[name]
      : Object.hasOwn(value, name)
        ? (value as Record<string, unknown>)[name]
        : undefined
  if (typeof method === 'function') return (method as TemplateFunction)(...args)
  if (args.length > 0) throw new SightlineError('bad_data', `${name} has arguments but cannot be invoked as function`)
  if (value instanceof Map) return (value as Map<string, unknown>).get(name) ?? ''
  if (method === undefined && (Array.isArray(value) || !Object.hasOwn(value, name)))
    throw new SightlineError('bad_data', `can't evaluate field ${name}`)
  return method
}

/** What a map or a list can be asked for beside its content: set by who made it, under this symbol. */
export const METHODS = Symbol('methods')

function methodsOf(value: object): Readonly<Record<string, TemplateFunction>> | undefined {
  return (value as { [METHODS]?: Readonly<Record<string, TemplateFunction>> })[METHODS]
}

function entriesOf(value: unknown): readonly (readonly [unknown, unknown])[] {
  if (value === null || value === undefined || value === '') return []
  if (Array.isArray(value)) return value.map((item, i) => [i, item])
  if (value instanceof Map) return [...(value as Map<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1))
  throw new SightlineError('bad_data', `range can't iterate over ${formatValue(value)}`)
}

/** Go's truth: not the zero value, not empty. */
export function isTrue(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === 0 || value === '') return false
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Map) return value.size > 0
  return true
}

function describeOperand(operand: Operand): string {
  if (operand.kind === 'literal') return JSON.stringify(operand.value)
  return operand.kind === 'variable' ? operand.name : '.'
}
