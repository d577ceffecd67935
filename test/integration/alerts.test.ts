/**
 * A metric breaks: the alert fires and reaches Slack-, PagerDuty- and webhook-shaped receivers once each, over failing answers and `kill -9`; when it is
 * well again, so does the end, once.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.ts'
import { SightlineProcess } from '../harness/sightline.ts'

let sightline: SightlineProcess | undefined
const servers: Server[] = []

afterEach(async ({ task }) => {
  await sightline?.dispose(task.result?.state === 'fail')
  for (const server of servers.splice(0)) server.close()
})

async function listen(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Received {
  readonly path: string
  readonly status: number
  readonly body: Record<string, unknown>
}

test('an alert and its end reach every receiver once, over a failing receiver and kill -9', { timeout: 90_000 }, async () => {
  let isBroken = false
  const shop = await listen((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(`shop_ok ${isBroken ? 0 : 1}\n`)
  })
  const received: Received[] = []
  const seen = new Map<string, number>()
  const receivers = await listen((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const path = request.url!
      const count = (seen.get(path) ?? 0) + 1
      seen.set(path, count)
      // Each receiver fails once at first.
      const status = count === 1 ? 500 : 200
      received.push({ path, status, body: JSON.parse(text) as Record<string, unknown> })
      response.writeHead(status).end()
    })
  })
  sightline = await SightlineProcess.create()
  writeFileSync(
    join(sightline.folder, 'rules.yml'),
    `
groups:
  - name: shop
    rules:
      - { record: 'job:shop_ok:min', expr: min by (job) (shop_ok) }
      - alert: ShopBroken
        expr: job:shop_ok:min < 1
        for: 1s
        labels: { severity: page }
        annotations: { summary: '{{ $labels.job }} is at {{ $value }}' }
`,
  )
  writeFileSync(
    sightline.configPath,
    `
global: { scrape_interval: 500ms, evaluation_interval: 500ms }
rule_files: ['rule*.yml']
self: { scrape: false }
scrape_configs: [{ job_name: shop, static_configs: [{ targets: ['${shop}'] }] }]
alertmanager:
  route: { receiver: team, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 1h }
  receivers:
    - name: team
      slack_configs: [{ api_url: 'http://${receivers}/slack', channel: '#shop', send_resolved: true }]
      pagerduty_configs: [{ url: 'http://${receivers}/pagerduty', routing_key: abc }]
      webhook_configs: [{ url: 'http://${receivers}/webhook' }]
`,
  )
  await sightline.start()
  const accepted = (path: string): Received[] => received.filter((one) => one.path === path && one.status === 200)
  const all = ['/slack', '/pagerduty', '/webhook']
  const counts = (): number[] => all.map((path) => accepted(path).length)

  await eventually(async () => expect(await sightline!.query('job:shop_ok:min')).toHaveLength(1))
  isBroken = true
  await eventually(() => expect(counts()).toEqual([1, 1, 1]), 30_000)
  const { data } = await sightline.get<{ data: { alerts: { state: string }[] } }>('/api/v1/alerts')
  expect(data.alerts.map(({ state }) => state)).toEqual(['firing'])

  await sightline.end('SIGKILL')
  await sightline.start()
  await eventually(async () => {
    expect(await sightline!.query('ALERTS{alertstate="firing"}')).toHaveLength(1)
  })
  // Several group intervals pass without a second word.
  await new Promise((resolve) => setTimeout(resolve, 3000))
  expect(counts()).toEqual([1, 1, 1])

  isBroken = false
  await eventually(() => expect(counts()).toEqual([2, 2, 2]), 30_000)
  await sightline.end('SIGKILL')
  await sightline.start()
  await new Promise((resolve) => setTimeout(resolve, 3000))
  expect(counts()).toEqual([2, 2, 2])

  const pager = accepted('/pagerduty').map(({ body }) => body as { event_action: string; dedup_key: string })
  expect(pager.map(({ event_action }) => event_action)).toEqual(['trigger', 'resolve'])
  expect(new Set(pager.map(({ dedup_key }) => dedup_key)).size).toBe(1)
  expect(accepted('/webhook').map(({ body }) => body['status'])).toEqual(['firing', 'resolved'])
  expect(accepted('/webhook')[0]!.body['commonAnnotations']).toEqual({ summary: 'shop is at 0' })
  expect(accepted('/slack')[0]!.body['attachments']).toMatchObject([{ color: 'danger', title: '[FIRING:1] ShopBroken (shop page)' }])
  expect(accepted('/slack')[1]!.body['attachments']).toMatchObject([{ color: 'good', title: '[RESOLVED] ShopBroken (shop page)' }])
})
