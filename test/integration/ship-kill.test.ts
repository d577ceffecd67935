import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeWriteV1 } from '../../lib/wire/remote-write/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'
import { eventually } from '../harness/eventually.ts'
import { SightlineProcess } from '../harness/sightline.ts'

const SERIES = 50

describe('a Sightline sends its metrics to another by remote write', () => {
  let edge: SightlineProcess
  let centre: SightlineProcess

  beforeAll(async () => {
    centre = await SightlineProcess.create({ config: 'self: { scrape: false }\n' })
    await centre.start()
    const remote = `{ url: '${centre.url}/api/v1/write', name: centre, queue_config: { batch_send_deadline: 100ms, max_samples_per_send: 100 } }`
    edge = await SightlineProcess.create({ config: `self: { scrape: false }\ncluster: edge\nremote_write: [${remote}]\n` })
    await edge.start()
  }, 60_000)

  afterAll(async () => {
    await edge?.dispose()
    await centre?.dispose()
  })

  test('both are killed in between: every sample that the first has is in the second, once', async () => {
    const times: number[] = []
    let isWriting = true
    const write = async (timeMs: number): Promise<boolean> => {
      const series = Array.from({ length: SERIES }, (_, i) => ({
        labels: ['__name__', 'shipped', 'job', `j${i % 7}`, 'n', String(i)],
        times: [timeMs],
        values: [timeMs % 100_000],
      }))
      try {
        const response = await fetch(`${edge.url}/api/v1/write`, {
          method: 'POST',
          body: snappyEncode(encodeWriteV1(series)) as Uint8Array<ArrayBuffer>,
        })
        return response.ok
      } catch {
        return false
      }
    }
    const writing = (async () => {
      while (isWriting) {
        const timeMs = Date.now()
        // Until it is taken, as a client does.
        while (!(await write(timeMs))) await sleep(100)
        times.push(timeMs)
        await sleep(50)
      }
    })()
    for (const [process, downMs] of [
      [centre, 1500],
      [edge, 0],
      [centre, 500],
    ] as const) {
      await sleep(1200)
      await process.end('SIGKILL')
      await sleep(downMs)
      await process.start()
    }
    await sleep(500)
    isWriting = false
    await writing
    expect(times.length).toBeGreaterThan(30)

    const atSeconds = times.at(-1)! / 1000
    const samplesOf = async (process: SightlineProcess): Promise<Map<string, [number, string][]>> => {
      const query = encodeURIComponent('shipped[5m]')
      type Answer = { data: { result: { metric: Record<string, string>; values: [number, string][] }[] } }
      const answer = await process.get<Answer>(`/api/v1/query?query=${query}&time=${atSeconds}`)
      return new Map(answer.data.result.map(({ metric, values }) => [`${metric['cluster']} ${metric['job']} ${metric['n']}`, values]))
    }
    const ours = await samplesOf(edge)
    expect(ours.size).toBe(SERIES)
    expect([...ours.values()][0]!.map(([seconds]) => Math.round(seconds * 1000))).toEqual(times)
    await eventually(async () => expect(await samplesOf(centre)).toEqual(ours), 30_000)
    const metrics = await (await fetch(`${edge.url}/metrics`)).text()
    expect(metrics).toMatch(/sightline_remote_write_samples_total\{remote="centre",result="sent"\} [1-9]/)
    expect(metrics).toContain('sightline_remote_write_samples_total{remote="centre",result="rejected"} 0')
    expect(metrics).not.toContain('result="unknown_layout"')
    await eventually(async () => {
      expect(await (await fetch(`${edge.url}/metrics`)).text()).toContain('sightline_remote_write_lag_records{remote="centre"} 0')
    })
  }, 120_000)
})
