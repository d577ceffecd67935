/**
 * What can be told about a line filter's pattern without an automaton: whether it is a plain text (perhaps between `.*`), and a text that every
 * matching line must hold. Only what is certain is told; everything else goes to `lib/regexp`.
 */
const SPECIAL = '\\.+*?()|[]{}^$'

/** The text a pattern without operators stands for; undefined where it has one. `.*` at either end says nothing about a line without newlines. */
export function plainText(pattern: string): string | undefined {
  let out = ''
  for (let i = 0; i < pattern.length; i++) {
    const ch = pattern[i]!
    if (ch === '\\') {
      const next = pattern[++i]
      if (next === undefined || !SPECIAL.concat('-/"\' =:,;<>@#%&!~`').includes(next)) return undefined
      out += next
    } else if (SPECIAL.includes(ch)) return undefined
    else out += ch
  }
  return out
}

/** The longest run of plain characters outside groups and classes; '' where none is certain. */
export function requiredText(pattern: string): string {
  // Flags change what a character means, an alternation makes each side optional.
  if (pattern.includes('(?') || pattern.includes('|')) return ''
  let best = ''
  let run = ''
  const close = (): void => {
    if (run.length > best.length) best = run
    run = ''
  }
  let depth = 0
  for (let i = 0; i < pattern.length; i++) {
    const ch = pattern[i]!
    if (ch === '[') {
      close()
      i = endOfClass(pattern, i)
    } else if (ch === '(' || ch === ')') {
      close()
      depth += ch === '(' ? 1 : -1
    } else if (ch === '*' || ch === '?' || ch === '{') {
      // The character before may be absent.
      run = run.slice(0, -1)
      close()
      if (ch === '{') i = Math.max(i, pattern.indexOf('}', i))
    } else if (ch === '\\') {
      const next = pattern[++i] ?? ''
      if (/[A-Za-z0-9]/.test(next)) {
        // \Q…\E, \pL, \x41: what follows isn't plain.
        if (!/[dDwWsSbB]/.test(next)) return ''
        close()
      } else if (depth === 0) run += next
    } else if (SPECIAL.includes(ch)) close()
    else if (depth === 0) run += ch
  }
  close()
  return best.isWellFormed() ? best : ''
}

function endOfClass(pattern: string, at: number): number {
  let i = at + 1
  if (pattern[i] === '^') i++
  if (pattern[i] === ']') i++
  while (i < pattern.length && pattern[i] !== ']') {
    if (pattern[i] === '\\') i++
    else if (pattern[i] === '[' && pattern[i + 1] === ':') i = Math.max(i, pattern.indexOf(':]', i) + 1)
    i++
  }
  return i
}
