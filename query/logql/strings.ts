/** String literals in Go's notation. Lines are UTF-8, so a byte escape that isn't (`"\xff"`) becomes the replacement character. */
import { SightlineError } from '../../lib/runtime/errors.ts'

const SIMPLE: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}
const ESCAPE = /\\(?:([abfnrtv\\'"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)/g

/**
 * The value of a quoted literal, quotes included; backquoted text is taken as it is.
 * @throws bad_data "invalid syntax" where an escape is invalid
 */
export function unquote(literal: string): string {
  const body = literal.slice(1, -1)
  if (literal[0] === '`' || !body.includes('\\')) return body
  const chunks: Buffer[] = []
  let from = 0
  for (const match of body.matchAll(ESCAPE)) {
    chunks.push(Buffer.from(body.slice(from, match.index)), escaped(match))
    from = match.index + match[0].length
  }
  chunks.push(Buffer.from(body.slice(from)))
  return Buffer.concat(chunks).toString()
}

function escaped([, simple, octal, hex, short, long]: RegExpExecArray): Buffer {
  if (simple !== undefined) return Buffer.from(SIMPLE[simple]!)
  const byte = octal === undefined ? hex && Number.parseInt(hex, 16) : Number.parseInt(octal, 8)
  if (typeof byte === 'number' && byte < 256) return Buffer.of(byte)
  const code = Number.parseInt(short ?? long ?? '', 16)
  if (Number.isNaN(code) || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) throw new SightlineError('bad_data', 'invalid syntax')
  return Buffer.from(String.fromCodePoint(code))
}

/** A literal that `unquote` reads back: double quotes. */
export function quote(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\x7f')
}
