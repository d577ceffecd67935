import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AppendRecord, JournalRecord } from '../../lib/journal/index.ts'
import { ControlLog } from './control-log.ts'

/** A journal of one partition in memory, whose deleted records are gone for the next process. */
function journalOf() {
  const records: AppendRecord[] = []
  let start = 0
  return {
    records,
    journal: {
      append: (_signal: unknown, _partition: number, record: AppendRecord) => {
        records.push(record)
        return Promise.resolve({ offset: records.length - 1, appendedMs: 0 })
      },
      endOffset: () => records.length,
    },
    compacted(offset: number) {
      start = offset
    },
    startOffset: () => start,
    left: () => records.slice(start).map((record, i) => ({ ...record, offset: start + i }) as unknown as JournalRecord),
  }
}

test('after any puts and a kill, the latest value of each key is there', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const value = fc.oneof(fc.constant(null), fc.integer(), fc.string(), fc.record({ x: fc.integer() }))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.tuple(key, value), { maxLength: 4 }), { maxLength: 40 }), async (puts) => {
      const disk = journalOf()
      const log = new ControlLog({ journal: disk.journal, compacted: (offset) => disk.compacted(offset), compactBytesMin: 200 })
      const model = new Map<string, unknown>()
      await Promise.all(puts.map((changes) => log.put(changes)))
      for (const [name, one] of puts.flat()) {
        if (one === null) model.delete(name)
        else model.set(name, one)
      }
      const next = new ControlLog({ journal: disk.journal, compacted: () => {} })
      next.load(disk.left())
      expect(new Map(next.entries())).toEqual(model)
      expect(new Map(log.entries())).toEqual(model)
    }),
  )
})

test('what lies before the values is given free again and again', async () => {
  const disk = journalOf()
  const log = new ControlLog({ journal: disk.journal, compacted: (offset) => disk.compacted(offset), compactBytesMin: 1000 })
  for (let i = 0; i < 500; i++) await log.put([[`key${i % 3}`, { i }]])
  expect(disk.records.length - disk.startOffset()).toBeLessThan(100)
})

test('a put that was refused changes nothing, and the next one goes on', async () => {
  const disk = journalOf()
  let refuses = true
  const append: typeof disk.journal.append = (...args) => (refuses ? Promise.reject(new Error('full')) : disk.journal.append(...args))
  const log = new ControlLog({ journal: { ...disk.journal, append }, compacted: () => {} })
  await expect(log.put([['a', 1]])).rejects.toThrow('full')
  expect([...log.entries()]).toEqual([])
  refuses = false
  await log.put([['a', 2]])
  expect([...log.entries()]).toEqual([['a', 2]])
})

test('a record of another version is refused by name', () => {
  const log = new ControlLog({ journal: journalOf().journal, compacted: () => {} })
  const record = { payload: Buffer.from('{"v":7}'), offset: 3 } as unknown as JournalRecord
  expect(() => log.load([record])).toThrow('cannot read control record 3: unknown version 7')
})
