import { describe, expect, test } from 'vitest'
import { labelsOf, labelsToObject } from '../model/index.ts'
import { relabelConfig } from '../config/index.ts'
import { createRelabeler } from './index.ts'

const input = { a: 'foo', b: 'bar', c: 'baz', __meta_pod: 'p1' }

/** The labels after the rules, undefined where they were dropped. */
function apply(...rules: Record<string, unknown>[]): Record<string, string> | undefined {
  const out = createRelabeler(rules.map((rule) => relabelConfig.parse(rule))).apply(labelsOf(input))
  return out === undefined ? undefined : labelsToObject(out)
}

describe('relabeling', () => {
  test('replace writes the filled template where the joined source matches', () => {
    expect(apply({ source_labels: ['a'], regex: 'f(.*)', target_label: 'd', replacement: 'ch${1}-ch${1}' })).toEqual({
      ...input,
      d: 'choo-choo',
    })
    expect(apply({ source_labels: ['a', 'b'], regex: 'f(.*);(.*)r', target_label: 'a', replacement: 'b${1}${2}m' })).toEqual({
      ...input,
      a: 'boobam',
    })
    expect(apply({ source_labels: ['a'], regex: 'f', target_label: 'b' })).toEqual(input)
    expect(apply({ source_labels: ['a'], regex: '(f).*', target_label: '$1', replacement: 'x' })).toEqual({ ...input, f: 'x' })
  })

  test('replace with an empty result removes the label', () => {
    expect(apply({ source_labels: ['nope'], target_label: 'a' })).toEqual({ b: 'bar', c: 'baz', __meta_pod: 'p1' })
  })

  test('keep and drop decide by the anchored pattern', () => {
    expect(apply({ source_labels: ['a'], regex: 'fo', action: 'keep' })).toBeUndefined()
    expect(apply({ source_labels: ['a'], regex: 'f.o', action: 'Keep' })).toEqual(input)
    expect(apply({ source_labels: ['a'], regex: 'foo', action: 'drop' })).toBeUndefined()
  })

  test('keepequal and dropequal compare with the target label', () => {
    expect(apply({ source_labels: ['a'], target_label: 'b', action: 'keepequal' })).toBeUndefined()
    expect(apply({ source_labels: ['a'], target_label: 'b', action: 'dropequal' })).toEqual(input)
  })

  test('hashmod is the last half of the MD5, as Prometheus shards', () => {
    expect(apply({ source_labels: ['c'], target_label: 'd', action: 'hashmod', modulus: 1000 })).toEqual({ ...input, d: '976' })
    expect(apply({ source_labels: ['c'], target_label: 'd', action: 'hashmod', modulus: 10 })!['d']).toBe('6')
  })

  test('labelmap, labeldrop, labelkeep work on names', () => {
    expect(apply({ regex: '__meta_(.+)', action: 'labelmap' })).toEqual({ ...input, pod: 'p1' })
    expect(apply({ regex: '__meta_.*', action: 'labeldrop' })).toEqual({ a: 'foo', b: 'bar', c: 'baz' })
    expect(apply({ regex: 'a|b', action: 'labelkeep' })).toEqual({ a: 'foo', b: 'bar' })
  })

  test('lowercase and uppercase', () => {
    expect(
      apply(
        { source_labels: ['a'], target_label: 'u', action: 'uppercase' },
        { source_labels: ['u'], target_label: 'l', action: 'lowercase' },
      ),
    ).toEqual({
      ...input,
      u: 'FOO',
      l: 'foo',
    })
  })

  test('rules that lack what they need are refused', () => {
    expect(() => relabelConfig.parse({ action: 'hashmod', target_label: 'x' })).toThrow('requires non-zero modulus')
    expect(() => relabelConfig.parse({ action: 'replace' })).toThrow("requires 'target_label' value")
    expect(() => createRelabeler([relabelConfig.parse({ regex: '(', action: 'labeldrop' })])).toThrow('error parsing regexp')
  })
})
