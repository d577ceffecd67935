/** The textual form of a series, `name{label="value",…}` or `{"quoted.name",…}`, to labels. The cold path: once a series. */
import { labelsOf, METRIC_NAME, type Labels } from '../../model/index.ts'
import { SightlineError } from '../../runtime/errors.ts'

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y
const SPACE = /[ \t]*/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy

/**
 * Labels of a series' text. Errors: bad_data for anything that isn't one, a label given twice among them.
 */
export function parseSeries(text: string): Labels {
  const pairs = new Map<string, string>()
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  const fail = (expected: string): never => {
    throw new SightlineError(
      'bad_data',
      `cannot parse series ${JSON.stringify(text.slice(0, 200))}: expected ${expected} at position ${at + 1}`,
    )
  }
  const name = take(NAME)
  if (name !== null) pairs.set(METRIC_NAME, name[0])
  take(SPACE)
  if (text[at] !== '{') {
    if (name === null || at !== text.length) fail('a metric name')
    return labelsOf(pairs)
  }
  at++
  for (;;) {
    take(SPACE)
    if (text[at] === '}') break
    const quoted = take(QUOTED)
    const label = quoted === null ? take(LABEL_NAME)?.[0] : unescapeText(quoted[1]!)
    if (label === undefined || label === '') fail('a label name')
    take(SPACE)
    if (text[at] === '=') {
      at++
      take(SPACE)
      const value = take(QUOTED) ?? fail('a quoted label value')
      if (pairs.has(label!)) fail(`label ${label} once, found it twice`)
      pairs.set(label!, unescapeText(value[1]!))
    } else if (quoted !== null && !pairs.has(METRIC_NAME)) pairs.set(METRIC_NAME, label!)
    else fail('"="')
    take(SPACE)
    if (text[at] === ',') at++
    else if (text[at] !== '}') fail('"," or "}"')
  }
  at++
  if (at !== text.length || !pairs.has(METRIC_NAME)) fail(pairs.has(METRIC_NAME) ? 'the end' : 'a metric name')
  return labelsOf(pairs)
}

/** `\\`, `\"` and `\n`; any other backslash stays as it is. */
export function unescapeText(text: string): string {
  return text.includes('\\') ? text.replaceAll(/\\(["\\n])/g, (_, what: string) => (what === 'n' ? '\n' : what)) : text
}

/** One past the series' last byte in a line that begins at `at`; quotes may hold spaces and braces. */
export function seriesEnd(bytes: Buffer, at: number, lineEnd: number): number {
  let p = at
  while (p < lineEnd && bytes[p] !== 123 && bytes[p] !== 32 && bytes[p] !== 9) p++
  if (bytes[p] === 32 || bytes[p] === 9) {
    // `name {…} 1` is allowed: blanks before the brace belong to the series.
    let q = p
    while (q < lineEnd && (bytes[q] === 32 || bytes[q] === 9)) q++
    if (bytes[q] !== 123) return p
    p = q
  }
  if (bytes[p] !== 123) return p
  let inQuotes = false
  for (; p < lineEnd; p++) {
    const byte = bytes[p]!
    if (inQuotes && byte === 92) p++
    else if (byte === 34) inQuotes = !inQuotes
    else if (byte === 125 && !inQuotes) return p + 1
  }
  return lineEnd
}
