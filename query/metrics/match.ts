import type { Matcher } from '../../lib/model/index.ts'
import type { Task } from '../store/index.ts'
import type { LabelName, SeriesIndex } from './series-index.ts'

/** Work between two yields: series looked at, or values matched. */
const SLICE = 20_000

/**
 * The ids of the series that all matchers hold for, ascending.
 *
 * A matcher that an absent label fails names the postings of the values it matches; the one with the fewest series is the list of candidates. Every other matcher is
 * checked on the candidates' labels, and asked at most once for each value.
 */
export function* matchSeries(index: SeriesIndex, matchers: readonly Matcher[]): Task<Uint32Array> {
  let lists: number[] | undefined
  let chosen: Matcher | undefined
  let least = Infinity
  for (const matcher of matchers) {
    if (matcher.matches('')) continue
    const entry = index.names.get(matcher.name)
    if (entry === undefined) return new Uint32Array(0)
    const own: number[] = []
    let total = 0
    for (const pair of yield* matchingPairs(entry, matcher)) {
      own.push(pair)
      total += index.postings.length(pair)
    }
    if (total === 0) return new Uint32Array(0)
    if (total >= least) continue
    least = total
    lists = own
    chosen = matcher
  }
  const candidates = lists === undefined ? allSeries(index.size) : union(index, lists)
  const rest = matchers.filter((matcher) => matcher !== chosen)
  return rest.length === 0 ? candidates : yield* filterSeries(index, candidates, rest)
}

function* matchingPairs(entry: LabelName, matcher: Matcher): Task<number[]> {
  const pairs: number[] = []
  if (matcher.literals !== undefined) {
    for (const value of matcher.literals) {
      const pair = entry.values.get(value)
      if (pair !== undefined && !pairs.includes(pair)) pairs.push(pair)
    }
    return pairs
  }
  let work = 0
  for (const [value, pair] of entry.values) {
    if (matcher.matches(value)) pairs.push(pair)
    if (++work % SLICE === 0) yield
  }
  return pairs
}

/** A series has one value a name, so the lists are disjoint. */
function union(index: SeriesIndex, lists: readonly number[]): Uint32Array {
  let total = 0
  for (const list of lists) total += index.postings.length(list)
  const out = new Uint32Array(total)
  let length = 0
  for (const list of lists) {
    out.set(index.postings.of(list), length)
    length += index.postings.length(list)
  }
  return lists.length > 1 ? out.sort() : out
}

function allSeries(size: number): Uint32Array {
  const out = new Uint32Array(size)
  for (let id = 0; id < size; id++) out[id] = id
  return out
}

function* filterSeries(index: SeriesIndex, candidates: Uint32Array, matchers: readonly Matcher[]): Task<Uint32Array> {
  const verdicts = matchers.map((matcher) => {
    const entry = index.names.get(matcher.name)
    return { matcher, entry, absent: matcher.matches(''), byPair: new Map<number, boolean>() }
  })
  const out = new Uint32Array(candidates.length)
  let length = 0
  for (let i = 0; i < candidates.length; i++) {
    if (i % SLICE === SLICE - 1) yield
    const id = candidates[i]!
    const pairs = index.pairsOf(id)
    let holds = true
    for (const verdict of verdicts) {
      const pair = verdict.entry === undefined ? -1 : pairNamed(index, pairs, verdict.matcher.name)
      if (pair < 0) holds = verdict.absent
      else {
        let known = verdict.byPair.get(pair)
        if (known === undefined) {
          known = verdict.matcher.matches(index.pairValue(pair))
          verdict.byPair.set(pair, known)
        }
        holds = known
      }
      if (!holds) break
    }
    if (holds) out[length++] = id
  }
  return out.slice(0, length)
}

function pairNamed(index: SeriesIndex, pairs: Uint32Array, name: string): number {
  for (const pair of pairs) if (index.pairName(pair) === name) return pair
  return -1
}
