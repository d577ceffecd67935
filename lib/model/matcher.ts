import { labelValue, type Labels } from './labels.ts'

export type MatchOp = '=' | '!=' | '=~' | '!~'

/** A matcher as it travels between threads and nodes: compiled again where it is used. */
export interface MatcherSpec {
  readonly name: string
  readonly op: MatchOp
  readonly value: string
}

/**
 * A compiled matcher. Patterns are anchored at both ends; an absent label is the empty string.
 * Made by `compileMatcher` of `lib/regexp`.
 */
export interface Matcher extends MatcherSpec {
  matches(value: string): boolean
  /** The only values that can match, where the pattern is a plain alternation of literals or op is '='. */
  readonly literals?: readonly string[]
}

/** True when every matcher holds for the label set. */
export function matchesAll(matchers: readonly Matcher[], labels: Labels): boolean {
  for (const matcher of matchers) if (!matcher.matches(labelValue(labels, matcher.name))) return false
  return true
}
