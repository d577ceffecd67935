import type { Matcher, MatcherSpec } from '../model/index.ts'
import { literalPattern } from './literal.ts'
import { compileRegexp } from './regexp.ts'

/**
 * A label matcher ready for use. `literals` is set where only a known few values can match (`=` and `=~` alternations).
 *
 * Errors: bad_data where the pattern of `=~` or `!~` isn't RE2 syntax.
 * Source: Prometheus `labels.NewMatcher`; no known difference.
 */
export function compileMatcher(spec: MatcherSpec): Matcher {
  const { name, op, value } = spec
  switch (op) {
    case '=':
      return { name, op, value, literals: [value], matches: (text) => text === value }
    case '!=':
      return { name, op, value, matches: (text) => text !== value }
    case '=~': {
      const { test, literals } = patternTest(value)
      return literals === undefined ? { name, op, value, matches: test } : { name, op, value, literals, matches: test }
    }
    case '!~': {
      const { test } = patternTest(value)
      return { name, op, value, matches: (text) => !test(text) }
    }
  }
}

function patternTest(pattern: string): { test: (text: string) => boolean; literals?: readonly string[] } {
  const literal = literalPattern(pattern)
  if (literal === null) {
    const regexp = compileRegexp(pattern, { anchored: true })
    return { test: (text) => regexp.test(text) }
  }
  switch (literal.kind) {
    case 'any':
      return { test: () => true }
    case 'some':
      return { test: (text) => text !== '' }
    case 'set': {
      if (literal.values.length === 1) {
        const only = literal.values[0]!
        return { test: (text) => text === only, literals: literal.values }
      }
      const values = new Set(literal.values)
      return { test: (text) => values.has(text), literals: literal.values }
    }
    case 'prefix': {
      const { text: prefix, restMin } = literal
      return { test: (text) => text.length >= prefix.length + restMin && text.startsWith(prefix) }
    }
    case 'suffix': {
      const { text: suffix, restMin } = literal
      return { test: (text) => text.length >= suffix.length + restMin && text.endsWith(suffix) }
    }
    case 'contains': {
      const part = literal.text
      return { test: (text) => text.includes(part) }
    }
  }
}
