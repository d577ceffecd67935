import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { labelsOf, labelsToObject, type Labels } from '../../../model/index.ts'
import { kindThrownBy, oracleDecode, oracleEncode, text } from '../oracle.testkit.ts'
import { LogBatchBuilder, decodeLabels, decodeMetadata, detectLevel, normaliseLogs, walkStreams, withServiceName } from './index.ts'

interface Seen {
  labels: Record<string, string>
  timeMs: number
  subNs: number
  line: string
  metadata: Record<string, string>
}

function walk(payload: Uint8Array): Seen[] {
  const out: Seen[] = []
  let labels: Labels = []
  walkStreams(payload, {
    stream: (from, to) => (labels = decodeLabels(payload, from, to)),
    record: (timeMs, subNs, lineFrom, lineTo, metaFrom, metaTo) =>
      out.push({
        labels: labelsToObject(labels),
        timeMs,
        subNs,
        line: Buffer.from(payload.subarray(lineFrom, lineTo)).toString(),
        metadata: labelsToObject(decodeMetadata(payload, metaFrom, metaTo)),
      }),
  })
  return out
}

const one = { partitionOf: () => 0, nowMs: 5000 }

describe('LogBatchBuilder', () => {
  const name = fc.constantFrom('app', 'env', 'pod', 'x')
  const labels = fc
    .dictionary(
      name,
      fc.string({ minLength: 1, maxLength: 8 }).map((s) => s.toWellFormed()),
    )
    .map(labelsOf)
  const record = fc.record({
    labels,
    timeMs: fc.nat(2_000_000_000_000),
    subNs: fc.nat(999_999),
    line: fc.string({ unit: 'grapheme', maxLength: 60 }).map((s) => s.toWellFormed()),
    metadata: labels,
  })

  test('what is added is walked, per stream in order, and the oracle sees normalised OTLP', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 30 }), fc.integer({ min: 600, max: 3000 }), (records, payloadBytesMax) => {
        const builder = new LogBatchBuilder({ partitionOf: (l) => l.length % 3, payloadBytesMax })
        for (const r of records) builder.add(r.labels, r.timeMs, r.subNs, r.line, r.metadata)
        const batches = builder.finish()
        const seen = batches.flatMap((batch) => {
          expect(batch.payload.length).toBeLessThanOrEqual(payloadBytesMax)
          const rows = walk(batch.payload)
          expect(rows).toHaveLength(batch.items)
          for (const row of rows) expect((Object.keys(row.labels).length * 2) % 3).toBe(batch.partition)
          const decoded = oracleDecode('LogsRequest', batch.payload)
          for (const stream of decoded['resourceLogs'] ?? []) expect(stream['scopeLogs']?.[0]?.['scope']?.['name']).toBe('sightline.stream')
          return rows
        })
        expect(seen).toHaveLength(records.length)
        const byStream = (l: Record<string, string>): Seen[] => seen.filter((s) => JSON.stringify(s.labels) === JSON.stringify(l))
        for (const r of records) {
          const wanted = records.filter((x) => JSON.stringify(x.labels) === JSON.stringify(r.labels))
          const got = byStream(labelsToObject(r.labels))
          expect(got.map((g) => [g.timeMs, g.subNs, g.line])).toEqual(wanted.map((w) => [w.timeMs, w.subNs, w.line]))
          for (const [i, w] of wanted.entries()) {
            const { detected_level, ...rest } = got[i]!.metadata
            expect(detected_level).toBeTypeOf('string')
            expect(rest).toEqual(labelsToObject(w.metadata))
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  test('a record that alone passes the limit is refused and counted', () => {
    const builder = new LogBatchBuilder({ partitionOf: () => 0, payloadBytesMax: 1000 })
    expect(builder.add(['a', 'b'], 1, 0, 'x'.repeat(2000))).toBe(false)
    expect(builder.add(['a', 'b'], 1, 0, 'x')).toBe(true)
    expect(builder.tooLarge).toBe(1)
    expect(builder.finish().map((b) => b.items)).toEqual([1])
  })

  test('a level label wins over metadata, metadata over the severity number, that over the line', () => {
    const builder = new LogBatchBuilder({ partitionOf: () => 0 })
    builder.add(['level', 'WARNING'], 1, 0, 'error', ['severity', 'debug'])
    builder.add(['a', 'b'], 1, 0, 'error', ['severity', 'debug', 'severity_number', '9'])
    builder.add(['a', 'b'], 1, 0, 'error', ['severity_number', '9'])
    builder.add(['a', 'b'], 1, 0, 'error')
    builder.add(['a', 'b'], 1, 0, 'error', ['detected_level', 'mine'])
    const levels = builder.finish().flatMap((b) => walk(b.payload).map((r) => r.metadata['detected_level']))
    expect(levels).toEqual(['warn', 'debug', 'info', 'error', 'mine'])
  })
})

describe('normaliseLogs', () => {
  const request = {
    resourceLogs: [
      {
        resource: {
          attributes: [text('service.name', 'shop'), text('host.name', 'n1'), { key: 'k8s.pod.name', value: { stringValue: 'p-1' } }],
        },
        scopeLogs: [
          {
            scope: { name: 'lib', version: '1.2', attributes: [text('scope.attr', 's')] },
            logRecords: [
              {
                timeUnixNano: '1700000000123456789',
                observedTimeUnixNano: '1700000001000000000',
                severityNumber: 17,
                severityText: 'ERROR',
                body: { stringValue: 'failed' },
                attributes: [text('http.route', '/x'), { key: 'deep', value: { kvlistValue: { values: [text('a.b', '1')] } } }],
                traceId: Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex'),
                spanId: Buffer.from('0102030405060708', 'hex'),
                flags: 1,
              },
              {
                observedTimeUnixNano: '1700000002000000001',
                body: { kvlistValue: { values: [text('k', 'v'), { key: 'n', value: { intValue: 7 } }] } },
              },
              { body: { doubleValue: 1.5 } },
            ],
          },
        ],
      },
    ],
  }

  test('maps attributes as Loki does', () => {
    const { batches, items, rejected } = normaliseLogs(oracleEncode('LogsRequest', request), { ...one, externalLabels: ['cluster', 'c1'] })
    expect(items).toBe(3)
    expect(rejected).toEqual({})
    const rows = walk(batches[0]!.payload)
    expect(rows[0]).toEqual({
      labels: { cluster: 'c1', k8s_pod_name: 'p-1', service_name: 'shop' },
      timeMs: 1700000000123,
      subNs: 456789,
      line: 'failed',
      metadata: {
        deep_a_b: '1',
        detected_level: 'error',
        flags: '1',
        host_name: 'n1',
        http_route: '/x',
        observed_timestamp: '1700000001000000000',
        scope_attr: 's',
        scope_name: 'lib',
        scope_version: '1.2',
        severity_number: '17',
        severity_text: 'ERROR',
        span_id: '0102030405060708',
        trace_id: '0102030405060708090a0b0c0d0e0f10',
      },
    })
    expect(rows[1]).toMatchObject({ timeMs: 1700000002000, subNs: 1, line: '{"k":"v","n":7}' })
    expect(rows[2]).toMatchObject({ timeMs: 5000, subNs: 0, line: '1.5' })
  })

  test('a resource without a name is unknown_service', () => {
    const bytes = oracleEncode('LogsRequest', { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: 'x' } }] }] }] })
    expect(walk(normaliseLogs(bytes, one).batches[0]!.payload)[0]!.labels).toEqual({ service_name: 'unknown_service' })
    expect(labelsToObject(withServiceName(['container', 'c', 'job', 'j']))).toEqual({ container: 'c', job: 'j', service_name: 'c' })
  })

  test('any bytes give batches or bad_data', () => {
    const valid = oracleEncode('LogsRequest', request)
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), mutated(valid)), (bytes) => {
        for (const run of [() => normaliseLogs(bytes, one).batches.length, () => walk(bytes).length]) {
          expect([undefined, 'bad_data']).toContain(kindThrownBy(run))
        }
      }),
      { numRuns: 400 },
    )
  })
})

/** A valid message with one byte changed, or cut. */
function mutated(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc.tuple(fc.nat(valid.length - 1), fc.nat(255), fc.boolean()).map(([at, byte, cut]) => {
    const bytes = new Uint8Array(valid)
    bytes[at] = byte
    return cut ? bytes.subarray(0, at) : bytes
  })
}

describe('detectLevel', () => {
  test.each([
    ['{"msg":"x","level":"WARN"}', 'warn'],
    ['{"nested":{"level":"debug"},"severity": "Error"}', 'error'],
    ['{"level":30,"msg":"error"}', 'info'],
    ['ts=1 lvl=dbg msg="level=error"', 'debug'],
    ['level="critical" x', 'critical'],
    ['2024 ERROR something', 'error'],
    ['[warn] disk', 'warn'],
    ['select * from information_schema', 'unknown'],
    ['', 'unknown'],
    ['{"level":', 'unknown'],
    ['FATAL: gone', 'fatal'],
    ['{"log.level":"trace"}', 'trace'],
  ])('%s → %s', (line, level) => {
    expect(detectLevel(line)).toBe(level)
    const padded = Buffer.from(`..${line}..`)
    expect(detectLevel(padded, 2, 2 + Buffer.byteLength(line))).toBe(level)
  })
})
