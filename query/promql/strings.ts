/**
 * String literals in Go's notation. Go's strings are bytes: a byte that isn't UTF-8 (`"\xff"`) is held as the lone
 * surrogate U+DC00 + byte, which decoded text never contains.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'

const SIMPLE: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, "'": 39, '"': 34 }
const DIGITS: Readonly<Record<string, { readonly count: number; readonly base: number }>> = {
  x: { count: 2, base: 16 },
  u: { count: 4, base: 16 },
  U: { count: 8, base: 16 },
}

/**
 * The value of a quoted literal, quotes included. Backquoted text is taken as it is.
 * @throws bad_data where an escape is invalid
 */
export function unquote(literal: string): string {
  const body = literal.slice(1, -1)
  if (literal[0] === '`' || !body.includes('\\')) return body
  const bytes: number[] = []
  for (let i = 0; i < body.length;) {
    const ch = String.fromCodePoint(body.codePointAt(i)!)
    if (ch !== '\\') {
      bytes.push(...Buffer.from(ch))
      i += ch.length
      continue
    }
    i = unescape(body, i + 1, bytes)
  }
  return decodeBytes(Uint8Array.from(bytes))
}

/** Reads the escape after a backslash at `at`; returns where it ends. */
function unescape(body: string, at: number, bytes: number[]): number {
  const ch = body[at]!
  const simple = SIMPLE[ch]
  if (simple !== undefined) {
    bytes.push(simple)
    return at + 1
  }
  const octal = ch >= '0' && ch <= '7'
  const { count, base } = octal ? { count: 3, base: 8 } : (DIGITS[ch] ?? { count: 0, base: 16 })
  const from = octal ? at : at + 1
  const digits = body.slice(from, from + count)
  const valid = octal ? /^[0-7]{3}$/ : /^[0-9a-fA-F]+$/
  if (digits.length < count || !valid.test(digits)) throw new SightlineError('bad_data', 'invalid syntax')
  const code = Number.parseInt(digits, base)
  if (octal || ch === 'x') {
    if (code > 255) throw new SightlineError('bad_data', 'invalid syntax')
    bytes.push(code)
  } else {
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw new SightlineError('bad_data', 'invalid syntax')
    bytes.push(...Buffer.from(String.fromCodePoint(code)))
  }
  return from + count
}

function decodeBytes(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return decodeLossless(bytes)
  }
}

function decodeLossless(bytes: Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let out = ''
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i]!
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0
    let text: string | undefined
    if (length > 0 && i + length <= bytes.length) {
      try {
        text = decoder.decode(bytes.subarray(i, i + length))
      } catch {
        text = undefined
      }
    }
    out += text ?? String.fromCharCode(0xdc00 + first)
    i += text === undefined ? 1 : length
  }
  return out
}

const NAMED: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\u000b': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}

/** Go's `%q`: double quotes, unprintable characters escaped. */
export function quote(text: string): string {
  let out = '"'
  for (const ch of text) out += NAMED[ch] ?? quoteCharacter(ch)
  return `${out}"`
}

function quoteCharacter(ch: string): string {
  const code = ch.codePointAt(0)!
  if (code >= 0x20 && code < 0x7f) return ch
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(ch)) return ch
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}

/** Go's `%q` of one character. */
export function quoteRune(ch: string): string {
  if (ch === '') return "'\ufffd'"
  if (ch === "'") return "'\\''"
  if (ch === '"') return "'\"'"
  return `'${(NAMED[ch] ?? quoteCharacter(ch)).replace(/^\\"$/, '"')}'`
}

/** True where the text holds a byte that isn't UTF-8. */
export function hasInvalidBytes(text: string): boolean {
  return /[\udc80-\udcff]/.test(text) && !text.isWellFormed()
}
