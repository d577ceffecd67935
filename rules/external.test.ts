import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseConfig } from '../lib/config/index.ts'
import { labelsOf } from '../lib/model/index.ts'
import { createLog } from '../lib/telemetry/index.ts'
import { ExternalAlertmanagers, fingerprintOf, type Notice } from './index.ts'

test('notices are posted in batches, relabeled, with external labels', async () => {
  const received: { path: string; alerts: { labels: Record<string, string>; startsAt: string }[] }[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      received.push({ path: request.url!, alerts: JSON.parse(text) as (typeof received)[0]['alerts'] })
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const { config } = parseConfig(
    `
alerting:
  alert_relabel_configs: [{ action: drop, source_labels: [alertname], regex: Quiet }]
  alertmanagers: [{ path_prefix: /am, static_configs: [{ targets: ['127.0.0.1:${port}', '127.0.0.1:1'] }] }]
`,
    'test.yml',
  )
  const external = new ExternalAlertmanagers(createLog('silent'))
  external.prepare(config.alerting, labelsOf({ cluster: 'eu', i: 'never' }))()
  expect(external.urls[0]).toBe(`http://127.0.0.1:${port}/am/api/v2/alerts`)
  const noticeOf = (i: number): Notice => ({
    labels: labelsOf({ alertname: i % 2 === 0 ? 'Loud' : 'Quiet', i: String(i) }),
    annotations: {},
    startsAtMs: 0,
    endsAtMs: 1000,
    isResolved: false,
    generatorUrl: '',
  })
  external.send(Array.from({ length: 100 }, (_, i) => noticeOf(i)))
  await external.stop()
  expect(received.map(({ path, alerts }) => [path, alerts.length])).toEqual([
    ['/am/api/v2/alerts', 32],
    ['/am/api/v2/alerts', 18],
  ])
  expect(received[0]!.alerts[1]).toMatchObject({
    labels: { alertname: 'Loud', cluster: 'eu', i: '2' },
    startsAt: '1970-01-01T00:00:00.000Z',
  })
  server.close()
})

test('fingerprints are 64-bit FNV-1a over names and values', () => {
  const model = (texts: readonly string[]): string => {
    let hash = 0xcbf29ce484222325n
    for (const byte of texts.flatMap((text) => [...Buffer.from(text), 0xff]))
      hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
    return hash.toString(16).padStart(16, '0')
  }
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 8 }), (texts) => {
      expect(fingerprintOf(texts)).toBe(model(texts))
    }),
  )
})
