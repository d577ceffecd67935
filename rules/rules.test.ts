import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatLabels, labelsOf, type Labels } from '../lib/model/index.ts'
import { FakeClock } from '../lib/runtime/clock.ts'
import { SightlineError } from '../lib/runtime/errors.ts'
import { createLog } from '../lib/telemetry/index.ts'
import { AlertingRule, loadRuleFiles, MemoryStateLog, Rules, type Notice, type RuleSample } from './index.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const log = createLog('silent')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rules-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function write(text: string, name = 'rules.yml'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** A world in which one expression has the value that the test says, evaluated every 10 s. */
function worldOf(rules: string, clock = new FakeClock(1_000_000_000), state = new MemoryStateLog()) {
  const path = write(rules)
  const answers = new Map<string, readonly RuleSample[] | SightlineError>()
  const appended: { text: string; timeMs: number }[] = []
  const notices: (Notice & { readonly atMs: number })[] = []
  let queries = 0
  const made = new Rules({
    clock,
    state,
    log,
    parse: (text) => text.trim(),
    query: (expression) => {
      queries++
      const answer = answers.get(expression) ?? []
      return answer instanceof SightlineError ? Promise.reject(answer) : Promise.resolve(answer)
    },
    append: (samples, stale, timeMs) => {
      for (const { labels, value } of samples) appended.push({ text: `${formatLabels(labels)} ${value}`, timeMs })
      for (const labels of stale) appended.push({ text: `${formatLabels(labels)} stale`, timeMs })
      return Promise.resolve()
    },
    send: (told) => {
      notices.push(...told.map((notice) => ({ ...notice, atMs: clock.now() })))
      return Promise.resolve()
    },
  })
  const config = { files: [path], intervalMs: 10 * SECOND, queryOffsetMs: 0, externalLabels: [], externalUrl: 'http://x/' }
  return {
    clock,
    state,
    rules: made,
    answers,
    appended,
    notices,
    config,
    queries: () => queries,
    async start() {
      await made.prepare(config)()
      await made.start()
    },
    set(value: number | undefined, labels: Labels = labelsOf({ job: 'shop' })) {
      answers.set('bad', value === undefined ? [] : [{ labels, value }])
    },
    states: () => made.groups.flatMap(({ rules }) => rules.map(({ rule }) => (rule instanceof AlertingRule ? rule.state : 'recording'))),
  }
}

const ALERT = (extra = ''): string => `
groups:
  - name: g
    rules:
      - { alert: Bad, expr: bad, for: 30s, labels: { severity: page }, annotations: { summary: '{{ $labels.job }}={{ $value }}' } ${extra} }
`

