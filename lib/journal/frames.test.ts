import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeFrames, encodeFrames, SIGNALS, type JournalRecord } from './index.ts'

const record: fc.Arbitrary<JournalRecord> = fc.record({
  signal: fc.constantFrom(...SIGNALS),
  partition: fc.nat(1023),
  offset: fc.nat(),
  appendedMs: fc.nat(),
  encoding: fc.constantFrom('rows' as const, 'otlp' as const, 'json' as const),
  tenant: fc.string({ maxLength: 20 }),
  items: fc.nat(1000),
  position: fc.string({ maxLength: 30 }),
  mark: fc.record({
    producer: fc.string({ maxLength: 20 }),
    epoch: fc.string({ maxLength: 20 }),
    sequence: fc.nat(),
    previous: fc.integer({ min: -1 }),
  }),
  payload: fc.uint8Array({ maxLength: 200 }),
})

test('what is encoded is decoded', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 5 }), (records) => {
      expect(decodeFrames(encodeFrames(records))).toEqual(records)
    }),
  )
})

test('frames that were cut or changed are refused as a whole', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255), (records, place, byte) => {
      const bytes = encodeFrames(records)
      const at = place % bytes.length
      const changed = Buffer.from(bytes)
      changed[at] = changed[at]! ^ (byte === 0 ? 1 : byte)
      for (const damaged of [bytes.subarray(0, bytes.length - 1 - (at % 8)), changed]) {
        expect(() => decodeFrames(damaged)).toThrow(expect.objectContaining({ kind: 'bad_data' }))
      }
    }),
  )
})
