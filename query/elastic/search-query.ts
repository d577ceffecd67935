/**
 * What Elasticsearch can tell of a scan. Every condition here holds for all lines that are wanted, and for others too: who reads compares matchers and needles again, with the
 * language's own meaning of patterns, of labels that are absent, and of bytes.
 */
import type { Matcher } from '../../lib/model/index.ts'
import type { LogScan, NanoTime } from '../store/index.ts'
import { escapedName, pairOf, PAIR_LENGTH_MAX, TimestampWriter } from './document.ts'
import { wordQueries } from './words.ts'

export type Clause = Readonly<Record<string, unknown>>

/** A label and a value that every wanted line has, in its stream or its metadata. */
export interface WantedPair {
  readonly name: string
  readonly value: string
}

/** Values of one alternation that are asked for one by one. */
const LITERALS_MAX = 1000

/** The lines of one tenant in a range of time. Every query goes through here: there is no other way to a document. */
export function inRange(tenant: string, start: NanoTime, end: NanoTime): Clause[] {
  const timestamps = new TimestampWriter()
  const gte = timestamps.write(Math.max(0, start.ms), start.ms < 0 ? 0 : start.subNs)
  const lt = timestamps.write(Math.max(0, end.ms), end.ms < 0 ? 0 : end.subNs)
  return [{ term: { tenant } }, { range: { '@timestamp': { gte: earlier(gte), lt: earlier(lt) } } }]
}

/** date_nanos ends here. */
const LATEST = '2262-04-11T23:47:16.854775807Z'

function earlier(timestamp: string): string {
  return timestamp.length > LATEST.length || timestamp > LATEST ? LATEST : timestamp
}

/** Conditions on labels that the matchers imply. */
export function matcherClauses(matchers: readonly Matcher[]): Clause[] {
  return matchers.flatMap((matcher): Clause[] => {
    const { name, op, literals } = matcher
    // The empty value also means streams without the label; a negation says nothing that an index is good at.
    if (op === '!=' || op === '!~' || matcher.matches('')) return []
    if (literals !== undefined && literals.length <= LITERALS_MAX && literals.every((value) => isFindable(name, value))) {
      return [{ terms: { labels: literals.map((value) => pairOf(name, value)) } }]
    }
    return [{ prefix: { labels: { value: `${escapedName(name)}=` } } }]
  })
}

/** Whether the clauses say all there is to say, or all that pays. */
export function isSelective({ op, literals, value }: Matcher): boolean {
  return op === '!=' || op === '!~' || literals !== undefined || value === '.+' || value === '.*'
}

function isFindable(name: string, value: string): boolean {
  return pairOf(name, value).length <= PAIR_LENGTH_MAX
}

/** Conditions on the line that the needles imply; lines with a word that is cut are always among the answers. */
export function needleClauses(needles: readonly string[]): Clause[] {
  const filter = needles.flatMap((needle) => wordQueries(needle))
  return filter.length === 0 ? [] : [{ bool: { should: [{ bool: { filter } }, { term: { long: true } }], minimum_should_match: 1 } }]
}

function pairClauses(pairs: readonly WantedPair[]): Clause[] {
  return pairs
    .filter(({ name, value }) => isFindable(name, value))
    .map(({ name, value }) => {
      const pair = pairOf(name, value)
      return { bool: { should: [{ term: { metadata: pair } }, { term: { labels: pair } }], minimum_should_match: 1 } }
    })
}

export function scanClauses(tenant: string, scan: LogScan, pairs: readonly WantedPair[]): Clause[] {
  return [...inRange(tenant, scan.start, scan.end), ...matcherClauses(scan.matchers), ...needleClauses(scan.needles), ...pairClauses(pairs)]
}
