/** From a template's text to tokens: text outside of `{{ }}`, and the words inside. `{{-` and `-}}` trim white space beside them. */
import { SightlineError } from '../../lib/runtime/errors.ts'

export type TokenKind = 'text' | 'open' | 'close' | 'space' | 'string' | 'number' | 'word' | 'variable' | 'field' | 'sign'

export interface Token {
  readonly kind: TokenKind
  readonly text: string
  readonly at: number
}

const WORDS: readonly [TokenKind, RegExp][] = [
  ['space', /[ \t\r\n]+/y],
  ['string', /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'/y],
  ['number', /[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y],
  ['field', /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ['variable', /\$[\p{L}\p{N}_]*/uy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['sign', /:=|[|().,=]/y],
]

/** Errors: bad_data with the line. */
export function lexTemplate(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  let trimsNext = false
  for (;;) {
    const open = text.indexOf('{{', at)
    let plain = text.slice(at, open === -1 ? undefined : open)
    if (trimsNext) plain = plain.replace(/^[ \t\r\n]+/, '')
    const trimsBefore = open !== -1 && /^\{\{-[ \t\r\n]/.test(text.slice(open, open + 4))
    if (trimsBefore) plain = plain.replace(/[ \t\r\n]+$/, '')
    if (plain !== '') tokens.push({ kind: 'text', text: plain, at })
    if (open === -1) return tokens
    at = open + (trimsBefore ? 3 : 2)
    const comment = /[ \t\r\n]*\/\*[^]*?\*\/([ \t\r\n]-)?\}\}/y
    comment.lastIndex = at
    const found = comment.exec(text)
    if (found !== null) {
      at = comment.lastIndex
      trimsNext = found[1] !== undefined
      continue
    }
    tokens.push({ kind: 'open', text: '{{', at: open })
    const end = lexAction(text, at, tokens)
    at = end.at
    trimsNext = end.trims
  }
}

function lexAction(text: string, from: number, tokens: Token[]): { at: number; trims: boolean } {
  let at = from
  while (at < text.length) {
    const trims = /[ \t\r\n]-\}\}/y
    trims.lastIndex = at
    if (trims.test(text) || text.startsWith('}}', at)) {
      tokens.push({ kind: 'close', text: '}}', at })
      return trims.lastIndex > 0 ? { at: trims.lastIndex, trims: true } : { at: at + 2, trims: false }
    }
    const token = nextWord(text, at)
    if (token === undefined) throw problemAt(text, at, `unexpected ${JSON.stringify(text[at])} in operand`)
    tokens.push(token)
    at += token.text.length
  }
  throw problemAt(text, from, 'unclosed action')
}

function nextWord(text: string, at: number): Token | undefined {
  for (const [kind, pattern] of WORDS) {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match !== null) return { kind, text: match[0], at }
  }
  return undefined
}

/** A problem with its line, as Go counts them. */
export function problemAt(text: string, at: number, problem: string): SightlineError {
  return new SightlineError('bad_data', `${lineOf(text, at)}: ${problem}`)
}

export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}
