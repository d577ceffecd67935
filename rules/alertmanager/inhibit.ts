/** Inhibition: alerts that say nothing new while another one fires. Source: Alertmanager `inhibit/inhibit.go`. */
import { labelValue, matchesAll, type Labels, type Matcher } from '../../lib/model/index.ts'
import type { InhibitRuleConfig } from './config.ts'
import { matchersOf } from './matchers.ts'

interface InhibitRule {
  readonly source: readonly Matcher[]
  readonly target: readonly Matcher[]
  readonly equal: readonly string[]
}

/** Tells whether an alert is inhibited by one of those firing. */
export function createInhibitor(configs: readonly InhibitRuleConfig[]): (labels: Labels, firing: readonly Labels[]) => boolean {
  const rules: readonly InhibitRule[] = configs.map((config) => ({
    source: matchersOf({ match: config.source_match, matchRe: config.source_match_re, matchers: config.source_matchers }),
    target: matchersOf({ match: config.target_match, matchRe: config.target_match_re, matchers: config.target_matchers }),
    equal: config.equal,
  }))
  return (labels, firing) =>
    rules.some(({ source, target, equal }) => {
      if (!matchesAll(target, labels)) return false
      // What is on both sides can't be inhibited by its like: two such alerts would silence each other.
      const isSource = matchesAll(source, labels)
      return firing.some(
        (other) =>
          matchesAll(source, other) &&
          equal.every((name) => labelValue(labels, name) === labelValue(other, name)) &&
          !(isSource && matchesAll(target, other)),
      )
    })
}
