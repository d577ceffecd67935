import { expect, test } from 'vitest'
import { numberText, ratioOf, tableOf } from './report.ts'
import type { Figure } from './rows/index.ts'
import type { BenchResult } from './run.ts'

const figure = (what: string, unit: string, better: Figure['better'], own: number, peer?: number): Figure => ({
  what,
  unit,
  better,
  values: { sightline: { value: own, rounds: [own] }, ...(peer === undefined ? {} : { prometheus: { value: peer, rounds: [peer] } }) },
})

const RESULT: BenchResult = {
  startedAt: '2026-01-02T03:04:05.000Z',
  seconds: 12,
  machine: { cpu: 'Test CPU', cores: 2, memoryBytes: 8 * 2 ** 30, node: 'v24.0.0', kernel: '6.1', loadAverage: 0.25 },
  commit: { id: '0123456789abcdef', isDirty: true },
  section: 'metrics',
  layout: 'embedded',
  isQuick: false,
  seed: 1,
  rounds: 5,
  scale: 1,
  checkpointMs: 5000,
  peer: { name: 'prometheus', version: '2.42.0' },
  rows: [
    {
      row: 'remote-write',
      section: 'metrics',
      parameters: {},
      figures: [
        figure('ingest', 'samples a CPU-second', 'more', 1_500_000, 500_000),
        figure('ingest', 'ns CPU a sample', 'less', 667, 2000),
      ],
      counts: { sightline: { sent: 100, stored: 100 }, prometheus: { sent: 100, stored: 99 } },
      journalBytes: {},
      missing: {},
    },
    {
      row: 'otlp-metrics',
      section: 'metrics',
      parameters: {},
      figures: [figure('ingest', 'samples a CPU-second', 'more', 90_000)],
      counts: { sightline: { sent: 5, stored: undefined } },
      journalBytes: {},
      missing: { prometheus: 'prometheus has no otlp-metrics here' },
    },
    {
      row: 'promql',
      section: 'metrics',
      parameters: {},
      figures: [figure('topk', 'ms p50', 'less', 4, 6), figure('topk', 'ms p95', 'less', 5.25, 7), figure('topk', 'ms CPU', 'less', 0, 3)],
      counts: {},
      journalBytes: {},
      missing: {},
    },
  ],
  failed: { logql: 'the server ended' },
}

test('the table: figures, ratios, what is missing, what differs, what failed', () => {
  expect(tableOf(RESULT)).toBe(`Test CPU, 2 cores, 8 GiB, node v24.0.0, load 0.3
commit 0123456789 with changes, layout embedded, seed 1, 5 rounds
peer: prometheus 2.42.0; a ratio above 1 means that the first is better

row           what                          sightline  prometheus  ratio
remote-write  ingest  samples a CPU-second     1.50 M       500 k  3.00×
              ingest  ns CPU a sample             667        2000  3.00×
otlp-metrics  ingest  samples a CPU-second       90 k           –      –

promql, ms   p50   p95   CPU  prometheus p50  prometheus p95  prometheus CPU  ratio p50  ratio CPU
topk        4.00  5.25  0.00            6.00            7.00            3.00      1.50×          –
otlp-metrics: not measured: prometheus has no otlp-metrics here

remote-write: prometheus was sent 100 items and has 99
otlp-metrics: sightline was sent 5 items; how many it stored can't be told
logql: FAILED: the server ended
12 s
`)
})

test('a fleet: its roles stand beside its sum, those of a second one behind that', () => {
  const split = (what: string, unit: string, value: number, roles: Record<string, number>): Figure => {
    const parts = Object.fromEntries(Object.entries(roles).map(([role, part]) => [role, { value: part, rounds: [part] }]))
    return { what, unit, better: 'less', values: { sightline: { value, rounds: [value] }, other: { value, rounds: [value], parts } } }
  }
  const roles = { collector: 100, query: 200, kafka: 50 }
  const row = { section: 'metrics', parameters: {}, counts: {}, journalBytes: {}, missing: {} } as const
  const rows = [
    {
      ...row,
      row: 'remote-write',
      figures: [split('ingest', 'ns CPU a sample', 300, roles), figure('ingest', 'samples a second', 'more', 5)],
    },
    {
      ...row,
      row: 'promql',
      figures: [figure('topk', 'ms p50', 'less', 4, 6), figure('topk', 'ms p95', 'less', 5.25), split('topk', 'ms CPU', 3, { query: 2.5 })],
    },
  ]
  const lines = tableOf({ ...RESULT, peer: { name: 'other', version: '1' }, rows, failed: {} }).split('\n')
  expect(lines.slice(4, -3)).toEqual([
    'row           what                      sightline  other  collector  query  kafka  ratio',
    'remote-write  ingest  ns CPU a sample         300    300        100    200   50.0  1.00×',
    '              ingest  samples a second       5.00      –          –      –      –      –',
    '',
    'promql, ms   p50   p95   CPU  other p50  other p95  other CPU  query CPU  ratio p50  ratio CPU',
    'topk        4.00  5.25  3.00          –          –       3.00       2.50          –      1.00×',
  ])
})

test('without a peer there are no columns for one', () => {
  const text = tableOf({ ...RESULT, peer: undefined, rows: RESULT.rows.slice(1, 2), failed: {} })
  expect(text).not.toContain('ratio')
  expect(text).toContain('otlp-metrics  ingest  samples a CPU-second       90 k')
})

test('the document is plain JSON', () => {
  expect(JSON.parse(JSON.stringify(RESULT))).toEqual(RESULT)
})

test('a ratio says how many times better the first is, whichever way is better', () => {
  expect(ratioOf(figure('', '', 'more', 30, 10), 'prometheus')).toBe(3)
  expect(ratioOf(figure('', '', 'less', 10, 30), 'prometheus')).toBe(3)
  expect(ratioOf(figure('', '', 'less', 0, 30), 'prometheus')).toBeUndefined()
  expect(ratioOf(figure('', '', 'less', 1), 'prometheus')).toBeUndefined()
})

test('numbers have the digits that say something', () => {
  expect([0, 0.123456, 12.34, 123.4, 1234, 12_340, 1_234_000, undefined, Number.NaN].map(numberText)).toEqual([
    '0.00', '0.123', '12.3', '123', '1234', '12 k', '1.23 M', '–', '–',
  ]) // prettier-ignore
})
