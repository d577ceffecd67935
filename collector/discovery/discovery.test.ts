import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import { parseConfig } from '../../lib/config/index.ts'
import { FakeClock } from '../../lib/runtime/clock.ts'
import { discover, type TargetGroup } from './index.ts'

const stop = new Set<() => void>()

afterEach(() => {
  for (const end of stop) end()
  stop.clear()
})

/** Runs the discoveries of a job; `last` is what they said last. */
function run(sd: string): { last: () => string[]; groups: () => readonly TargetGroup[]; clock: FakeClock } {
  const { config } = parseConfig(`scrape_configs:\n- job_name: j\n${sd}`, 'test', {})
  const controller = new AbortController()
  const clock = new FakeClock(1_000_000)
  stop.add(() => controller.abort())
  let groups: readonly TargetGroup[] = []
  discover(config.scrape_configs[0]!, { clock, log: pino({ level: 'silent' }), signal: controller.signal }, (next) => (groups = next))
  return { last: () => groups.flatMap((group) => group.targets).sort(), groups: () => groups, clock }
}

describe('discovery', () => {
  test('static lists are there at once', () => {
    const { last, groups } = run("  static_configs: [{ targets: ['a:1', 'b:2'], labels: { zone: z } }]")
    expect(last()).toEqual(['a:1', 'b:2'])
    expect(groups()[0]!.labels).toEqual({ zone: 'z' })
  })

  test('files are followed: changed, added, deleted; one that is damaged keeps its last targets', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sightline-sd-'))
    stop.add(() => rmSync(dir, { recursive: true, force: true }))
    const write = (name: string, text: string): void => writeFileSync(join(dir, name), text)
    write('a.json', '[{"targets":["a:1"],"labels":{"n":1}}]')
    write('ignored.txt', '[{"targets":["x:1"]}]')
    const { last, groups, clock } = run(`  file_sd_configs: [{ files: ['${dir}/*.json', '${dir}/*.yml'] }]`)
    await clock.advance(1000)
    expect(last()).toEqual(['a:1'])
    expect(groups().find((group) => group.targets.includes('a:1'))!.labels).toEqual({ n: '1', __meta_filepath: join(dir, 'a.json') })
    write('b.yml', '- targets: [b:1, b:2]\n')
    await clock.advance(1000)
    expect(last()).toEqual(['a:1', 'b:1', 'b:2'])
    write('b.yml', '- targets: [b:3]\n')
    write('a.json', '{"not": "a list"}')
    await clock.advance(1000)
    expect(last()).toEqual(['a:1', 'b:3'])
    rmSync(join(dir, 'b.yml'))
    await clock.advance(1000)
    expect(last()).toEqual(['a:1'])
  })

  test('an HTTP answer is the list; an error leaves the last one in force', async () => {
    let answer: { status: number; body: string } = { status: 200, body: '[{"targets":["a:1"],"labels":{}}]' }
    const server: Server = createServer((_request, response) => {
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
    })
    stop.add(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sd`
    const { last, groups, clock } = run(`  http_sd_configs: [{ url: '${url}', refresh_interval: 1s }]`)
    await expect.poll(last).toEqual(['a:1'])
    expect(groups().find((group) => group.targets.length > 0)!.labels['__meta_url']).toBe(url)
    answer = { status: 500, body: '' }
    await clock.advance(1000)
    answer = { status: 200, body: '[{"targets":["b:1"]}]' }
    await expect
      .poll(async () => {
        expect(['a:1', 'b:1']).toContain(last()[0])
        await clock.advance(1000)
        return last()
      })
      .toEqual(['b:1'])
  })
})
