import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import protobuf from 'protobufjs'
import { kindOf } from '../../runtime/errors.ts'
import { ProtoReader, ProtoWriter, millisOfNano, nanoHigh, nanoLow, nanoText, signedFromHalves, subNsOfNano } from './index.ts'

describe('nanoseconds in two halves', () => {
  test('every 64-bit value splits into milliseconds and the rest, and comes back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (nano) => {
        const low = Number(nano & 0xffffffffn)
        const high = Number(nano >> 32n)
        const ms = millisOfNano(low, high)
        const subNs = subNsOfNano(low, high)
        expect(BigInt(ms) * 1_000_000n + BigInt(subNs)).toBe(nano)
        expect(nanoLow(ms, subNs)).toBe(low)
        expect(nanoHigh(ms, subNs)).toBe(high)
        expect(nanoText(ms, subNs)).toBe(String(nano))
      }),
    )
  })

  test('signed integers beyond 2^53 keep their digits', () => {
    expect(signedFromHalves(0xffffffff, 0xffffffff)).toBe(-1)
    expect(signedFromHalves(0xffffffff, 0x7fffffff)).toBe('9223372036854775807')
  })
})

/** `read` where every field lies inside the bytes, `outside` where one doesn't, else the kind of the error. */
function readAll(bytes: Uint8Array): string {
  const reader = new ProtoReader(bytes)
  let outside = false
  try {
    while (reader.next()) outside ||= reader.stop > bytes.length || reader.at > bytes.length
  } catch (error) {
    return kindOf(error)
  }
  return outside ? 'outside' : 'read'
}

describe('writer and reader', () => {
  const reader = (bytes: Uint8Array): protobuf.Reader => protobuf.Reader.create(bytes)

  test('what is written is what protobufjs reads', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 300 }),
        fc.maxSafeNat(),
        fc.uint8Array({ maxLength: 20000 }),
        (text, uint, bytes) => {
          const w = new ProtoWriter(16)
          w.text(1, text)
          const mark = w.begin(2)
          w.uint(3, uint)
          w.bytes(4, bytes)
          w.end(mark)
          const r = reader(w.take())
          expect(r.uint32()).toBe(10)
          expect(r.string()).toBe(text.toWellFormed())
          expect(r.uint32()).toBe(18)
          const inner = r.bytes()
          const s = reader(inner)
          expect(s.uint32()).toBe(24)
          expect(Number(s.uint64())).toBe(uint)
          expect(s.uint32()).toBe(34)
          expect(Buffer.compare(s.bytes(), bytes)).toBe(0)
          expect(s.pos).toBe(s.len)
        },
      ),
    )
  })

  test('64-bit halves survive a varint', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), (low, high) => {
        const w = new ProtoWriter()
        w.uint64(1, low, high)
        w.fixed64(2, low, high)
        const r = new ProtoReader(w.take())
        expect(r.next()).toBe(true)
        expect([r.low, r.high]).toEqual([low, high])
        expect(r.next()).toBe(true)
        expect([r.low, r.high]).toEqual([low, high])
        expect(r.next()).toBe(false)
      }),
    )
  })

  test('any bytes are fields or bad_data', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['bad_data', 'read']).toContain(readAll(bytes))
      }),
      { numRuns: 500 },
    )
  })

  test('a cut length names the field', () => {
    expect(() => new ProtoReader(Uint8Array.of(10, 5, 1)).next()).toThrow(/field 1 of 5 bytes is cut/)
  })
})
