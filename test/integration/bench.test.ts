/** The bench, as a user runs it, with small loads: not how fast, but that it measures what it says. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { BenchResult } from '../../bench/run.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'sightline-bench-test-'))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['bench/main.ts', ...args], { cwd: ROOT, encoding: 'utf8', timeout: 60_000 })
}

test.each([
  ['metrics', 'remote-write', 'samples a CPU-second', 100 * 2 * 20],
  ['traces', 'otlp-traces', 'spans a CPU-second', 2 * 1000],
])(
  '%s: the row %s has its figures, and all that was sent is stored',
  (section, row, unit, sent) => {
    const out = join(folder, `${row}.json`)
    const scale = section === 'metrics' ? 0.05 : 0.1
    const { status, stdout, stderr } = bench(section, '--only', row, '--quick', '--scale', String(scale), '--out', out)
    expect(stderr).not.toContain('failed')
    expect(status).toBe(0)
    const result = JSON.parse(readFileSync(out, 'utf8')) as BenchResult
    expect(result.failed).toEqual({})
    expect(result).toMatchObject({ section, layout: 'embedded', isQuick: true, seed: 1, rounds: 1 })
    expect(result.machine.cores).toBeGreaterThan(0)
    const [only] = result.rows
    expect(only?.row).toBe(row)
    expect(only?.parameters).toMatchObject({ seed: 1, rounds: 1 })
    expect(only?.counts).toEqual({ sightline: { sent, stored: sent } })
    const rate = only?.figures.find((figure) => figure.unit === unit)
    expect(rate?.values['sightline']?.value).toBeGreaterThan(0)
    expect(only?.figures.find((figure) => figure.what === 'on disk')?.values['sightline']?.value).toBeGreaterThan(0)
    expect(stdout).toContain(unit)
  },
  90_000,
)

test('a row that does not exist is told, with those that do', () => {
  const { status, stderr } = bench('all', '--only', 'nothing')
  expect(status).toBe(1)
  expect(stderr).toContain('no row "nothing": there are scrape, tail, remote-write')
})
