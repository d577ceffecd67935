/** A proxy in front of a server that speaks HTTP, which tests make slow, deaf, or answer in its place. */
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

export interface ProxyAnswer {
  readonly status: number
  readonly body: string
}

export class HttpProxy {
  readonly #server: Server
  readonly #port: number
  /** Before a request is passed on. */
  delayMs = 0
  /** Answers instead of the server where it returns something. */
  intercept: (method: string, path: string) => ProxyAnswer | undefined = () => undefined
  /** Passes a request on, and closes the connection instead of answering. */
  swallowsAnswer: (method: string, path: string) => boolean = () => false
  requests = 0

  private constructor(server: Server, port: number) {
    this.#server = server
    this.#port = port
  }

  static async start(targetPort: number): Promise<HttpProxy> {
    const server = createServer((incoming, outgoing) => void proxy.#pass(incoming, outgoing, targetPort))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const proxy = new HttpProxy(server, (server.address() as { port: number }).port)
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse, port: number): Promise<void> {
    this.requests++
    const { method = 'GET', url = '/', headers } = incoming
    const answer = this.intercept(method, url)
    if (answer !== undefined) {
      incoming.resume()
      outgoing.writeHead(answer.status, { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' }).end(answer.body)
      return
    }
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs))
    const isSwallowed = this.swallowsAnswer(method, url)
    const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (reply) => {
      if (isSwallowed) {
        reply.resume().on('end', () => outgoing.destroy())
        return
      }
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
