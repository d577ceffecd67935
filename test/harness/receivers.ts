/** Slack-, PagerDuty- and webhook-shaped receivers on one server, remembering what they got. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Receivers {
  readonly url: string
  /** `slack firing`, `pagerduty resolved`, `webhook firing` …: how often. */
  readonly counts: ReadonlyMap<string, number>
  stop(): void
}

export async function startReceivers(): Promise<Receivers> {
  const counts = new Map<string, number>()
  const server: Server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const key = `${request.url!.slice(1)} ${stateOf(request.url!, JSON.parse(text))}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      response.writeHead(request.url === '/pagerduty' ? 202 : 200).end('ok')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function stateOf(path: string, body: { event_action?: string; status?: string; attachments?: { color?: string }[] }): string {
  if (path === '/pagerduty') return body.event_action === 'trigger' ? 'firing' : 'resolved'
  if (path === '/webhook') return body.status ?? 'unknown'
  return body.attachments?.[0]?.color === 'good' ? 'resolved' : 'firing'
}
