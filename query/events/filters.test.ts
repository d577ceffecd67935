import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildFilter, mayContain } from './index.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

describe('block filters', () => {
  test('never rule out a text that is there', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'C', '1', ' ', '/', '"', 'é', '='), maxLength: 300 })
    fc.assert(
      fc.property(text, fc.nat(300), fc.nat(40), (whole, from, length) => {
        const all = bytes(whole)
        const needle = all.subarray(Math.min(from, all.length), Math.min(from + length, all.length))
        expect(mayContain(buildFilter(all), needle)).toBe(true)
      }),
    )
  })

  test('rule out most of what is not there', () => {
    const lines = Array.from(
      { length: 5000 },
      (_, i) => `level=info path=/api/items/${i} trace=${(i * 2654435761).toString(16)} took ${i % 97}ms`,
    ).join('')
    const filter = buildFilter(bytes(lines))
    const absent = Array.from({ length: 500 }, (_, i) => `=${((i + 7_000_000) * 40503).toString(16)}zq `)
    expect(absent.filter((needle) => mayContain(filter, bytes(needle))).length).toBeLessThan(25)
    expect(mayContain(filter, bytes('path=/api/items/4999 '))).toBe(true)
    expect(filter.length).toBeLessThan(lines.length / 4)
  })
})
