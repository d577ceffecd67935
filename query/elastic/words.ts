/**
 * Finding lines by a part of their text with an index of words. Elasticsearch's `standard` tokenizer cuts a line by Unicode's word boundaries (UAX #29). What a needle says about words
 * is little, but certain: a run of ASCII letters and digits is never cut, so it lies in one word; and beside certain characters (a space, a bracket, `=`, `/`, …) there is
 * always a boundary, so a run with such a neighbour begins or ends its word. From that follow queries on the words of a line that every line with the needle fulfils. They select
 * more than the needle: whoever asks compares the lines.
 *
 * The one exception is a word longer than the tokenizer's limit, which is cut anywhere: lines that may hold one are marked (`hasLongWord`) and always asked for.
 */

/** `max_token_length` of the tokenizer, in UTF-16 units. */
export const WORD_LENGTH_MAX = 255
/** Shorter parts of words select too much for what looking through the dictionary costs. */
const PART_LENGTH_MIN = 3
/** Conditions of one needle: the longest words say most. */
const CONDITIONS_MAX = 6

export type WordQuery =
  | { readonly term: { readonly line: { readonly value: string } } }
  | { readonly prefix: { readonly line: { readonly value: string } } }
  | { readonly wildcard: { readonly line: { readonly value: string } } }

const LETTER_OR_DIGIT = 1
const SURE_BOUNDARY = 2
/** Underscore joins words, and `.` `:` `,` `;` `'` may stand inside one; other characters are unknown here. */
const CLASS = classTable()

function classTable(): Uint8Array {
  const table = new Uint8Array(256)
  for (let code = 0; code < 128; code++) table[code] = SURE_BOUNDARY
  for (const ch of "_.:,;'") table[ch.charCodeAt(0)] = 0
  for (const [from, to] of ['09', 'AZ', 'az'].map((range) => [range.charCodeAt(0), range.charCodeAt(1)] as const)) {
    for (let code = from; code <= to; code++) table[code] = LETTER_OR_DIGIT
  }
  return table
}

const RUN = /[0-9A-Za-z]+/g

/** Conditions that every line holding the needle fulfils; none where the needle says nothing about words. */
export function wordQueries(needle: string): WordQuery[] {
  const isBoundary = (at: number): boolean =>
    at >= 0 && at < needle.length && CLASS[needle.charCodeAt(at)] === SURE_BOUNDARY && needle.charCodeAt(at) < 128
  const found: { length: number; query: WordQuery }[] = []
  for (const { 0: run, index } of needle.matchAll(RUN)) {
    const begins = isBoundary(index - 1)
    const ends = isBoundary(index + run.length)
    if (run.length > WORD_LENGTH_MAX || (!(begins && ends) && run.length < PART_LENGTH_MIN)) continue
    found.push({ length: run.length, query: queryOf(run, begins, ends) })
  }
  return found
    .sort((a, b) => b.length - a.length)
    .slice(0, CONDITIONS_MAX)
    .map(({ query }) => query)
}

function queryOf(run: string, begins: boolean, ends: boolean): WordQuery {
  if (begins && ends) return { term: { line: { value: run } } }
  if (begins) return { prefix: { line: { value: run } } }
  return { wildcard: { line: { value: ends ? `*${run}` : `*${run}*` } } }
}

/** Whether a line may hold a word that the tokenizer cuts: `WORD_LENGTH_MAX` bytes without a sure boundary. Bytes are UTF-8, at least as many as units. */
export function hasLongWord(line: Uint8Array): boolean {
  if (line.length < WORD_LENGTH_MAX) return false
  let run = 0
  for (let i = 0; i < line.length; i++) {
    // A double quote joins Hebrew letters: it counts only beside ASCII.
    const isQuoteInText = line[i] === 0x22 && line[i - 1]! >= 128 && line[i + 1]! >= 128
    if (CLASS[line[i]!] === SURE_BOUNDARY && !isQuoteInText) run = 0
    else if (++run >= WORD_LENGTH_MAX) return true
  }
  return false
}
