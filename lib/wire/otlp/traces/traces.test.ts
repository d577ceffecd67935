import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kindThrownBy, oracleDecode, oracleEncode, text, type Plain } from '../oracle.testkit.ts'
import {
  TraceAssembler,
  eventsOf,
  linksOf,
  newSpanFields,
  readSpan,
  scopeOf,
  spanAttributes,
  splitTraces,
  walkSpans,
  wrapperAttributes,
} from './index.ts'

const id = (size: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: size, maxLength: size }).map((b) => ((b[0]! |= 1), b))
const span = fc.record({
  traceId: id(16),
  spanId: id(8),
  name: fc.string({ minLength: 1, maxLength: 12 }).map((s) => s.toWellFormed()),
  kind: fc.nat(5),
  startTimeUnixNano: fc.nat(2 ** 40).map(String),
  endTimeUnixNano: fc.nat(2 ** 40).map(String),
  attributes: fc.array(fc.constantFrom(text('a', '1'), text('b', '2')), { maxLength: 3 }),
})
const request = fc.record({
  resourceSpans: fc.array(
    fc.record({
      resource: fc.constantFrom({ attributes: [text('service.name', 's1')] }, { attributes: [text('service.name', 's2'), text('x', 'y')] }),
      schemaUrl: fc.constantFrom('u1', 'u2'),
      scopeSpans: fc.array(fc.record({ scope: fc.constantFrom({ name: 'lib' }, {}), spans: fc.array(span, { maxLength: 5 }) }), {
        maxLength: 3,
      }),
    }),
    { maxLength: 4 },
  ),
})

/** [resource, schema url, scope, span] of every span, as sorted JSON. */
function flat(decoded: Plain): string[] {
  const out: string[] = []
  for (const r of decoded['resourceSpans'] ?? []) {
    for (const s of r['scopeSpans'] ?? [])
      for (const x of s['spans'] ?? []) out.push(JSON.stringify([r['resource'], r['schemaUrl'], s['scope'], x]))
  }
  return out.sort()
}

describe('splitTraces', () => {
  test('partitions together hold every span once, each under its resource and scope, in the partition of its trace', () => {
    fc.assert(
      fc.property(request, fc.integer({ min: 300, max: 2000 }), (value, payloadBytesMax) => {
        const bytes = oracleEncode('TracesRequest', value)
        const { batches, items, rejected } = splitTraces(bytes, (traceId) => traceId[15]! % 4, { payloadBytesMax })
        expect(rejected).toEqual({})
        const parts = batches.map((batch) => oracleDecode('TracesRequest', batch.payload))
        for (const [i, part] of parts.entries()) {
          const batch = batches[i]!
          expect(batch.payload.length).toBeLessThanOrEqual(payloadBytesMax)
          expect(flat(part)).toHaveLength(batch.items)
          for (const text of flat(part)) expect(Number.parseInt(JSON.parse(text)[3].traceId.slice(30), 16) % 4).toBe(batch.partition)
        }
        expect(parts.flatMap(flat).sort()).toEqual(flat(oracleDecode('TracesRequest', bytes)))
        expect(batches.reduce((n, b) => n + b.items, 0)).toBe(items)
      }),
      { numRuns: 100 },
    )
  })

  test('spans with invalid ids are counted, the rest goes on', () => {
    const good = { traceId: new Uint8Array(16).fill(1), spanId: new Uint8Array(8).fill(2), name: 'ok' }
    const bytes = oracleEncode('TracesRequest', {
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: [
                good,
                { ...good, traceId: new Uint8Array(16) },
                { ...good, spanId: new Uint8Array(3) },
                { ...good, name: 'x'.repeat(1000) },
              ],
            },
          ],
        },
      ],
    })
    const out = splitTraces(bytes, () => 3, { payloadBytesMax: 500, resourceAttributes: ['cluster', 'c'] })
    expect(out.items).toBe(4)
    expect(out.rejected).toEqual({ invalid_id: 2, too_large: 1 })
    expect(out.batches.map((b) => [b.partition, b.items])).toEqual([[3, 1]])
    const resource = oracleDecode('TracesRequest', out.batches[0]!.payload)['resourceSpans']![0]!['resource']
    expect(resource).toEqual({ attributes: [{ key: 'cluster', value: { stringValue: 'c' } }] })
  })

  test('any bytes give batches or bad_data', () => {
    const valid = oracleEncode('TracesRequest', fc.sample(request, { seed: 7, numRuns: 1 })[0]!)
    const broken = fc.tuple(fc.nat(Math.max(valid.length - 1, 0)), fc.nat(255)).map(([at, byte]) => {
      const bytes = new Uint8Array(valid)
      bytes[at] = byte
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), broken), (bytes) => {
        expect([undefined, 'bad_data']).toContain(kindThrownBy(() => splitTraces(bytes, () => 0)))
      }),
      { numRuns: 400 },
    )
  })
})

