/**
 * What an anchored pattern is, where it needs no automaton:
 *
 *   exact   a        alternation of literals  a|b|c, (a|b), x(a|b)y
 *   prefix  a.*  a.+      suffix  .*a      contains  .*a.*      any  .*      some  .+
 *
 * `null` where the pattern is anything else. Literals may hold escaped punctuation (`a\.b`).
 */
export type LiteralPattern =
  | { readonly kind: 'set'; readonly values: readonly string[] }
  | { readonly kind: 'prefix' | 'suffix' | 'contains'; readonly text: string; readonly restMin: 0 | 1 }
  | { readonly kind: 'any' | 'some' }

/** An alternation is expanded up to this many values. */
const VALUES_MAX = 1024

const SPECIAL = new Set('\\.+*?()|[]{}^$')

export function literalPattern(pattern: string): LiteralPattern | null {
  if (pattern === '.*') return { kind: 'any' }
  if (pattern === '.+') return { kind: 'some' }
  const values = alternation(pattern)
  if (values !== null) return { kind: 'set', values }
  return affix(pattern)
}

function affix(pattern: string): LiteralPattern | null {
  const head = pattern.startsWith('.*') ? 0 : pattern.startsWith('.+') ? 1 : -1
  const body = head === -1 ? pattern : pattern.slice(2)
  const tail = backslashesBefore(body, body.length - 2) % 2 === 1 ? -1 : body.endsWith('.*') ? 0 : body.endsWith('.+') ? 1 : -1
  const text = plain(tail === -1 ? body : body.slice(0, -2))
  if (text === null || text === '') return null
  if (head === -1 && tail !== -1) return { kind: 'prefix', text, restMin: tail as 0 | 1 }
  if (head !== -1 && tail === -1) return { kind: 'suffix', text, restMin: head as 0 | 1 }
  if (head === 0 && tail === 0) return { kind: 'contains', text, restMin: 0 }
  return null
}

function backslashesBefore(text: string, end: number): number {
  let count = 0
  while (text[end - 1 - count] === '\\') count++
  return count
}

/** The text a pattern without operators stands for; null where it has one. */
function plain(pattern: string): string | null {
  let out = ''
  for (let i = 0; i < pattern.length; i++) {
    const ch = pattern[i]!
    if (ch === '\\') {
      const next = pattern[++i]
      if (next === undefined || !isPunctuation(next)) return null
      out += next
    } else if (SPECIAL.has(ch)) return null
    else out += ch
  }
  return out
}

function isPunctuation(ch: string): boolean {
  return ch.length === 1 && ch > ' ' && ch < '\u007f' && !/[0-9A-Za-z]/.test(ch)
}

/** The values of `a|b`, `(a|b)`, `x(?:a|b)y`; null where the pattern has other operators. */
function alternation(pattern: string): string[] | null {
  const open = pattern.indexOf('(')
  if (open === -1) return splitPlain(pattern)
  const close = pattern.lastIndexOf(')')
  if (close === -1) return null
  const before = plain(pattern.slice(0, open))
  const after = plain(pattern.slice(close + 1))
  if (before === null || after === null) return null
  const inner = pattern.slice(open + 1, close)
  const values = splitPlain(inner.startsWith('?:') ? inner.slice(2) : inner)
  return values === null ? null : values.map((value) => before + value + after)
}

function splitPlain(pattern: string): string[] | null {
  const out = new Set<string>()
  let from = 0
  for (let i = 0; i <= pattern.length; i++) {
    if (pattern[i] === '\\') i++
    else if (i === pattern.length || pattern[i] === '|') {
      const value = plain(pattern.slice(from, i))
      if (value === null) return null
      out.add(value)
      if (out.size > VALUES_MAX) return null
      from = i + 1
    }
  }
  return [...out]
}
