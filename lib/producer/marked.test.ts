import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JournalRecord } from '../journal/index.ts'
import { MarkedGate } from './index.ts'

const record = (producer: string, sequence: number): JournalRecord => ({
  signal: 'logs',
  partition: 0,
  offset: sequence,
  appendedMs: 0,
  encoding: 'otlp',
  tenant: 'default',
  items: 1,
  position: '',
  mark: { producer, epoch: 'e', sequence, previous: sequence - 1 },
  payload: new Uint8Array(0),
})

test('whatever is repeated, reordered or refused on the way: each record once and in order, once its sender has gone on to the end', async () => {
  const step = fc.record({ from: fc.nat(12), count: fc.integer({ min: 1, max: 5 }), fails: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const stored: number[] = []
      let fails = false
      const append = (_signal: unknown, _partition: unknown, records: readonly JournalRecord[]): Promise<void> => {
        if (fails) return Promise.reject(new Error('full'))
        stored.push(...records.map(({ offset }) => offset))
        return Promise.resolve()
      }
      const gate = new MarkedGate(append, { trustsUnknown: false })
      const send = (from: number, count: number): ReturnType<MarkedGate['take']> =>
        gate.take(
          'logs',
          0,
          Array.from({ length: count }, (_, i) => record('p', from + i)),
          false,
        )
      for (const one of steps) {
        fails = one.fails
        await send(one.from, one.count).catch(() => {})
      }
      fails = false
      // As a sender does: back to where the other side says, then on.
      for (let at = 12; at < 17;) {
        const { gap } = await send(at, 1)
        at = gap === undefined ? at + 1 : gap.lastSequence + 1
      }
      expect(stored).toEqual(Array.from({ length: 17 }, (_, i) => i))
    }),
  )
})

test('producers are told apart, an accepted gap is passed, and who knows nothing trusts', async () => {
  const stored: string[] = []
  const append = (_signal: unknown, _partition: unknown, records: readonly JournalRecord[]): Promise<void> => {
    stored.push(...records.map(({ mark }) => `${mark.producer}${mark.sequence}`))
    return Promise.resolve()
  }
  const gate = new MarkedGate(append, { trustsUnknown: false })
  gate.seed('logs/0', [{ producer: 'a', epoch: 'e', sequence: 4 }])
  const mixed = [record('a', 4), record('b', 0), record('a', 5), record('b', 2), record('a', 6)]
  expect(await gate.take('logs', 0, mixed, false)).toEqual({
    appended: 2,
    repeated: 1,
    gap: { producer: 'b', epoch: 'e', lastSequence: 0 },
  })
  expect(await gate.take('logs', 0, mixed, true)).toEqual({ appended: 2, repeated: 3, gap: undefined })
  expect(stored).toEqual(['b0', 'a5', 'b2', 'a6'])
  const trusting = new MarkedGate(append, { trustsUnknown: true })
  expect(await trusting.take('logs', 0, [record('c', 7)], false)).toMatchObject({ appended: 1, gap: undefined })
  expect(await trusting.take('logs', 0, [record('c', 9)], false)).toMatchObject({ appended: 0, gap: { lastSequence: 7 } })
})
