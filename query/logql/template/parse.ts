/**
 * Go's text/template, as far as `line_format` and `label_format` use it: text, pipelines of functions and fields, variables, `if`/`else if`/`else`,
 * `range`, `with`, comments and trimming (`{{-`, `-}}`).
 */
import { SightlineError } from '../../../lib/runtime/errors.ts'
import { unquote } from '../strings.ts'

export type Argument =
  | { readonly kind: 'value'; readonly value: string | number | boolean | undefined }
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly path: readonly string[] }
  | { readonly kind: 'function'; readonly name: string }

export interface Pipeline {
  /** `$x := …` declares, `$x = …` assigns. */
  readonly target: { readonly name: string; readonly index: string | undefined; readonly declares: boolean } | undefined
  readonly commands: readonly (readonly Argument[])[]
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly pipeline: Pipeline
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }

const DEPTH_MAX = 50
const TOKEN =
  /\s+|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)+'|\$[A-Za-z_]\w*|\$|(?:\.[A-Za-z_]\w*)+|\.|:=|=|\||,|\(|\)|[+-]?(?:0[xX][\da-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?)|[A-Za-z_]\w*/y

type Piece = { readonly text: string } | { readonly action: string }

export function parseTemplate(source: string, isFunction: (name: string) => boolean): readonly Node[] {
  return new TemplateParser(pieces(source), isFunction).parse()
}

export function templateError(message: string): SightlineError {
  return new SightlineError('bad_data', `template: : ${message}`)
}

