/** The bench, as a user runs it, with small loads: not how fast, but that it measures what it says. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Measured, RowResult } from '../../bench/rows/index.ts'
import type { BenchResult } from '../../bench/run.ts'
import { whyNoKafka } from '../harness/kafka.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'sightline-bench-test-'))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['bench/main.ts', ...args], { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
}

/** One row with a small load; checks what holds for every row and layout. */
function measured(section: string, row: string, layout: string, sent: number): { only: RowResult; stdout: string } {
  const out = join(folder, `${row}-${layout}.json`)
  const scale = section === 'metrics' ? 0.05 : 0.1
  const flags = ['--only', row, '--layout', layout, '--quick', '--scale', String(scale), '--out', out]
  const { status, stdout, stderr } = bench(section, ...flags)
  expect(stderr).not.toContain('failed')
  expect(status).toBe(0)
  const result = JSON.parse(readFileSync(out, 'utf8')) as BenchResult
  expect(result.failed).toEqual({})
  expect(result).toMatchObject({ section, layout, isQuick: true, seed: 1, rounds: 1 })
  expect(result.machine.cores).toBeGreaterThan(0)
  const [only] = result.rows
  expect(only?.row).toBe(row)
  expect(only?.parameters).toMatchObject({ seed: 1, rounds: 1 })
  expect(only?.counts).toEqual({ sightline: { sent, stored: sent } })
  expect(only?.figures.find((figure) => figure.what === 'on disk')?.values['sightline']?.value).toBeGreaterThan(0)
  return { only: only!, stdout }
}

test.each([
  ['metrics', 'remote-write', 'samples a CPU-second', 100 * 2 * 20],
  ['traces', 'otlp-traces', 'spans a CPU-second', 2 * 1000],
])(
  '%s: the row %s has its figures, and all that was sent is stored',
  (section, row, unit, sent) => {
    const { only, stdout } = measured(section, row, 'embedded', sent)
    const rate = only.figures.find((figure) => figure.unit === unit)
    expect(rate?.values['sightline']?.value).toBeGreaterThan(0)
    expect(only.journalBytes).toEqual({ sightline: {} })
    expect(stdout).toContain(unit)
  },
  90_000,
)

/** The roles of a fleet have what is theirs, and its figure is their sum; Kafka's is beside it. */
function expectRoles({ only, stdout }: ReturnType<typeof measured>, besides: readonly string[]): void {
  const valueOf = (unit: string): Measured => only.figures.find((figure) => figure.unit === unit)!.values['sightline']!
  for (const [unit, roles] of [
    ['ns CPU a line', ['collector', 'query', ...besides]],
    ['MiB RSS', ['collector', 'query']],
  ] as const) {
    const { value, parts } = valueOf(unit)
    expect(Object.keys(parts!)).toEqual(roles)
    expect(value).toBeCloseTo(parts!['collector']!.value + parts!['query']!.value, 3)
  }
  expect(valueOf('lines a second until stored').value).toBeGreaterThan(0)
  expect(stdout).toMatch(new RegExp(`sightline +collector +query${besides.map((role) => ` +${role}`).join('')}\n`))
}

test('a collector that ships over HTTP: its cost by role, all is stored at the query node', { timeout: 90_000 }, () => {
  const found = measured('logs', 'loki-push', 'http', 2 * 1200)
  expectRoles(found, [])
  expect(found.only.journalBytes['sightline']).toEqual({ collector: expect.any(Number), query: expect.any(Number) })
})

const missing = whyNoKafka()

describe.skipIf(missing !== undefined)(`over Kafka${missing === undefined ? '' : ` (${missing})`}`, () => {
  test('the broker is told apart, all is stored at the two query nodes', { timeout: 90_000 }, () => {
    const found = measured('logs', 'loki-push', 'kafka-2', 2 * 1200)
    expectRoles(found, ['kafka'])
    const { collector, kafka } = found.only.journalBytes['sightline']!
    expect(collector).toBeGreaterThan(0)
    expect(kafka).toBeGreaterThan(0)
  })
})

test('a row that does not exist is told, with those that do', () => {
  const { status, stderr } = bench('all', '--only', 'nothing')
  expect(status).toBe(1)
  expect(stderr).toContain('no row "nothing": there are scrape, tail, remote-write')
})
