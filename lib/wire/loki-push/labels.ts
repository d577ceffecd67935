import { labelsOf, type Labels } from '../../model/index.ts'
import { SightlineError } from '../../runtime/errors.ts'

const NAME = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*/y
const QUOTED = /"((?:[^"\\\n]|\\.)*)"|`([^`]*)`/y
const NEXT = /\s*([,}])\s*/y
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gs
const ESCAPED: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
}

/**
 * The label set of `{a="b", c="d"}`: names are Prometheus', values Go strings in double quotes or backticks.
 * Errors: `bad_data` with the text and the position.
 */
export function parseStreamLabels(text: string): Labels {
  const pairs = new Map<string, string>()
  let at = /^\s*\{\s*/.exec(text)?.[0].length ?? -1
  if (at === -1) throw wrong(text, 0, 'a "{" is missing')
  if (/^\}\s*$/.test(text.slice(at))) return []
  for (;;) {
    const name = matchAt(NAME, text, at)
    if (name === undefined) throw wrong(text, at, 'a label name and "=" are missing')
    at = NAME.lastIndex
    const value = matchAt(QUOTED, text, at)
    if (value === undefined) throw wrong(text, at, 'a quoted value is missing')
    at = QUOTED.lastIndex
    if (pairs.has(name[1]!)) throw wrong(text, at, `label ${name[1]} is given twice`)
    pairs.set(name[1]!, value[2] ?? unescape(value[1]!, text, at))
    const next = matchAt(NEXT, text, at)
    if (next === undefined) throw wrong(text, at, 'a "," or "}" is missing')
    at = NEXT.lastIndex
    if (next[1] === '}') break
    if (/^\}\s*$/.test(text.slice(at))) return labelsOf(pairs)
  }
  if (at !== text.length) throw wrong(text, at, 'there is text after "}"')
  return labelsOf(pairs)
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at
  return pattern.exec(text) ?? undefined
}

function unescape(body: string, text: string, at: number): string {
  if (!body.includes('\\')) return body
  return body.replace(ESCAPE, (_, hex?: string, short?: string, long?: string, octal?: string, one?: string) => {
    const code = hex ?? short ?? long
    if (code !== undefined) {
      const point = Number.parseInt(code, 16)
      if (point > 0x10ffff) throw wrong(text, at, 'an escape is no character')
      return String.fromCodePoint(point)
    }
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8) & 0xff)
    const plain = Object.hasOwn(ESCAPED, one!) ? ESCAPED[one!] : undefined
    if (plain === undefined) throw wrong(text, at, `"\\${one}" is no escape`)
    return plain
  })
}

function wrong(text: string, at: number, cause: string): SightlineError {
  return new SightlineError('bad_data', `error parsing labels '${text.slice(0, 200)}' with error: ${cause} at character ${at}`)
}
