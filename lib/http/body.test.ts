import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { BodyBuffer } from './body.ts'
import { createHttpClient } from './client.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ url: string; connections: () => number }> {
  let connections = 0
  const server = createServer(answer).on('connection', () => connections++)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, connections: () => connections }
}

describe('a body read into a given buffer', () => {
  test('of declared and of undeclared length, larger and smaller than the one before', async () => {
    const sizes = [10, 300_000, 5, 200_000, 0]
    const { url } = await serve((request, response) => {
      const body = Buffer.alloc(Number(request.headers['x-size']), 'x'.charCodeAt(0) + (Number(request.headers['x-size']) % 3))
      if (request.headers['x-declared'] === 'yes') response.end(body)
      else {
        response.write(body.subarray(0, 100))
        response.end(body.subarray(100))
      }
    })
    const client = createHttpClient()
    const bodyInto = new BodyBuffer()
    for (const declared of ['yes', 'no']) {
      for (const size of sizes) {
        const headers = { 'x-size': String(size), 'x-declared': declared }
        const { body } = await client.request(url, { headers, timeoutMs: 5000, bodyBytesMax: 1 << 20, bodyInto })
        expect(body.length).toBe(size)
        expect(body.equals(Buffer.alloc(size, 'x'.charCodeAt(0) + (size % 3)))).toBe(true)
      }
    }
    client.close()
  })

  test('past the limit it is refused', async () => {
    const { url } = await serve((_request, response) => {
      response.write(Buffer.alloc(3000))
      response.end(Buffer.alloc(3000))
    })
    const client = createHttpClient()
    const exchange = client.request(url, { timeoutMs: 5000, bodyBytesMax: 5000, bodyInto: new BodyBuffer() })
    await expect(exchange).rejects.toMatchObject({ kind: 'too_large' })
    client.close()
  })
})

test('connections of one host are used again after many requests at once', async () => {
  const { url, connections } = await serve((_request, response) => void setTimeout(() => response.end('x'), 50))
  const client = createHttpClient()
  const burst = (): Promise<unknown> =>
    Promise.all(Array.from({ length: 20 }, () => client.request(url, { timeoutMs: 5000, bodyBytesMax: 1000 })))
  await burst()
  await burst()
  expect(connections()).toBe(20)
  client.close()
})
