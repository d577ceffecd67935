/**
 * What every journal must do, as one suite that is run against each implementation.
 */
import { describe, expect, test } from 'vitest'
import type { Journal, JournalRecord, ReadFrom, Signal } from './index.ts'
import { SequenceTracker } from './index.ts'

export interface JournalUnderTest {
  open(): Promise<Journal>
  /** Closes as a crash would: no drain. The same data is opened again by `open`. */
  crash(journal: Journal): Promise<void>
}

export function payloadOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text))
}

export async function readAll(journal: Journal, from: readonly ReadFrom[]): Promise<JournalRecord[]> {
  const out: JournalRecord[] = []
  for await (const batch of journal.read(from)) out.push(...batch)
  return out
}

export function recordOf(text: string, tenant = 'default'): { encoding: 'otlp'; tenant: string; items: number; payload: Uint8Array } {
  return { encoding: 'otlp', tenant, items: 1, payload: payloadOf(text) }
}

const whole = (signal: Signal, partition: number): ReadFrom => ({ signal, partition, fromOffset: 0 })
const textOf = (record: JournalRecord): string => Buffer.from(record.payload).toString()

export function describeJournal(name: string, make: () => Promise<JournalUnderTest>): void {
  describe(`journal contract: ${name}`, () => {
    test('records of a partition come back in the order they were appended, with all headers', async () => {
      const subject = await make()
      const journal = await subject.open()
      const mark = { producer: 'edge-1', epoch: 'e1', sequence: 7, previous: 3 }
      await journal.append('logs', 1, { ...recordOf('a', 'acme'), position: '{"file":1}', mark })
      const appended = await Promise.all(Array.from('bcdef', (text) => journal.append('logs', 1, recordOf(text))))
      expect(appended.map((a) => a.offset)).toEqual([1, 2, 3, 4, 5])
      const records = await readAll(journal, [whole('logs', 1)])
      expect(records.map(textOf).join('')).toBe('abcdef')
      expect(records[0]).toMatchObject({
        signal: 'logs',
        partition: 1,
        offset: 0,
        encoding: 'otlp',
        tenant: 'acme',
        items: 1,
        position: '{"file":1}',
        mark,
      })
      await journal.close()
    })

    test('several records are appended together, or none', async () => {
      const subject = await make()
      const journal = await subject.open()
      const appended = await journal.appendAll(
        'logs',
        2,
        ['a', 'b', 'c'].map((text) => recordOf(text)),
      )
      expect(appended.map(({ offset }) => offset)).toEqual([0, 1, 2])
      const large = { ...recordOf(''), payload: new Uint8Array(900 * 1024 + 1) }
      await expect(journal.appendAll('logs', 2, [recordOf('d'), large])).rejects.toMatchObject({ kind: 'too_large' })
      expect(await journal.appendAll('logs', 2, [])).toEqual([])
      expect((await readAll(journal, [whole('logs', 2)])).map(textOf)).toEqual(['a', 'b', 'c'])
      await journal.close()
    })

    test('control records are of no tenant, and come back so', async () => {
      const subject = await make()
      const journal = await subject.open()
      await journal.append('control', 0, { ...recordOf('{}', ''), encoding: 'json' })
      expect((await readAll(journal, [whole('control', 0)])).map(({ tenant, encoding }) => [tenant, encoding])).toEqual([['', 'json']])
      await journal.close()
    })

    test('partitions and signals are counted apart', async () => {
      const subject = await make()
      const journal = await subject.open()
      await journal.append('metrics', 0, recordOf('m0'))
      await journal.append('metrics', 1, recordOf('m1'))
      await journal.append('traces', 0, recordOf('t0'))
      expect((await readAll(journal, [whole('metrics', 1)])).map(textOf)).toEqual(['m1'])
      expect(journal.endOffset('traces', 0)).toBe(1)
      expect(journal.endOffset('traces', 1)).toBe(0)
      await journal.close()
    })

    test('what resolved is there after a crash, offsets go on, and the journal keeps its epoch', async () => {
      const subject = await make()
      const journal = await subject.open()
      const texts = Array.from({ length: 50 }, (_, i) => `record ${i}`)
      await Promise.all(texts.map((text) => journal.append('logs', 0, recordOf(text))))
      const { epoch } = journal
      await subject.crash(journal)
      const again = await subject.open()
      expect(again.epoch).toBe(epoch)
      expect((await readAll(again, [whole('logs', 0)])).map(textOf)).toEqual(texts)
      expect((await again.append('logs', 0, recordOf('next'))).offset).toBe(50)
      await again.close()
    })

    test('a read starts at any offset', async () => {
      const subject = await make()
      const journal = await subject.open()
      for (const text of 'abcdefgh') await journal.append('logs', 0, recordOf(text))
      expect((await readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 5 }])).map(textOf).join('')).toBe('fgh')
      expect(await readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 8 }])).toEqual([])
      await journal.close()
    })

    test('a following read sees what is appended later, each record once', async () => {
      const subject = await make()
      const journal = await subject.open()
      const stop = new AbortController()
      const seen: string[] = []
      const reading = (async () => {
        for await (const batch of journal.read([whole('logs', 0)], { follow: true, signal: stop.signal })) {
          seen.push(...batch.map(textOf))
          if (seen.length === 20) stop.abort()
        }
      })()
      for (let i = 0; i < 20; i++) await journal.append('logs', 0, recordOf(`${i}`))
      await reading
      expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`))
      await journal.close()
    })

    test('a payload over the limit is refused and the next append works', async () => {
      const subject = await make()
      const journal = await subject.open()
      const large = { ...recordOf(''), payload: new Uint8Array(900 * 1024 + 1) }
      await expect(journal.append('logs', 0, large)).rejects.toMatchObject({ kind: 'too_large' })
      expect((await journal.append('logs', 0, recordOf('ok'))).offset).toBe(0)
      await journal.close()
    })

    test('gaps and repeats of a producer are seen by the reader', async () => {
      const subject = await make()
      const journal = await subject.open()
      const marks = [
        { sequence: 0, previous: -1 },
        { sequence: 1, previous: 0 },
        { sequence: 1, previous: 0 },
        { sequence: 4, previous: 3 },
        { sequence: 5, previous: 4 },
      ]
      for (const mark of marks) await journal.append('logs', 0, { ...recordOf('x'), mark: { producer: 'p', epoch: 'e', ...mark } })
      await journal.append('logs', 0, { ...recordOf('x'), mark: { producer: 'p', epoch: 'e2', sequence: 0, previous: -1 } })
      const tracker = new SequenceTracker()
      const verdicts = (await readAll(journal, [whole('logs', 0)])).map((record) => tracker.observe(record.mark))
      expect(verdicts).toEqual(['new', 'new', 'repeat', 'gap', 'new', 'new'])
      await journal.close()
    })

    test('appends count records, items and bytes', async () => {
      const subject = await make()
      const journal = await subject.open()
      await journal.append('logs', 0, { ...recordOf('abc'), items: 3 })
      await journal.append('metrics', 0, { ...recordOf('de'), items: 4 })
      expect(journal.stats()).toMatchObject({ appendedRecords: 2, appendedItems: 7, appendedBytes: 5 })
      await journal.close()
    })
  })
}