describe('TraceAssembler', () => {
  test('gives back what was walked, with resource, scope and status always present', () => {
    fc.assert(
      fc.property(request, (value) => {
        const bytes = oracleEncode('TracesRequest', value)
        const assembler = new TraceAssembler()
        let resource = new Uint8Array(0)
        let scope = new Uint8Array(0)
        walkSpans(bytes, {
          scope: (r, s) => {
            resource = new Uint8Array(r)
            scope = new Uint8Array(s)
          },
          span: (b, from, to) => assembler.add(resource, scope, b, from, to),
        })
        const decoded = oracleDecode('TracesRequest', assembler.bytes())
        const wanted = flat(oracleDecode('TracesRequest', bytes)).map((row) => {
          const [r, url, s, x] = JSON.parse(row)
          return JSON.stringify([r, url, s ?? {}, { ...x, status: {} }])
        })
        expect(flat(decoded)).toEqual(wanted.sort())
      }),
      { numRuns: 60 },
    )
  })

  test('a resource without attributes gets a service name', () => {
    const assembler = new TraceAssembler()
    const bytes = oracleEncode('Span', { name: 'x', status: { code: 2 } })
    assembler.add(Uint8Array.of(10, 0), Uint8Array.of(10, 0), bytes)
    expect(oracleDecode('TracesRequest', assembler.bytes())).toEqual({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'unknown_service' } }] },
          scopeSpans: [{ scope: {}, spans: [{ name: 'x', status: { code: 2 } }] }],
        },
      ],
    })
  })
})

describe('reading one span', () => {
  const bytes = oracleEncode('Span', {
    traceId: new Uint8Array(16).fill(1),
    spanId: new Uint8Array(8).fill(2),
    parentSpanId: new Uint8Array(8).fill(3),
    name: 'GET /',
    kind: 2,
    startTimeUnixNano: '1700000000000000001',
    endTimeUnixNano: '1700000000002000003',
    attributes: [
      text('k', 'v'),
      { key: 'n', value: { intValue: '9007199254740993' } },
      { key: 'l', value: { arrayValue: { values: [{ boolValue: true }] } } },
    ],
    events: [{ name: 'exception', timeUnixNano: '1700000000001000002', attributes: [text('exception.type', 'E')] }],
    links: [{ traceId: new Uint8Array(16).fill(9), spanId: new Uint8Array(8).fill(8) }],
    status: { code: 2, message: 'no' },
  })

  test('fixed fields', () => {
    const f = readSpan(bytes, 0, bytes.length, newSpanFields())
    expect(bytes[f.traceIdAt]).toBe(1)
    expect(bytes[f.spanIdAt]).toBe(2)
    expect(bytes[f.parentIdAt]).toBe(3)
    expect(Buffer.from(bytes.subarray(f.nameFrom, f.nameTo)).toString()).toBe('GET /')
    expect(f).toMatchObject({ kind: 2, startMs: 1700000000000, startSubNs: 1, durationNs: 2000002, statusCode: 2, hasStatus: true })
    expect(Buffer.from(bytes.subarray(f.statusMessageFrom, f.statusMessageTo)).toString()).toBe('no')
  })

  test('attributes, events and links', () => {
    expect(spanAttributes(bytes)).toEqual([
      { key: 'k', type: 'string', value: 'v' },
      { key: 'n', type: 'int', value: '9007199254740993' },
      { key: 'l', type: 'array', value: '[true]' },
    ])
    expect(eventsOf(bytes)).toEqual([
      { name: 'exception', timeMs: 1700000000001, subNs: 2, attributes: [{ key: 'exception.type', type: 'string', value: 'E' }] },
    ])
    expect(linksOf(bytes)).toEqual([{ traceId: '09'.repeat(16), spanId: '08'.repeat(8), attributes: [] }])
  })

  test('wrappers', () => {
    const request = oracleEncode('TracesRequest', {
      resourceSpans: [
        { resource: { attributes: [text('service.name', 's')] }, scopeSpans: [{ scope: { name: 'lib', version: '2' }, spans: [{}] }] },
      ],
    })
    walkSpans(request, {
      scope: (resource, scope) => {
        expect(wrapperAttributes(resource)).toEqual([{ key: 'service.name', type: 'string', value: 's' }])
        expect(scopeOf(scope)).toEqual({ name: 'lib', version: '2', attributes: [] })
      },
      span: (_, from, to) => expect(to - from).toBe(0),
    })
  })
})
