/** Stands in for Slack: takes incoming-webhook messages and hands each on as text. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface NotificationReceiver {
  readonly url: string
  close(): void
}

interface SlackMessage {
  readonly attachments?: readonly { readonly title?: string; readonly text?: string; readonly color?: string }[]
}

export async function startNotificationReceiver(port: number, onMessage: (text: string) => void): Promise<NotificationReceiver> {
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const { attachments = [] } = JSON.parse(Buffer.concat(chunks).toString()) as SlackMessage
      for (const { title = '', text = '' } of attachments) onMessage(`${title}${text === '' ? '' : `\n${text}`}`)
      response.end('ok')
    })().catch(() => response.writeHead(400).end('invalid_payload'))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
