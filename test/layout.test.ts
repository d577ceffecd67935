/**
 * Holds the shape of the tree: which folder may import which, front doors, who owns which package, how long a file may be.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const TOP = ['collector', 'query', 'rules', 'lib', 'cli', 'test', 'examples', 'bench', 'ui'] as const
const PROGRAM_FILES = ['main.ts', 'system.ts', 'ledger.ts']

/** What each top folder may import, itself aside. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  collector: ['lib'],
  rules: ['lib'],
  query: ['lib', 'rules'],
  cli: ['lib', 'query', 'collector', 'rules'],
  test: ['lib', 'query', 'collector', 'rules', 'cli', 'examples', 'bench'],
  examples: ['lib'],
  // It reads what the program tells of itself, in the program's own shape.
  bench: ['lib', 'query', 'collector', 'rules', 'cli', 'test', 'ledger.ts'],
  ui: [],
}

/** The one folder (or file) that may import a package. Tests may import any. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  fastify: ['lib/http', 'query/api', 'collector/receive', 'query/program.ts', 'collector/program.ts', 'examples'],
  bcryptjs: ['lib/http'],
  ws: ['query/api/loki'],
  zod: ['lib/config', 'lib/http', 'rules', 'collector/discovery'],
  yaml: ['lib/config', 'lib/http', 'rules', 'collector/discovery', 'query/api'],
  pino: ['lib/telemetry'],
  'prom-client': ['lib/telemetry', 'examples'],
  re2js: ['lib/regexp'],
  snappy: ['lib/wire'],
  '@platformatic/kafka': ['lib/journal/kafka'],
  '@grpc/grpc-js': ['collector/receive'],
  '@elastic/elasticsearch': ['query/elastic'],
  '@opentelemetry/': ['lib/telemetry', 'examples'],
}

/** Folders of `query/` that must not know each other: a store and a language. */
const STORES = ['query/metrics', 'query/logs', 'query/traces', 'query/events']
const LANGUAGES = ['query/promql', 'query/logql', 'query/traceql']

interface Import {
  readonly from: string
  readonly to: string
  readonly isPackage: boolean
}

function sourceFiles(dir: string): string[] {
  return readdirSync(join(ROOT, dir)).flatMap((name) => {
    const path = join(dir, name)
    if (name === 'node_modules' || name.startsWith('.')) return []
    if (statSync(join(ROOT, path)).isDirectory()) return sourceFiles(path)
    return name.endsWith('.ts') ? [path] : []
  })
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const statements =
    /^(?:import|export) (?:type )?(?:\{[^}]*\}|\* as \w+|[\w$]+(?:, \{[^}]*\})?) from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm
  const found = [...text.matchAll(statements)].map((match) => match[1] ?? match[2] ?? match[3]!)
  return found.map((target) => {
    const isPackage = !target.startsWith('.')
    return { from: file, to: isPackage ? target : relative(ROOT, resolve(ROOT, dirname(file), target)), isPackage }
  })
}

const FILES = [...PROGRAM_FILES, ...TOP.filter((dir) => readdirSync(ROOT).includes(dir)).flatMap((dir) => sourceFiles(dir))]
const IMPORTS = FILES.flatMap(importsOf)
const isTest = (file: string): boolean =>
  file.endsWith('.test.ts') ||
  file.endsWith('.testkit.ts') ||
  file.startsWith('test/') ||
  file.endsWith('/contract.ts') ||
  file.includes('/promqltest/')
const topOf = (file: string): string => file.split('/')[0]!
const within = (file: string, folder: string): boolean => file === folder || file.startsWith(`${folder}/`)

describe('the tree', () => {
  test('is read by this test', () => {
    expect(FILES.length).toBeGreaterThan(100)
    expect(IMPORTS.length).toBeGreaterThan(500)
  })

  test('imports go one way', () => {
    const wrong = IMPORTS.filter(({ from, to, isPackage }) => {
      if (isPackage || PROGRAM_FILES.includes(from)) return false
      const [a, b] = [topOf(from), topOf(to)]
      if (to === 'package.json' || (isTest(from) && (PROGRAM_FILES.includes(to) || within(to, 'test/harness')))) return false
      return a !== b && !(isTest(from) ? MAY_IMPORT['test']! : (MAY_IMPORT[a] ?? [])).includes(b)
    })
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  test('lib/model imports nothing', () => {
    expect(IMPORTS.filter(({ from, to }) => within(from, 'lib/model') && !isTest(from) && !within(to, 'lib/model'))).toEqual([])
  })

  test('a store and a language never import each other', () => {
    const wrong = IMPORTS.filter(({ from, to, isPackage }) => {
      if (isPackage || isTest(from)) return false
      const store = (file: string): boolean => STORES.some((folder) => within(file, folder))
      const language = (file: string): boolean => LANGUAGES.some((folder) => within(file, folder))
      return (store(from) && language(to)) || (language(from) && store(to))
    })
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  test('a folder with a front door is entered through it', () => {
    const doors = new Set(FILES.filter((file) => file.endsWith('/index.ts')).map((file) => dirname(file)))
    const wrong = IMPORTS.filter(({ from, to, isPackage }) => {
      if (isPackage || isTest(from)) return false
      const folder = dirname(to)
      // Files of the folder are at home; a part inside an idea with a door of its own is open to that idea.
      const home = doors.has(dirname(folder)) ? dirname(folder) : folder
      return doors.has(folder) && !to.endsWith('/index.ts') && !within(from, home)
    })
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  test('each package has its owner', () => {
    const wrong = IMPORTS.filter(({ from, to, isPackage }) => {
      if (!isPackage || to.startsWith('node:') || isTest(from)) return false
      const owners = Object.entries(OWNERS).find(([name]) => (name.endsWith('/') ? to.startsWith(name) : to === name))?.[1]
      return owners === undefined || !owners.some((folder) => within(from, folder))
    })
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  test('no file is past 500 lines', () => {
    const long = FILES.filter((file) => !file.endsWith('.test.ts')).filter(
      (file) => readFileSync(join(ROOT, file), 'utf8').split('\n').length > 501,
    )
    expect(long).toEqual([])
  })

  test('nothing is left behind', () => {
    const marks = /\b(TODO|FIXME|XXX|HACK)\b|@ts-ignore|@ts-nocheck|\bas any\b|\.only\(/
    const self = 'test/layout.test.ts'
    expect(FILES.filter((file) => file !== self && marks.test(readFileSync(join(ROOT, file), 'utf8')))).toEqual([])
  })
})
