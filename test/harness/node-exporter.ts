/**
 * Debian's prometheus-node-exporter behind a proxy that remembers what it exposed: each answer gets one more series, its number, so that a stored scrape says
 * which body it was.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { eventually } from './eventually.ts'
import { freePorts } from './sightline.ts'

export interface NodeExporter {
  readonly address: string
  /** Bodies by their number, from 1. */
  readonly bodies: ReadonlyMap<number, string>
  stop(): void
}

const PROGRAM = 'prometheus-node-exporter'

/** undefined where Debian's package is not installed; in CI that is a failure. */
export async function startNodeExporter(): Promise<NodeExporter | undefined> {
  if (spawnSync(PROGRAM, ['--version']).error !== undefined) {
    if (process.env['CI'] !== undefined) throw new Error(`${PROGRAM} is missing in CI`)
    return undefined
  }
  const [port] = await freePorts(1)
  const child: ChildProcess = spawn(PROGRAM, [`--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' })
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  const url = `http://127.0.0.1:${port}/metrics`
  await Promise.race([failed, eventually(() => fetch(url).then((response) => response.text()))])
  const bodies = new Map<number, string>()
  const proxy: Server = createServer((_request, response) => {
    void fetch(url)
      .then((answer) => answer.text())
      .then((text) => {
        const number = bodies.size + 1
        const body = `${text}# TYPE proxy_body gauge\nproxy_body ${number}\n`
        bodies.set(number, body)
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(body)
      })
      .catch(() => response.writeHead(502).end())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    bodies,
    stop() {
      proxy.closeAllConnections()
      proxy.close()
      child.kill('SIGKILL')
    },
  }
}
