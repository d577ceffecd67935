import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AppendRecord } from '../index.ts'
import type { FetchedRecord } from './fetch.ts'
import { decodeRecord, encodeHeaders, messageBytesMax } from './headers.ts'

function messageOf(headers: Iterable<readonly [Buffer, Buffer]>, value: Buffer | null): FetchedRecord {
  return { offset: 5, timestampMs: 1000, key: null, value, headers: [...headers] }
}

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const record = fc.record({
  encoding: fc.constantFrom('rows', 'otlp', 'remote-write-1', 'remote-write-2', 'json') satisfies fc.Arbitrary<AppendRecord['encoding']>,
  tenant: fc.string({ unit: 'binary' }),
  items: count,
  payload: fc.uint8Array(),
  position: fc.string({ unit: 'binary' }),
})
const mark = fc.record({
  producer: fc.string({ unit: 'binary', minLength: 1 }),
  epoch: fc.string({ unit: 'binary', minLength: 1 }),
  sequence: count,
  previous: count.map((n) => n - 1),
})

describe('headers', () => {
  test('a record comes back as it was, its payload in a buffer of its own size, and is no larger than foretold', () => {
    fc.assert(
      fc.property(record, mark, (given, by) => {
        const all = { ...given, mark: by }
        const headers = encodeHeaders(all, by)
        const wire = Buffer.concat([Buffer.alloc(3), Buffer.from(given.payload), Buffer.alloc(3)])
        const decoded = decodeRecord('logs', 2, messageOf(headers, wire.subarray(3, wire.length - 3)))
        expect(decoded).toEqual({ ...all, signal: 'logs', partition: 2, offset: 5, appendedMs: 1000 })
        expect(typeof decoded !== 'string' && decoded.payload.buffer.byteLength).toBe(given.payload.length)
        const bytes = [...headers].reduce((sum, [name, value]) => sum + name.length + value.length + 6, given.payload.length)
        expect(bytes).toBeLessThan(messageBytesMax(all, '', ''))
      }),
    )
  })

  test('any other message is a reason, never an error', () => {
    const name = fc.oneof(fc.constantFrom('encoding', 'tenant', 'items', 'producer', 'epoch', 'sequence', 'previous'), fc.string())
    const header = fc.tuple(
      name.map((text) => Buffer.from(text)),
      fc.oneof(fc.string(), fc.constantFrom('otlp', '1', '-1', '1e400')).map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(fc.array(header, { maxLength: 6 }), (headers) => {
        expect(decodeRecord('logs', 0, messageOf(headers, Buffer.from('x')))).toMatch(/^it(s| has)/)
      }),
    )
  })

  test('the sample of the document is what is written', () => {
    const text = readFileSync(join(import.meta.dirname, '../../../docs/formats/kafka.md'), 'utf8')
    const sample = JSON.parse(/```json\n([^`]+)```/.exec(text)![1]!) as Record<string, string>
    const by = { producer: 'edge-1', epoch: 'e1', sequence: 7, previous: 3 }
    const headers = encodeHeaders({ encoding: 'otlp', tenant: 'acme', items: 3, payload: new Uint8Array(), position: '{"file":1}' }, by)
    expect(Object.fromEntries([...headers].map(([name, value]) => [name.toString(), value.toString()]))).toEqual(sample)
  })
})
