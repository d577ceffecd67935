import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { RowsWriter } from '../../lib/wire/rows/index.ts'
import { ROWS_MAX, ValueCodec, blockOf } from './values.ts'

const codec = new ValueCodec()

function roundTrip(values: readonly number[]): { values: number[]; bytes: number; end: number } {
  const out = new RowsWriter()
  codec.encode(out, Float64Array.from(values), values.length)
  const decoded = new Float64Array(values.length + 2)
  const bytes = out.finish()
  const end = codec.decode(blockOf(bytes), 0, values.length, decoded, 1)
  expect(decoded[0]).toBe(0)
  expect(decoded[values.length + 1]).toBe(0)
  return { values: [...decoded.subarray(1, values.length + 1)], bytes: bytes.length, end }
}

const decimals = fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 6 })).map(([n, e]) => n / 10 ** e)
const odd = fc.constantFrom(NaN, Infinity, -Infinity, -0, 0, 5e-324, 1.7976931348623157e308, 2 ** 53, -(2 ** 52), 0.1 + 0.2)
const runs = fc.oneof(
  fc.array(fc.double(), { maxLength: 300 }),
  fc.array(decimals, { maxLength: 300 }),
  fc.array(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), { maxLength: 300 }),
  fc.array(fc.maxSafeInteger(), { maxLength: 300 }),
  fc.array(fc.oneof({ weight: 20, arbitrary: decimals }, { weight: 1, arbitrary: odd }), { maxLength: 300 }),
  fc.array(odd, { maxLength: 40 }),
  fc
    .tuple(fc.integer(), fc.integer({ min: 1, max: 4096 }), fc.nat(300))
    .map(([from, step, n]) => Array.from({ length: n }, (_, i) => from + i * step)),
  fc.tuple(fc.double(), fc.nat(50)).map(([value, n]) => Array.from({ length: n }, () => value)),
)

describe('a run of values', () => {
  test('decodes to the same doubles', () => {
    fc.assert(
      fc.property(runs, (values) => {
        const back = roundTrip(values)
        expect(back.values).toEqual(values)
        expect(back.end).toBe(back.bytes)
      }),
      { numRuns: 2000 },
    )
  })

  test('of the greatest length decodes to the same', () => {
    const values = Array.from({ length: ROWS_MAX }, (_, i) => (i % 7 === 0 ? i * 1e9 : i / 8))
    expect(roundTrip(values).values).toEqual(values)
  })

  test('takes few bytes where it is a counter, a decimal gauge, a multiple of pages or constant', () => {
    const bytesOf = (make: (i: number) => number): number => roundTrip(Array.from({ length: 120 }, (_, i) => make(i))).bytes
    let total = 1e6
    expect(bytesOf((i) => (total += (i * 7919) % 1000))).toBeLessThan(170)
    expect(bytesOf((i) => ((i * 31) % 100) / 100)).toBeLessThan(125)
    expect(bytesOf((i) => 4096 * (1000 + ((i * 13) % 50)))).toBeLessThan(110)
    expect(bytesOf(() => 17.25)).toBeLessThan(12)
    expect(bytesOf((i) => 1_700_000_000_000 + i * 15_000)).toBeLessThan(24)
    expect(bytesOf((i) => Math.sin(i))).toBeLessThan(120 * 8 + 8)
  })

  test('with a codec that is not known is corruption', () => {
    expect(() => codec.decode(blockOf(Uint8Array.of(99, 0, 0, 0)), 0, 1, new Float64Array(1), 0)).toThrow(/codec 99 is not known/)
  })
})