function pieces(source: string): Piece[] {
  const out: Piece[] = []
  let at = 0
  let trimNext = false
  while (at < source.length) {
    const open = source.indexOf('{{', at)
    let text = open === -1 ? source.slice(at) : source.slice(at, open)
    if (trimNext) text = text.trimStart()
    if (open === -1) {
      out.push({ text })
      break
    }
    const trimBefore = /^\{\{-\s/.test(source.slice(open, open + 4))
    out.push({ text: trimBefore ? text.trimEnd() : text })
    const close = endOfAction(source, open + 2)
    let action = source.slice(open + (trimBefore ? 3 : 2), close)
    trimNext = /\s-$/.test(action)
    if (trimNext) action = action.slice(0, -1)
    if (!/^\s*\/\*/.test(action)) out.push({ action: action.trim() })
    at = close + 2
  }
  return out
}

function endOfAction(source: string, from: number): number {
  for (let i = from; i < source.length; i++) {
    const ch = source[i]!
    if (source.startsWith('}}', i)) return i
    if (ch === '"' || ch === '`') {
      i++
      while (i < source.length && source[i] !== ch) i += ch === '"' && source[i] === '\\' ? 2 : 1
    }
  }
  throw templateError('unclosed action')
}

class TemplateParser {
  readonly #pieces: readonly Piece[]
  readonly #isFunction: (name: string) => boolean
  readonly #variables = new Set(['$'])
  #at = 0
  #depth = 0

  constructor(all: readonly Piece[], isFunction: (name: string) => boolean) {
    this.#pieces = all
    this.#isFunction = isFunction
  }

  parse(): readonly Node[] {
    const { nodes, end } = this.#block()
    if (end !== undefined) throw templateError(`unexpected {{${end}}}`)
    return nodes
  }

  /** Nodes up to an `end` or `else`, which is answered. */
  #block(): { nodes: Node[]; end: string | undefined } {
    if (++this.#depth > DEPTH_MAX) throw templateError(`blocks are nested more than ${DEPTH_MAX} deep`)
    const nodes: Node[] = []
    let end: string | undefined
    while (this.#at < this.#pieces.length) {
      const piece = this.#pieces[this.#at++]!
      if ('text' in piece) {
        if (piece.text !== '') nodes.push({ kind: 'text', text: piece.text })
        continue
      }
      if (/^(end|else)\b/.test(piece.action)) {
        end = piece.action
        break
      }
      nodes.push(this.#action(piece.action))
    }
    this.#depth--
    return { nodes, end }
  }

  #action(text: string): Node {
    const keyword = /^(if|with|range|define|template|block|break|continue)\b/.exec(text)?.[1]
    if (keyword === undefined) return { kind: 'action', pipeline: this.#pipeline(text) }
    if (keyword !== 'if' && keyword !== 'with' && keyword !== 'range') throw templateError(`{{${keyword}}} is not built yet`)
    return this.#control(keyword, text.slice(keyword.length))
  }

  #control(kind: 'if' | 'with' | 'range', text: string): Node {
    const pipeline = this.#pipeline(text)
    const { nodes: body, end } = this.#block()
    if (end === undefined) throw templateError('unexpected EOF')
    if (end === 'end') return { kind, pipeline, body, otherwise: [] }
    const chained = /^else\s+(if|with)\b(.*)$/s.exec(end)
    if (chained !== null) return { kind, pipeline, body, otherwise: [this.#control(chained[1] as 'if' | 'with', chained[2]!)] }
    const otherwise = this.#block()
    if (otherwise.end !== 'end') throw templateError('expected end; found {{else}}')
    return { kind, pipeline, body, otherwise: otherwise.nodes }
  }

  #pipeline(text: string): Pipeline {
    const tokens = scan(text)
    const target = this.#target(tokens)
    const pipeline = { target, commands: this.#commands(tokens) }
    if (tokens.length > 0) throw templateError(`unexpected <${tokens[0]}> in command`)
    return pipeline
  }

  #target(tokens: string[]): Pipeline['target'] {
    if (!tokens[0]?.startsWith('$')) return undefined
    const isPair = tokens[1] === ','
    const operator = tokens[isPair ? 3 : 1]
    if (operator !== ':=' && operator !== '=') return undefined
    const names = tokens.splice(0, isPair ? 4 : 2)
    const [name, index] = isPair ? [names[2]!, names[0]!] : [names[0]!, undefined]
    if (operator === ':=') for (const one of [name, index]) if (one !== undefined) this.#variables.add(one)
    return { name, index, declares: operator === ':=' }
  }

  #commands(tokens: string[]): (readonly Argument[])[] {
    const commands: (readonly Argument[])[] = []
    for (;;) {
      const command: Argument[] = []
      while (tokens.length > 0 && tokens[0] !== '|' && tokens[0] !== ')') command.push(this.#argument(tokens))
      if (command.length === 0) throw templateError('missing value for command')
      commands.push(command)
      if (tokens[0] !== '|') return commands
      tokens.shift()
    }
  }

  #argument(tokens: string[]): Argument {
    const token = tokens.shift()!
    if (token === '(') {
      const commands = this.#commands(tokens)
      if (tokens.shift() !== ')') throw templateError('unclosed left paren')
      const path = chainOf(tokens)
      return { kind: 'pipeline', pipeline: { target: undefined, commands }, path }
    }
    if (token === '.') return { kind: 'field', path: [] }
    if (token.startsWith('.')) return { kind: 'field', path: token.slice(1).split('.') }
    if (token.startsWith('$')) {
      if (!this.#variables.has(token)) throw templateError(`undefined variable "${token}"`)
      const path = chainOf(tokens)
      return { kind: 'variable', name: token, path }
    }
    if (token[0] === '"' || token[0] === '`') return { kind: 'value', value: unquote(token) }
    if (token[0] === "'") return { kind: 'value', value: unquote(`"${token.slice(1, -1)}"`).codePointAt(0)! }
    if (/^[+-]?\d/.test(token)) return { kind: 'value', value: Number(token) }
    if (token === 'true' || token === 'false') return { kind: 'value', value: token === 'true' }
    if (token === 'nil') return { kind: 'value', value: undefined }
    if (!/^[A-Za-z_]/.test(token)) throw templateError(`unexpected "${token}" in operand`)
    if (!this.#isFunction(token)) throw templateError(`function "${token}" not defined`)
    return { kind: 'function', name: token }
  }
}

/** Before a field that belongs to what is in front of it. */
const CHAIN = '>'

function chainOf(tokens: string[]): string[] {
  return tokens[0]?.startsWith(CHAIN) === true ? tokens.shift()!.slice(2).split('.') : []
}

/** Tokens of an action. A field directly behind a variable or a parenthesis belongs to it, one behind white space doesn't. */
function scan(text: string): string[] {
  const out: string[] = []
  for (let at = 0; at < text.length;) {
    TOKEN.lastIndex = at
    const token = TOKEN.exec(text)?.[0]
    if (token === undefined) throw templateError(`unexpected ${JSON.stringify(text[at])} in command`)
    const isChained = token.startsWith('.') && token !== '.' && /[\w)]/.test(text[at - 1] ?? '')
    if (token.trim() !== '') out.push(isChained ? `${CHAIN}${token}` : token)
    at = TOKEN.lastIndex
  }
  return out
}
