/** Every query in `dashboards/` parses, runs, and names metrics that exist; every datasource they ask for is provisioned. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { parseExpr as parseLogQl } from '../query/logql/index.ts'
import { extractSelectors, parseExpr as parsePromQl } from '../query/promql/index.ts'
import { compileQuery } from '../query/traceql/index.ts'
import { eventually } from './harness/eventually.ts'
import { SightlineProcess } from './harness/sightline.ts'

const ROOT = join(import.meta.dirname, '..')
const DASHBOARDS = join(ROOT, 'dashboards')

interface Target {
  readonly datasource: { readonly type: string; readonly uid: string }
  readonly expr?: string
  readonly query?: string
  readonly instant?: boolean
}
interface Panel {
  readonly title: string
  readonly targets?: readonly Target[]
}
interface Variable {
  readonly name: string
  readonly type: string
  readonly query: string | { readonly query: string }
  readonly current: { readonly value: string | readonly string[] }
}
interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
}
interface Query {
  readonly name: string
  readonly language: string
  readonly text: string
}

/** What Grafana would put in place of its variables. */
function substitute(text: string): string {
  const values: Record<string, string> = { __rate_interval: '1m', __range: '15m', __interval: '30s', __auto: '30s', service: '.*' }
  return text.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced: string | undefined, bare: string | undefined) => {
    const value = values[braced ?? bare ?? '']
    if (value === undefined) throw new Error(`no value for ${whole} in ${text}`)
    return value
  })
}

const FILES = readdirSync(DASHBOARDS).filter((name) => name.endsWith('.json'))
const BOARDS = FILES.map((file) => ({ file, board: JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as Dashboard }))
const QUERIES: Query[] = BOARDS.flatMap(({ file, board }) => [
  ...board.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ datasource, expr, query }) => ({
      name: `${file}: ${title}`,
      language: datasource.type,
      text: substitute(expr ?? query ?? ''),
    })),
  ),
  ...board.templating.list
    .filter(({ type }) => type === 'query')
    .map(({ name, query }) => {
      const text = typeof query === 'string' ? query : query.query
      const selector = /^label_values\((.+), *\w+\)$/.exec(text)?.[1]
      if (selector === undefined) throw new Error(`${file}: no selector in variable ${name}`)
      return { name: `${file}: variable ${name}`, language: 'prometheus', text: selector }
    }),
])

describe('dashboards', () => {
  test('are there, each with queries', () => {
    expect(FILES).toEqual(['shop.json', 'sightline.json'])
    expect(QUERIES.length).toBeGreaterThan(50)
  })

  test.each(QUERIES)('$name parses: $text', ({ language, text }) => {
    expect(text).not.toBe('')
    const parsers: Record<string, (query: string) => unknown> = { prometheus: parsePromQl, loki: parseLogQl, tempo: compileQuery }
    expect(parsers[language]!(text)).toBeDefined()
  })

  test('name only metrics of ours that exist', () => {
    const source = ['collector', 'query', 'rules', 'lib']
      .flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
      .concat('system.ts')
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(join(ROOT, name), 'utf8'))
      .join('\n')
    const named = new Set(QUERIES.flatMap(({ text }) => text.match(/\bsightline_\w+/g) ?? []))
    expect(named.size).toBeGreaterThan(20)
    const unknown = [...named].filter(
      (name) => ![name, name.replace(/_(bucket|sum|count)$/, '')].some((one) => source.includes(`'${one}'`)),
    )
    expect(unknown).toEqual([])
  })

  test('ask for datasources that are provisioned', () => {
    const file = readFileSync(join(DASHBOARDS, 'provisioning/datasources/sightline.yaml'), 'utf8')
    const { datasources } = parseYaml(file) as { datasources: { uid: string; type: string; url: string }[] }
    expect(datasources.map(({ type, url }) => [type, url])).toEqual([
      ['prometheus', '$SIGHTLINE_URL'],
      ['loki', '$SIGHTLINE_URL'],
      ['tempo', '$SIGHTLINE_URL/tempo'],
      ['jaeger', '$SIGHTLINE_URL/jaeger'],
    ])
    const uids = new Set(datasources.map(({ uid }) => uid))
    const linked = [...file.matchAll(/datasourceUid: (\S+)/g)].map((match) => match[1]!)
    const asked = BOARDS.flatMap(({ board }) => board.templating.list.filter(({ type }) => type === 'datasource')).map(
      (one) => one.current.value,
    )
    expect([...linked, ...asked].filter((uid) => !uids.has(String(uid)))).toEqual([])
  })
})

describe('against a running Sightline', () => {
  let sightline: SightlineProcess

  beforeAll(async () => {
    sightline = await SightlineProcess.create({ config: 'self: { scrape_interval: 1s }\n' })
    await sightline.start()
  })
  afterAll(() => sightline.dispose())

  test.each(QUERIES)('$name runs: $text', async ({ language, text }) => {
    const query = encodeURIComponent(text)
    const endSeconds = Math.floor(Date.now() / 1000)
    const range = `start=${endSeconds - 900}&end=${endSeconds}`
    const path: Record<string, string> = {
      prometheus: `/api/v1/query_range?query=${query}&${range}&step=15`,
      loki: `/loki/api/v1/query_range?query=${query}&${range}&step=30s`,
      tempo: `/tempo/api/search?q=${query}&${range}&limit=20`,
    }
    const answer = await sightline.get<{ status?: string; traces?: unknown[] }>(path[language]!)
    // Tempo has no envelope: a list is its success.
    expect(answer.status ?? Array.isArray(answer.traces)).toBe(language === 'tempo' ? true : 'success')
  })

  test('what the dashboard of Sightline itself names, it exposes', async () => {
    const text = await (await fetch(`${sightline.url}/metrics`)).text()
    const exposed = new Set(Array.from(text.matchAll(/^# TYPE (\S+) /gm), (match) => match[1]!))
    const made = /^(up|ALERTS|scrape_\w+)$/
    const named = QUERIES.filter(({ name, language }) => name.startsWith('sightline.json') && language === 'prometheus').flatMap(
      ({ text: query }) =>
        extractSelectors(parsePromQl(query)).map(({ matchers }) => matchers.find(({ name }) => name === '__name__')!.value),
    )
    expect(named.length).toBeGreaterThan(30)
    expect(
      named.filter((name) => !made.test(name) && !exposed.has(name) && !exposed.has(name.replace(/_(bucket|sum|count)$/, ''))),
    ).toEqual([])
  })

  test('the dashboard of Sightline itself shows something', async () => {
    await eventually(async () => expect(await sightline.query('rate(sightline_scrape_samples_total[1m])')).toHaveLength(1))
    const up = await sightline.query('sum(up)')
    expect(up.map(({ value }) => value[1])).toEqual(['1'])
    expect(await sightline.query('sum(sightline_journal_bytes) > 0')).toHaveLength(1)
  })
})
