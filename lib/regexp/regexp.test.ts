import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileMatcher, compileRegexp, quoteRegexp } from './index.ts'
import { literalPattern } from './literal.ts'

const TEXTS = ['', 'a', 'b', 'ab', 'a.b', 'axb', 'aab', 'ba', 'xay', 'a\nb', 'a|b', 'abc', 'prefix-a']

describe('label matchers', () => {
  test.each(['a', 'a|b', '(a|b)', 'x(?:a|b)y', 'a.*', 'a.+', '.*a', '.+a', '.*a.*', '.*', '.+', 'a\\.b', 'a\\|b', '', 'a|', 'a\\\\.*'])(
    'the short cut for %s answers as the automaton does',
    (pattern) => {
      expect(literalPattern(pattern)).not.toBeNull()
      const slow = compileRegexp(pattern, { anchored: true })
      const fast = compileMatcher({ name: 'x', op: '=~', value: pattern })
      const not = compileMatcher({ name: 'x', op: '!~', value: pattern })
      for (const text of [...TEXTS, 'a\\', 'a\\x']) {
        expect([text, fast.matches(text)]).toEqual([text, slow.test(text)])
        expect(not.matches(text)).toBe(!slow.test(text))
      }
    },
  )

  test('any pattern of literals and wildcards answers as the automaton does', () => {
    const part = fc.constantFrom('a', 'b', '.*', '.+', '|', '(', ')', '\\.', '\\', '.', '(?:')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), fc.constantFrom(...TEXTS), (parts, text) => {
        const pattern = parts.join('')
        let slow: boolean
        try {
          slow = compileRegexp(pattern, { anchored: true }).test(text)
        } catch {
          return
        }
        expect(compileMatcher({ name: 'x', op: '=~', value: pattern }).matches(text)).toBe(slow)
      }),
    )
  })

  test('values that alone can match are told', () => {
    expect(compileMatcher({ name: 'x', op: '=~', value: 'a|b' }).literals).toEqual(['a', 'b'])
    expect(compileMatcher({ name: 'x', op: '=', value: 'a' }).literals).toEqual(['a'])
    expect(compileMatcher({ name: 'x', op: '=~', value: 'a.*' }).literals).toBeUndefined()
  })

  test('an invalid pattern is refused with the text of Go', () => {
    expect(() => compileMatcher({ name: 'x', op: '=~', value: '(.*' })).toThrow('error parsing regexp: missing closing ): `^(?s:(.*)$`')
  })

  test('nested quantifiers take linear time', () => {
    const started = performance.now()
    expect(compileMatcher({ name: 'x', op: '=~', value: '(a+)+b' }).matches('a'.repeat(20_000))).toBe(false)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

describe('captures', () => {
  test('templates follow Go', () => {
    const regexp = compileRegexp('(?P<first>[a-z]+)-(\\d+)', { anchored: true })
    expect(regexp.expand('$2/${first}/$$/$1x/$', 'ab-12')).toBe('12/ab/$//$')
    expect(regexp.expand('$1', 'nothing')).toBeNull()
  })

  test('all matches are replaced', () => {
    expect(compileRegexp('a(b?)').replaceAll('ab a x', '<$1>')).toBe('<b> <> x')
    expect(compileRegexp('a').findAll('aba', 10)).toEqual([
      { start: 0, end: 1 },
      { start: 2, end: 3 },
    ])
  })

  test('quoted text matches itself', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(compileRegexp(quoteRegexp(text), { anchored: true }).test(text)).toBe(true)
      }),
    )
  })
})
