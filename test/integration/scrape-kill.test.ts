/**
 * Every sample of an answered scrape is there after `kill -9` and a restart, once: the endpoint counts what it exposed, the store is asked for
 * each of it.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.ts'
import { SightlineProcess } from '../harness/sightline.ts'

let sightline: SightlineProcess | undefined
let server: Server | undefined

afterEach(async ({ task }) => {
  await sightline?.dispose(task.result?.state === 'fail')
  server?.close()
})

test('samples of every scrape that was stored survive kill -9 at any instant, none twice', async () => {
  let served = 0
  server = createServer((_request, response) => {
    served++
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(
      `# TYPE served counter\nserved ${served}\n${Array.from({ length: 50 }, (_, i) => `series{i="${i}"} ${served * 100 + i}\n`).join('')}`,
    )
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  sightline = await SightlineProcess.create({
    config: `
shards: { checkpoint_interval: 1s }
scrape_configs:
  - job_name: counted
    scrape_interval: 200ms
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
`,
  })
  const answered = new Set<string>()
  for (const lifeMs of [1500, 700, 2300, 1100]) {
    await sightline.start()
    await new Promise((resolve) => setTimeout(resolve, lifeMs))
    // What a query showed was durable: it must be shown again by every later life.
    for (const value of await rawValues(sightline)) answered.add(value)
    await sightline.end('SIGKILL')
  }
  await sightline.start()
  const after = await eventually(async () => {
    const values = await rawValues(sightline!)
    expect(values.length).toBeGreaterThan(answered.size)
    return values
  })
  expect(new Set(after).size).toBe(after.length)
  expect([...answered].filter((value) => !after.includes(value))).toEqual([])
  // The samples of one scrape are one row: all series have as many.
  const counts = await sightline.query('count by (n) (label_replace(count_over_time(series[1h]), "n", "", "", "")) ')
  expect(counts.map((one) => one.value[1])).toEqual(['50'])
  const [oldest, newest] = [Number(after[0]!.split('@')[0]), Number(after.at(-1)!.split('@')[0])]
  expect(oldest).toBe(1)
  expect(newest).toBeLessThanOrEqual(served)
  expect(await sightline.end('SIGTERM')).toBe(0)
})

/** `value@time` of every raw sample of the counter. */
async function rawValues(process: SightlineProcess): Promise<string[]> {
  const result = await process.query<{ values: [number, string][] }[]>('served[1h]')
  return result.flatMap((series) => series.values.map(([time, value]) => `${value}@${time}`))
}
