import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { messageOf } from '../../lib/runtime/errors.ts'
import { createEngine, parseExpr, printExpr, typeOf } from './index.ts'
import { KNOWN_FAILURES } from './promqltest/known-failures.ts'
import { runScript } from './promqltest/script.ts'

const UPSTREAM = join(import.meta.dirname, '../../../shared/testdata')
const OWN = join(import.meta.dirname, 'promqltest/scripts')
const hasUpstream = existsSync(UPSTREAM)
if (!hasUpstream) process.stderr.write(`upstream PromQL scripts are not run: ${UPSTREAM} is absent\n`)

const engine = createEngine({ delayedNameRemoval: true, metadataLabels: true })

function scriptsIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.test')) : []
}

test('the upstream scripts are there in CI', () => {
  expect(hasUpstream || process.env['CI'] === undefined).toBe(true)
})

describe('own scripts', () => {
  test.each(scriptsIn(OWN))('%s', async (name) => {
    const evaluations = await runScript(engine, name, readFileSync(join(OWN, name), 'utf8'))
    expect(evaluations.length).toBeGreaterThan(0)
    expect(evaluations.filter(({ failure }) => failure !== undefined)).toEqual([])
  })
})

describe.runIf(hasUpstream)('upstream scripts', () => {
  const folder = join(UPSTREAM, 'promqltest')
  test.each(scriptsIn(folder))('%s', async (name) => {
    const evaluations = await runScript(engine, name, readFileSync(join(folder, name), 'utf8'))
    const failed = evaluations.filter((one) => one.failure !== undefined && !KNOWN_FAILURES.has(one.name))
    expect(failed).toEqual([])
    const passing = evaluations.filter((one) => one.failure === undefined && KNOWN_FAILURES.has(one.name)).map((one) => one.name)
    expect(passing).toEqual([])
    const names = new Set(evaluations.map((one) => one.name))
    expect([...KNOWN_FAILURES.keys()].filter((known) => known.startsWith(`${name}:`) && !names.has(known))).toEqual([])
  })
})

interface ParserCase {
  readonly input: string
  readonly fail: boolean
  readonly printed?: string
  readonly type?: string
  readonly err?: string
}

function parserOutcome(input: string): Pick<ParserCase, 'printed' | 'type' | 'err'> {
  try {
    const expr = parseExpr(input)
    return { printed: printExpr(expr), type: typeOf(expr) }
  } catch (error) {
    return { err: messageOf(error) }
  }
}

describe.runIf(hasUpstream)('upstream parser cases', () => {
  const cases = hasUpstream ? (JSON.parse(readFileSync(join(UPSTREAM, 'promql-parser/cases.json'), 'utf8')) as ParserCase[]) : []

  test('printed forms, types and error texts', () => {
    const outcomes = cases.map(({ input }) => ({ input, ...parserOutcome(input) }))
    const wanted = cases.map(({ input, fail, printed, type, err }) => (fail ? { input, err } : { input, printed, type }))
    expect(outcomes).toEqual(wanted)
  })

  test('what is printed parses to the same', () => {
    const printed = cases.filter(({ fail }) => !fail).map((one) => one.printed!)
    expect(printed.map((text) => parserOutcome(text).printed)).toEqual(printed)
  })
})
