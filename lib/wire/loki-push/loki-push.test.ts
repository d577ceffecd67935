import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { kindOf } from '../../runtime/errors.ts'
import { parseStreamLabels, readPushJson, readPushProtobuf, type PushVisitor } from './index.ts'

const { root } = protobuf.parse(`
syntax = "proto3";
message Pair { string name = 1; string value = 2; }
message Time { int64 seconds = 1; int32 nanos = 2; }
message Entry { Time timestamp = 1; string line = 2; repeated Pair metadata = 3; }
message Stream { string labels = 1; repeated Entry entries = 2; uint64 hash = 3; }
message Push { repeated Stream streams = 1; }
`)

function pushBytes(streams: object[]): Uint8Array {
  const message = root.lookupType('Push')
  return message.encode(message.fromObject({ streams })).finish()
}

function collect(): { seen: unknown[]; visitor: PushVisitor } {
  const seen: unknown[] = []
  return {
    seen,
    visitor: {
      stream: (labels) => seen.push(labels) > 0,
      entry: (timeMs, subNs, line, metadata) =>
        void seen.push([timeMs, subNs, typeof line === 'string' ? line : Buffer.from(line).toString(), metadata]),
      refused: (reason, complaint, entries) => void seen.push([reason, complaint, entries]),
    },
  }
}

test.each([
  ['{a="b"}', ['a', 'b']],
  ['{ z = "1" , a="2", }', ['a', '2', 'z', '1']],
  ['{a="q\\"uote\\n\\u00e9\\x41"}', ['a', 'q"uote\né\x41']],
  ['{a=`raw\\n`}', ['a', 'raw\\n']],
  ['{a=""}', []],
  ['{}', []],
])('labels %s', (text, expected) => {
  expect(parseStreamLabels(text)).toEqual(expected)
})

test.each(['', 'a="b"', '{a=b}', '{a="b"', '{a="b"} x', '{a="b" c="d"}', '{a="1",a="2"}', '{a-b="1"}', '{a="\\q"}'])(
  'labels %j are refused',
  (text) => {
    expect(() => parseStreamLabels(text)).toThrow(/error parsing labels/)
  },
)

test('label values come back through JSON quoting', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (value) => {
      // JSON escapes "/" never, and control characters as \u: both are Go's escapes too.
      expect(parseStreamLabels(`{a=${JSON.stringify(value)}}`)).toEqual(['a', value])
    }),
  )
})

describe('push requests', () => {
  test('protobuf: nanoseconds, metadata; a bad stream beside a good one', () => {
    const { seen, visitor } = collect()
    const good = {
      labels: '{app="x"}',
      entries: [{ timestamp: { seconds: 1_700_000_000, nanos: 123_456_789 }, line: 'héllo', metadata: [{ name: 'trace', value: '1' }] }],
    }
    expect(readPushProtobuf(pushBytes([{ labels: '{oops', entries: [{ line: 'lost' }] }, good]), visitor)).toBe(2)
    expect(seen).toEqual([
      ['invalid_labels', expect.stringContaining("error parsing labels '{oops'"), 1],
      ['app', 'x'],
      [1_700_000_000_123, 456_789, 'héllo', ['trace', '1']],
    ])
  })

  test('JSON: the same, and entries that are none', () => {
    const { seen, visitor } = collect()
    const values = [
      ['1700000000123456789', 'a', { k: 'v' }],
      ['now', 'b'],
      ['5', 'c'],
    ]
    expect(readPushJson(Buffer.from(JSON.stringify({ streams: [{ stream: { app: 'x' }, values }] })), visitor)).toBe(1)
    expect(seen).toEqual([
      ['app', 'x'],
      [1_700_000_000_123, 456_789, 'a', ['k', 'v']],
      ['invalid_entry', expect.stringContaining('["now","b"]'), 1],
      [0, 5, 'c', []],
    ])
  })

  test('any bytes: values, reports or bad_data', () => {
    const valid = pushBytes([{ labels: '{app="x"}', entries: [{ timestamp: { seconds: 1, nanos: 2 }, line: 'l' }] }])
    const flipped = fc
      .tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 }))
      .map(([at, byte]) => new Uint8Array(valid).with(at, byte))
    const outcome = (read: typeof readPushProtobuf, bytes: Uint8Array): string => {
      try {
        return read(bytes, collect().visitor) >= 0 ? 'value' : 'nothing'
      } catch (error) {
        return kindOf(error)
      }
    }
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), flipped), (bytes) => {
        expect(['value', 'bad_data']).toContain(outcome(readPushProtobuf, bytes))
        expect(['value', 'bad_data']).toContain(outcome(readPushJson, bytes))
      }),
      { numRuns: 1000 },
    )
  })
})
