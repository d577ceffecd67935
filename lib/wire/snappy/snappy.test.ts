import fc from 'fast-check'
import { compressSync, uncompressSync } from 'snappy'
import { describe, expect, test } from 'vitest'
import { kindOf } from '../../runtime/errors.ts'
import { snappyDecode, snappyEncode } from './index.ts'

const MIB = 1024 * 1024

/** Content with repeats, so that every kind of copy comes about. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 90 }), fc.nat({ max: 300 })), { maxLength: 20 })
  .map((parts) => Buffer.concat(parts.flatMap(([bytes, times]) => Array.from({ length: times }, () => Buffer.from(bytes)))))

describe('snappy block', () => {
  test('what the package compressed comes back', () => {
    fc.assert(
      fc.property(repetitive, (content) => {
        expect(snappyDecode(compressSync(content), MIB * 4).equals(content)).toBe(true)
      }),
    )
  })

  test('what we compress is what the package reads', () => {
    fc.assert(
      fc.property(repetitive, (content) => {
        expect(Buffer.from(uncompressSync(snappyEncode(content)) as Buffer).equals(content)).toBe(true)
      }),
    )
  })

  test('copies with four bytes of offset and literals with long lengths', () => {
    const literal = Buffer.alloc(70_000, 'abcdefg')
    const block = Buffer.concat([
      Buffer.from([0xf4, 0xa2, 0x04]), // 70,004
      Buffer.from([62 << 2, 0x6f, 0x11, 0x01]), // 70,000 - 1 in three bytes
      literal,
      Buffer.from([(3 << 2) | 3, 0x70, 0x11, 0x01, 0x00]), // 4 bytes from 70,000 back
    ])
    expect(snappyDecode(block, MIB).subarray(70_000).toString()).toBe('abcd')
  })

  /** The content, or the kind of error. */
  const outcome = (bytes: Uint8Array): Buffer | string => {
    try {
      return snappyDecode(bytes, MIB)
    } catch (error) {
      return kindOf(error)
    }
  }

  test('any bytes: bad_data, or what the package makes of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const ours = outcome(bytes)
        const verdict = typeof ours === 'string' ? ours : Buffer.from(uncompressSync(bytes) as Buffer).equals(ours)
        expect([true, 'bad_data', 'too_large']).toContain(verdict)
      }),
      { numRuns: 2000 },
    )
  })

  test('one changed byte of a real block gives a value or bad_data', () => {
    const block = new Uint8Array(compressSync(Buffer.from('series{a="b"} '.repeat(200))))
    fc.assert(
      fc.property(fc.nat({ max: block.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const ours = outcome(block.with(at, byte))
        expect(typeof ours === 'string' ? ours : ours.length <= MIB).toBeOneOf([true, 'bad_data', 'too_large'])
      }),
    )
  })

  test('a declared length over the limit is refused before memory is taken', () => {
    expect(() => snappyDecode(Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0x0f]), MIB)).toThrow(/4294967295 bytes, at most 1048576/)
    expect(() => snappyDecode(Uint8Array.from([0xff, 0xff, 0x3f, 0]), MIB * 4)).toThrow(/can't hold/)
  })
})
