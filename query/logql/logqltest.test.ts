import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { KNOWN_FAILURES } from './logqltest/known-failures.ts'
import { runScript } from './logqltest/script.ts'

const UPSTREAM = join(import.meta.dirname, '../../../shared/testdata/logqltest')
const OWN = join(import.meta.dirname, 'logqltest/scripts')
const hasUpstream = existsSync(UPSTREAM)
if (!hasUpstream) process.stderr.write(`upstream LogQL scripts are not run: ${UPSTREAM} is absent\n`)

function scriptsIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.logqltest')) : []
}

test('the upstream scripts are there in CI', () => {
  expect(hasUpstream || process.env['CI'] === undefined).toBe(true)
})

describe('own scripts', () => {
  test.each(scriptsIn(OWN))('%s', async (name) => {
    const evaluations = await runScript(name, readFileSync(join(OWN, name), 'utf8'), { partitions: 1 })
    expect(evaluations.length).toBeGreaterThan(0)
    expect(evaluations.filter(({ failure }) => failure !== undefined)).toEqual([])
  })
})

describe.runIf(hasUpstream).each([1, 3])('upstream scripts over %s partitions', (partitions) => {
  test.each(scriptsIn(UPSTREAM))('%s', async (name) => {
    const evaluations = await runScript(name, readFileSync(join(UPSTREAM, name), 'utf8'), { partitions })
    const failed = evaluations.filter((one) => one.failure !== undefined && !KNOWN_FAILURES.has(one.name))
    expect(failed).toEqual([])
    const passing = evaluations.filter((one) => one.failure === undefined && KNOWN_FAILURES.has(one.name)).map((one) => one.name)
    expect(passing).toEqual([])
    const names = new Set(evaluations.map((one) => one.name))
    expect([...KNOWN_FAILURES.keys()].filter((known) => known.startsWith(`${name}:`) && !names.has(known))).toEqual([])
  })
})
