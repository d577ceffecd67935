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

describe('answers of many connections at once', () => {
  test('come whole, whatever the order of their parts', async () => {
    const { url } = await serve((request, response) => {
      const size = Number(request.headers['x-size'])
      let sent = 0
      const more = (): void => {
        const part = Math.min(size - sent, 1 + ((size * 7 + sent) % 90_000))
        response.write(Buffer.alloc(part, size % 251))
        sent += part
        if (sent === size) response.end()
        else setTimeout(more, sent % 3)
      }
      more()
    })
    const client = createHttpClient()
    for (let round = 0; round < 3; round++) {
      const sizes = Array.from({ length: 20 }, (_, i) => 1 + i * 20_011 + round)
      const answers = sizes.map((size, i) =>
        client.request(url, {
          headers: { 'x-size': String(size) },
          timeoutMs: 10_000,
          bodyBytesMax: 1 << 20,
          ...(i % 2 === 0 ? { bodyInto: new BodyBuffer() } : {}),
        }),
      )
      for (const [i, { body }] of (await Promise.all(answers)).entries())
        expect(body.equals(Buffer.alloc(sizes[i]!, sizes[i]! % 251))).toBe(true)
    }
    client.close()
  })

  test('the body of a redirect is not the answer, and one that ends in its middle is an error', async () => {
    const { url } = await serve((request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/there' }).end(Buffer.alloc(200_000, 'a'))
      else if (request.url === '/there') response.end('there')
      else if (request.url === '/slow') response.write('a')
      else {
        response.writeHead(200, { 'content-length': '1000' })
        response.write('abc', () => response.destroy())
      }
    })
    const client = createHttpClient()
    const get = (path: string): Promise<string> =>
      client.request(url + path, { timeoutMs: 300, bodyBytesMax: 1 << 20, bodyInto: new BodyBuffer() }).then(({ body }) => body.toString())
    expect(await get('')).toBe('there')
    expect(await get('')).toBe('there')
    await expect(get('cut')).rejects.toMatchObject({ kind: 'canceled' })
    await expect(get('slow')).rejects.toMatchObject({ kind: 'timeout' })
    expect(await get('there')).toBe('there')
    client.close()
  })
})
