import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { labelsOf } from '../../lib/model/index.ts'
import {
  encodeDocument,
  encodeMetadata,
  encodeStream,
  labelsOfPairs,
  pairOf,
  TimestampReader,
  TimestampWriter,
  type LogSource,
} from './document.ts'
import { hasLongWord, wordQueries } from './words.ts'

const place = { journal: '3f0c…', partition: 3, offset: 1207, position: 14 }

describe('a document', () => {
  test('is what the format says', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/formats/elasticsearch.md'), 'utf8')
    const sample: unknown = JSON.parse(/```json\n([^`]+)```/.exec(text)![1]!)
    const stream = encodeStream('default', labelsOf({ app: 'shop', pod: 'shop-1' }))
    const metadata = encodeMetadata(labelsOf({ detected_level: 'error', trace_id: '4bf92f' }))
    const timestamp = new TimestampWriter().write(1_700_000_001_000, 1)
    expect(JSON.parse(encodeDocument(stream, timestamp, Buffer.from('GET /api/orders 500'), metadata, place))).toEqual(sample)
  })

  test('keeps bytes that are no UTF-8, and any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
        ),
        (line) => {
          const source = JSON.parse(encodeDocument('"stream":"[]"', 'T', line, '', place)) as LogSource
          const back = source.raw === undefined ? Buffer.from(source.line) : Buffer.from(source.raw, 'base64')
          expect(back.equals(line)).toBe(true)
        },
      ),
    )
  })

  test('pairs come back, whatever is in a name', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string(), (name, value) => {
        expect(labelsOfPairs([pairOf(name, value)])).toEqual([name, value])
        expect(labelsOfPairs([pairOf(`${name}=\\`, value)])).toEqual([`${name}=\\`, value])
      }),
    )
  })

  test('times come back to the nanosecond', () => {
    const writer = new TimestampWriter()
    const reader = new TimestampReader()
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9e12 }), fc.integer({ min: 0, max: 999_999 }), (timeMs, subNs) => {
        reader.read(writer.write(timeMs, subNs))
        expect([reader.timeMs, reader.subNs]).toEqual([timeMs, subNs])
      }),
    )
    reader.read('2023-11-14T22:13:20.123Z')
    expect([reader.timeMs, reader.subNs]).toEqual([1_700_000_000_123, 0])
  })
})

describe('words', () => {
  test.each([
    ['error', [{ wildcard: '*error*' }]],
    ['=error', [{ prefix: 'error' }]],
    ['error ', [{ wildcard: '*error' }]],
    [' a error b', [{ term: 'error' }, { term: 'a' }]],
    ['x.error', [{ wildcard: '*error*' }]],
    ['](=>', []],
    ['ab', []],
    ['ключ', []],
  ])('of %j', (needle, conditions) => {
    const found = wordQueries(needle).map((query) => {
      const [kind, { line }] = Object.entries(query)[0] as [string, { line: { value: string } }]
      return { [kind]: line.value }
    })
    expect(found).toEqual(conditions)
  })

  test('a long one is seen where a tokenizer would cut it', () => {
    expect(hasLongWord(Buffer.from('a'.repeat(254)))).toBe(false)
    expect(hasLongWord(Buffer.from('a'.repeat(255)))).toBe(true)
    expect(hasLongWord(Buffer.from('abc def '.repeat(100)))).toBe(false)
    expect(hasLongWord(Buffer.from('{"a":"b","c":"d"}'.repeat(50)))).toBe(false)
    expect(hasLongWord(Buffer.from('א"'.repeat(100)))).toBe(true)
  })
})
