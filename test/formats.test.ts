/** The samples in docs/formats that have no test beside their codec decode to what the documents say. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { decodeFrame, encodeFrame, frameIsValid } from '../lib/journal/frame.ts'
import { decodeBlock, encodeBlock } from '../query/logs/block.ts'

function sampleOf(name: string): Buffer {
  const text = readFileSync(join(import.meta.dirname, '../docs/formats', name), 'utf8')
  return Buffer.from(/```hex\n([^`]+)```/.exec(text)![1]!.replaceAll(/\s/g, ''), 'hex')
}

test('a journal record', () => {
  const bytes = sampleOf('journal.md')
  expect(frameIsValid(bytes, 0, bytes.length)).toBe(true)
  const { payload, ...head } = decodeFrame(bytes, 0)
  expect(Buffer.from(payload).toString()).toBe('x')
  expect(head).toEqual({
    signal: 'logs',
    partition: 1,
    offset: 2,
    appendedMs: 1,
    encoding: 'otlp',
    tenant: 't',
    items: 1,
    position: '',
    mark: { producer: 'p', epoch: 'e', sequence: 2, previous: 1 },
  })
  const [frame, body] = encodeFrame({ encoding: 'otlp', tenant: 't', items: 1, payload }, { ...head, signalIndex: 1 })
  expect(Buffer.concat([frame, body]).equals(bytes)).toBe(true)
})

test('a block of log lines', () => {
  const bytes = sampleOf('events.md')
  const block = decodeBlock(bytes, Uint32Array.of(0))
  expect(Buffer.from(block.lineBytes).toString()).toBe('hi')
  expect([...block.timeMs, ...block.subNs, ...block.streamOf, ...block.metaOf, block.metaBytes.length]).toEqual([1000, 5, 0, 0, 0])
  expect(encodeBlock(block, (stream) => stream).equals(bytes)).toBe(true)
})