describe('timelines', () => {
  test('pending, firing after `for`, resolved; told when it fires and when it ends', async () => {
    const world = worldOf(ALERT())
    world.set(5)
    await world.start()
    await world.clock.advance(10 * SECOND)
    expect(world.states()).toEqual(['pending'])
    expect(world.appended.map(({ text }) => text)).toContain('ALERTS{alertname="Bad", alertstate="pending", job="shop", severity="page"} 1')
    await world.clock.advance(20 * SECOND)
    expect(world.states()).toEqual(['pending'])
    expect(world.notices).toEqual([])
    await world.clock.advance(10 * SECOND)
    expect(world.states()).toEqual(['firing'])
    expect(world.notices).toMatchObject([{ isResolved: false, annotations: { summary: 'shop=5' } }])
    expect(world.appended.map(({ text }) => text)).toContain(
      'ALERTS{alertname="Bad", alertstate="pending", job="shop", severity="page"} stale',
    )
    world.set(undefined)
    await world.clock.advance(10 * SECOND)
    expect(world.states()).toEqual(['inactive'])
    expect(world.notices).toHaveLength(2)
    expect(world.notices[1]).toMatchObject({ isResolved: true, startsAtMs: world.notices[0]!.startsAtMs })
    expect(world.notices[1]!.endsAtMs).toBeGreaterThan(world.notices[1]!.startsAtMs)
    await world.rules.stop()
  })

  test('what flaps below `for` never fires; what fires is told again each minute', async () => {
    const world = worldOf(ALERT())
    await world.start()
    for (let i = 0; i < 10; i++) {
      world.set(i % 3 === 2 ? undefined : 1)
      await world.clock.advance(10 * SECOND)
    }
    expect(world.notices).toEqual([])
    world.set(1)
    await world.clock.advance(4 * MINUTE)
    const gaps = world.notices.slice(1).map(({ atMs }, i) => atMs - world.notices[i]!.atMs)
    expect(gaps.length).toBeGreaterThanOrEqual(2)
    expect(new Set(gaps)).toEqual(new Set([MINUTE]))
    await world.rules.stop()
  })

  test('keep_firing_for bridges a gap', async () => {
    const world = worldOf(ALERT(', keep_firing_for: 1m'))
    world.set(1)
    await world.start()
    await world.clock.advance(40 * SECOND)
    expect(world.states()).toEqual(['firing'])
    world.set(undefined)
    await world.clock.advance(50 * SECOND)
    expect(world.states()).toEqual(['firing'])
    world.set(1)
    await world.clock.advance(10 * SECOND)
    world.set(undefined)
    await world.clock.advance(60 * SECOND)
    expect(world.states()).toEqual(['firing'])
    await world.clock.advance(10 * SECOND)
    expect(world.states()).toEqual(['inactive'])
    await world.rules.stop()
  })

  test('a resolved alert is let go after 15 minutes, from the state log too', async () => {
    const world = worldOf(ALERT())
    world.set(1)
    await world.start()
    await world.clock.advance(40 * SECOND)
    world.set(undefined)
    await world.clock.advance(15 * MINUTE)
    const alerts = (): number => [...world.state.entries()].filter(([key]) => key.startsWith('rules/alert/')).length
    expect(alerts()).toBe(1)
    await world.clock.advance(MINUTE)
    expect(alerts()).toBe(0)
    await world.rules.stop()
  })
})

describe('restarts', () => {
  test('a firing alert goes on firing since when it did; held until scrapes are back, then resolved', async () => {
    const before = worldOf(ALERT())
    before.set(1)
    await before.start()
    await before.clock.advance(40 * SECOND)
    const firedAtMs = before.notices[0]!.startsAtMs
    await before.rules.stop()
    const after = worldOf(ALERT(), before.clock, before.state)
    await after.start()
    await after.clock.advance(10 * SECOND)
    expect(after.states()).toEqual(['firing'])
    expect(after.notices).toMatchObject([{ startsAtMs: firedAtMs, isResolved: false, annotations: { summary: 'shop=1' } }])
    await after.clock.advance(20 * SECOND)
    expect(after.notices.slice(1)).toMatchObject([{ isResolved: true, startsAtMs: firedAtMs }])
    await after.rules.stop()
  })

  test('time in which nothing ran does not count towards `for`', async () => {
    const before = worldOf(ALERT())
    before.set(1)
    await before.start()
    await before.clock.advance(20 * SECOND)
    await before.rules.stop()
    await before.clock.advance(10 * MINUTE)
    const after = worldOf(ALERT(), before.clock, before.state)
    after.set(1)
    await after.start()
    await after.clock.advance(10 * SECOND)
    expect(after.states()).toEqual(['pending'])
    await after.clock.advance(30 * SECOND)
    expect(after.states()).toEqual(['firing'])
    await after.rules.stop()
  })

  test('after more than an hour a pending alert begins anew', async () => {
    const before = worldOf(ALERT())
    before.set(1)
    await before.start()
    await before.clock.advance(20 * SECOND)
    await before.rules.stop()
    await before.clock.advance(61 * MINUTE)
    const after = worldOf(ALERT(), before.clock, before.state)
    after.set(1)
    await after.start()
    await after.clock.advance(20 * SECOND)
    expect(after.states()).toEqual(['pending'])
    await after.rules.stop()
  })

  test('state of rules that are gone is let go', async () => {
    const before = worldOf(ALERT())
    before.set(1)
    await before.start()
    await before.clock.advance(40 * SECOND)
    await before.rules.stop()
    const after = worldOf('groups: []', before.clock, before.state)
    await after.start()
    expect([...after.state.entries()]).toEqual([])
  })
})

