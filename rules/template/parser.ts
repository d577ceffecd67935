/** From tokens to a tree: Go's text/template grammar. Functions are looked up here, so that an unknown one is found when a file is loaded. */
import type { Command, Node, Operand, ParsedTemplate, Pipeline } from './ast.ts'
import { lexTemplate, problemAt, type Token } from './lexer.ts'
import type { SightlineError } from '../../lib/runtime/errors.ts'

/** Deeper nesting of actions and parentheses is refused. */
const DEPTH_MAX = 100

/**
 * @param isFunction tells whether a function of that name exists
 * Errors: bad_data "<line>: <problem>".
 */
export function parseTemplate(text: string, isFunction: (name: string) => boolean): ParsedTemplate {
  return new Parser(text, isFunction).parse()
}

class Parser {
  readonly #text: string
  readonly #isFunction: (name: string) => boolean
  readonly #tokens: Token[]
  readonly #defined = new Map<string, readonly Node[]>()
  #at = 0
  #depth = 0
  /** Names of variables in sight, innermost last. */
  #variables: string[] = ['$']

  constructor(text: string, isFunction: (name: string) => boolean) {
    this.#text = text
    this.#isFunction = isFunction
    this.#tokens = lexTemplate(text)
  }

  parse(): ParsedTemplate {
    const { nodes, end } = this.#list()
    if (end !== '') throw this.#problem(`unexpected {{${end}}}`)
    return { body: nodes, defined: this.#defined }
  }

  /** Nodes up to `end` or `else`, which is consumed as far as its word. */
  #list(): { nodes: Node[]; end: '' | 'end' | 'else' } {
    if (++this.#depth > DEPTH_MAX) throw this.#problem('too deeply nested')
    const nodes: Node[] = []
    for (;;) {
      const token = this.#tokens[this.#at]
      if (token === undefined) {
        this.#depth--
        return { nodes, end: '' }
      }
      this.#at++
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text })
        continue
      }
      this.#space()
      const word = this.#tokens[this.#at]
      if (word?.kind === 'word' && (word.text === 'end' || word.text === 'else')) {
        this.#at++
        if (word.text === 'end') this.#close()
        this.#depth--
        return { nodes, end: word.text }
      }
      const node = this.#action(word)
      if (node !== undefined) nodes.push(node)
    }
  }

  #action(word: Token | undefined): Node | undefined {
    const keyword = word?.kind === 'word' ? word.text : ''
    switch (keyword) {
      case 'if':
      case 'with':
      case 'range':
        this.#at++
        return this.#control(keyword)
      case 'break':
      case 'continue':
        this.#at++
        this.#close()
        return { kind: keyword }
      case 'define':
        this.#at++
        this.#define()
        return undefined
      case 'template':
      case 'block': {
        this.#at++
        const at = word!.at
        const name = this.#name()
        this.#space()
        const pipeline = this.#peek()?.kind === 'close' ? undefined : this.#pipeline('close')
        this.#close()
        if (keyword === 'block') this.#body(name)
        return { kind: 'template', name, pipeline, at }
      }
    }
    const pipeline = this.#pipeline('close')
    this.#close()
    return { kind: 'action', pipeline }
  }

  #control(kind: 'if' | 'with' | 'range'): Node {
    const outer = this.#variables.length
    const pipeline = this.#pipeline('close')
    this.#close()
    const first = this.#list()
    let otherwise: readonly Node[] = []
    if (first.end === 'else') {
      this.#space()
      const next = this.#peek()
      if (next?.kind === 'word' && (next.text === 'if' || next.text === 'with') && kind !== 'range') {
        // `else if`: the rest is a control of its own, closed by the same `end`.
        this.#at++
        otherwise = [this.#control(next.text)]
      } else {
        this.#close()
        const rest = this.#list()
        if (rest.end !== 'end') throw this.#problem(rest.end === '' ? 'unexpected EOF' : 'expected end; found {{else}}')
        otherwise = rest.nodes
      }
    } else if (first.end === '') throw this.#problem('unexpected EOF')
    this.#variables.length = outer
    return { kind, pipeline, body: first.nodes, otherwise }
  }

  #define(): void {
    const name = this.#name()
    this.#close()
    this.#body(name)
  }

  #body(name: string): void {
    const outer = this.#variables
    this.#variables = ['$']
    const { nodes, end } = this.#list()
    if (end !== 'end') throw this.#problem('unexpected EOF')
    this.#variables = outer
    this.#defined.set(name, nodes)
  }

  #name(): string {
    this.#space()
    const token = this.#tokens[this.#at++]
    if (token?.kind !== 'string') throw this.#problem(`unexpected ${describe(token)} in template clause`)
    return unquote(token.text)
  }

  #pipeline(until: 'close' | ')'): Pipeline {
    this.#space()
    const at = this.#peek()?.at ?? this.#text.length
    const { variables, isDeclaration } = this.#variableList()
    const commands: Command[] = []
    for (;;) {
      commands.push(this.#command())
      this.#space()
      const token = this.#peek()
      if (token?.kind === 'sign' && token.text === '|') {
        this.#at++
        continue
      }
      if (until === 'close' ? token?.kind === 'close' : token?.kind === 'sign' && token.text === ')') break
      throw this.#problem(`unexpected ${describe(token)} in command`)
    }
    if (isDeclaration) this.#variables.push(...variables)
    return { variables, isDeclaration, commands, at }
  }

  #variableList(): { variables: string[]; isDeclaration: boolean } {
    const start = this.#at
    const variables: string[] = []
    for (;;) {
      this.#space()
      const token = this.#tokens[this.#at]
      if (token?.kind !== 'variable') break
      this.#at++
      this.#space()
      variables.push(token.text)
      const sign = this.#tokens[this.#at]
      if (sign?.kind !== 'sign') break
      if (sign.text === ':=' || sign.text === '=') {
        this.#at++
        return { variables, isDeclaration: sign.text === ':=' }
      }
      if (sign.text !== ',' || variables.length > 1) break
      this.#at++
    }
    this.#at = start
    return { variables: [], isDeclaration: false }
  }

  #command(): Command {
    const operands: Operand[] = []
    this.#space()
    const at = this.#peek()?.at ?? this.#text.length
    for (;;) {
      const operand = this.#operand()
      if (operand === undefined) break
      operands.push(operand)
      if (!this.#space()) break
    }
    if (operands.length === 0)
      throw this.#problem(this.#peek()?.kind === 'close' ? 'missing value for command' : `unexpected ${describe(this.#peek())} in operand`)
    return { operands, at }
  }

  #operand(): Operand | undefined {
    const token = this.#peek()
    if (token === undefined) return undefined
    switch (token.kind) {
      case 'string':
        this.#at++
        return { kind: 'literal', value: token.text.startsWith("'") ? unquote(token.text).codePointAt(0)! : unquote(token.text) }
      case 'number':
        this.#at++
        return { kind: 'literal', value: Number(token.text) }
      case 'field':
        return { kind: 'dot', fields: this.#fields() }
      case 'variable':
        this.#at++
        if (!this.#variables.includes(token.text)) throw problemAt(this.#text, token.at, `undefined variable "${token.text}"`)
        return { kind: 'variable', name: token.text, fields: this.#fields() }
      case 'word': {
        this.#at++
        if (token.text === 'true' || token.text === 'false') return { kind: 'literal', value: token.text === 'true' }
        if (token.text === 'nil') return { kind: 'literal', value: null }
        if (!this.#isFunction(token.text)) throw problemAt(this.#text, token.at, `function "${token.text}" not defined`)
        return { kind: 'function', name: token.text, fields: this.#fields() }
      }
      case 'sign': {
        if (token.text === '.') {
          this.#at++
          return { kind: 'dot', fields: [] }
        }
        if (token.text !== '(') return undefined
        this.#at++
        if (++this.#depth > DEPTH_MAX) throw this.#problem('too deeply nested')
        const pipeline = this.#pipeline(')')
        this.#depth--
        this.#at++
        return { kind: 'pipeline', pipeline, fields: this.#fields() }
      }
      default:
        return undefined
    }
  }

  #fields(): string[] {
    const fields: string[] = []
    while (this.#peek()?.kind === 'field') fields.push(this.#tokens[this.#at++]!.text.slice(1))
    return fields
  }

  #close(): void {
    this.#space()
    const token = this.#tokens[this.#at++]
    if (token?.kind !== 'close') throw this.#problem(`unexpected ${describe(token)} in end of action`)
  }

  #space(): boolean {
    if (this.#peek()?.kind !== 'space') return false
    this.#at++
    return true
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at]
  }

  #problem(problem: string): SightlineError {
    return problemAt(this.#text, this.#peek()?.at ?? this.#text.length, problem)
  }
}

function describe(token: Token | undefined): string {
  return token === undefined ? 'EOF' : JSON.stringify(token.text)
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\u0007', b: '\b', f: '\f', v: '\v' }

/** A Go string, raw string or character. */
function unquote(text: string): string {
  const inner = text.slice(1, -1)
  if (text.startsWith('`')) return inner
  return inner.replaceAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[^])/g, (_, code: string) => {
    if (/^[xuU]./.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16))
    if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8))
    return ESCAPES[code] ?? code
  })
}
