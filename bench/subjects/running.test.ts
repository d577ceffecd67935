import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { runningPeer } from './running.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Answers only these routes; a POST of nothing to an intake is a 400, as real servers say. */
async function listening(routes: Readonly<Record<string, { status: number; text: string }>>): Promise<string> {
  const server = createServer((request, response) => {
    const found = routes[`${request.method} ${request.url}`] ?? { status: 404, text: 'not found' }
    response.writeHead(found.status).end(found.text)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a Prometheus without a remote write receiver can be asked and not be written to', async () => {
  const url = await listening({ 'GET /api/v1/status/buildinfo': { status: 200, text: '{"data":{"version":"2.42.0"}}' } })
  const peer = await runningPeer({ url, pid: process.pid, otlpUrl: undefined })
  expect({ name: peer.name, version: peer.version, places: peer.places }).toEqual({
    name: 'peer prometheus',
    version: '2.42.0',
    places: { promql: url },
  })
})

test('a Loki is known by its build information, its intakes by their answer', async () => {
  const url = await listening({
    'GET /loki/api/v1/status/buildinfo': { status: 200, text: '{"version":"3.1"}' },
    'POST /loki/api/v1/push': { status: 400, text: 'empty' },
  })
  const peer = await runningPeer({ url: `${url}/`, pid: process.pid, otlpUrl: undefined })
  expect(peer.name).toBe('peer loki')
  expect(peer.places).toEqual({ logql: url, 'loki-push': `${url}/loki/api/v1/push` })
})

test('a Tempo whose OTLP is another port', async () => {
  const url = await listening({ 'GET /api/echo': { status: 200, text: 'echo' } })
  const otlpUrl = await listening({ 'POST /v1/traces': { status: 200, text: '' } })
  const peer = await runningPeer({ url, pid: process.pid, otlpUrl })
  expect(peer.places).toEqual({ traceql: url, 'otlp-traces': `${otlpUrl}/v1/traces` })
})

test('a server of none of these is refused', async () => {
  const url = await listening({})
  await expect(runningPeer({ url, pid: process.pid, otlpUrl: undefined })).rejects.toThrow(
    'none of the APIs of Prometheus, Loki and Tempo answers there',
  )
})