describe('groups', () => {
  const TWO = `
groups:
  - name: g
    limit: 1
    labels: { team: a }
    rules:
      - { record: 'x:y', expr: bad, labels: { kind: k } }
`

  test('a series that is no longer given goes stale; labels of group and rule are set', async () => {
    const world = worldOf(TWO)
    world.set(3)
    await world.start()
    await world.clock.advance(10 * SECOND)
    world.set(undefined)
    await world.clock.advance(20 * SECOND)
    const series = 'x:y{job="shop", kind="k", team="a"}'
    expect(world.appended.map(({ text }) => text)).toEqual([`${series} 3`, `${series} stale`])
    await world.rules.stop()
  })

  test('equal label sets and passed limits are errors of the rule', async () => {
    const world = worldOf(TWO)
    const status = (): string => world.rules.groups[0]!.rules[0]!.lastError
    await world.start()
    world.answers.set('bad', [
      { labels: labelsOf({ __name__: 'a' }), value: 1 },
      { labels: labelsOf({ __name__: 'b' }), value: 1 },
    ])
    await world.clock.advance(10 * SECOND)
    expect(status()).toBe('vector contains metrics with the same labelset after applying rule labels')
    world.answers.set('bad', [
      { labels: labelsOf({ a: '1' }), value: 1 },
      { labels: labelsOf({ a: '2' }), value: 1 },
    ])
    await world.clock.advance(10 * SECOND)
    expect(status()).toBe('exceeded limit of 1 with 2 series')
    world.answers.set('bad', new SightlineError('execution', 'boom'))
    await world.clock.advance(10 * SECOND)
    expect(world.rules.groups[0]!.rules[0]).toMatchObject({ health: 'err', lastError: 'boom' })
    await world.rules.stop()
  })

  test('a reload keeps the state of a rule that is still there, and a bad file changes nothing', async () => {
    const world = worldOf(ALERT())
    world.set(1)
    await world.start()
    await world.clock.advance(40 * SECOND)
    write('groups: [{ name: g, rules: [{ alert: Bad }] }]')
    expect(() => world.rules.prepare(world.config)).toThrow('group "g", rule 1, "Bad": field \'expr\' must be set in rule')
    expect(world.states()).toEqual(['firing'])
    write(`${ALERT()}      - { record: 'other', expr: '1' }\n`)
    await world.rules.prepare(world.config)()
    expect(world.states()).toEqual(['firing', 'recording'])
    write('groups: []')
    await world.rules.prepare(world.config)()
    expect(world.appended.at(-1)!.text).toMatch(/^ALERTS.* stale$/)
    expect([...world.state.entries()]).toEqual([])
    await world.rules.stop()
  })
})

test('problems of files name file, group and rule', () => {
  const path = write(`
groups:
  - name: a
    rules:
      - { record: r, alert: s, expr: '1' }
      - { alert: s, expr: '1', annotations: { x: '{{ nope }}' } }
      - { record: r, expr: 'bad(' }
  - name: a
`)
  const parse = (text: string): string => {
    if (text === 'bad(') throw new SightlineError('bad_data', 'parse error')
    return text
  }
  expect(() => loadRuleFiles([path], parse)).toThrow(
    [
      `${path}: group "a", rule 1, "s": only one of 'record' and 'alert' must be set`,
      `${path}: group "a", rule 2, "s": error parsing template __alert_s: template: __alert_s:1: function "nope" not defined`,
      `${path}: group "a", rule 3, "r": parse error`,
      `${path}: groupname: "a" is repeated in the same file`,
    ].join('\n'),
  )
  write('groups: [{ name: x, rulez: [] }]', 'other.yml')
  expect(() => loadRuleFiles([join(folder, 'oth*.yml')], parse)).toThrow('groups[0].rulez: unknown key')
  expect(loadRuleFiles([join(folder, 'none*.yml')], parse)).toEqual([])
})
