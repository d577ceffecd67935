/**
 * Asking others over HTTP: scraping, discovery, notifications. `node:http` with kept connections (half the cost of `fetch`, measured), one
 * deadline for the whole exchange, bodies bounded, Prometheus' `<http_config>` in full but for proxies.
 */
import { readFileSync } from 'node:fs'
import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { revealSecret, tlsOptions, type HttpClientConfig } from '../config/index.ts'
import { messageOf, SightlineError } from '../runtime/errors.ts'
import { decompress, readAnswer, type BodyBuffer } from './body.ts'
import { ReadingAgent } from './connection.ts'

export interface HttpRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly timeoutMs: number
  /** A larger answer is `too_large`. */
  readonly bodyBytesMax: number
  /** Takes the answer's body as it came; an answer that isn't compressed is then good only until the next exchange with it. */
  readonly bodyInto?: BodyBuffer
  readonly signal?: AbortSignal
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface HttpClient {
  /** Errors: timeout, canceled, too_large, unavailable (no connection). Any status is an answer. */
  request(url: string, request: HttpRequest): Promise<HttpAnswer>
  close(): void
}

const REDIRECTS_MAX = 10
/** Idle connections kept of one host: many targets may share it. */
const HOST_IDLE_MAX = 64
/** A receiver may ask for patience, not for ever. */
const RETRY_AFTER_MAX_MS = 5 * 60_000

/** How long an answer asks us to wait, in milliseconds: `Retry-After` as seconds or an HTTP date; 0 without. */
export function retryAfterOf({ headers }: HttpAnswer, nowMs: number): number {
  const text = headers['retry-after']
  if (text === undefined) return 0
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS)
}

export function createHttpClient(config: Partial<HttpClientConfig> = {}): HttpClient {
  if (config.proxy_url !== undefined) throw new SightlineError('bad_data', 'cannot use proxy_url: proxies are not built yet')
  const plain = new ReadingAgent({ keepAlive: true, maxFreeSockets: HOST_IDLE_MAX })
  const secure = new HttpsAgent({ keepAlive: true, maxFreeSockets: HOST_IDLE_MAX, ...tlsOptions(config.tls_config) })

  const exchange = async (url: URL, host: string, request: HttpRequest, signal: AbortSignal, redirects: number): Promise<HttpAnswer> => {
    // Credentials are for the host they were configured for, not for wherever it sends us.
    const credentials = url.host === host ? { ...authorization(config), ...extraHeaders(config) } : {}
    const options: RequestOptions = {
      method: request.method ?? 'GET',
      headers: { 'user-agent': 'sightline', ...credentials, ...request.headers },
      agent: url.protocol === 'https:' ? secure : plain,
      signal,
    }
    const { response, reading } = await send(url, options, request)
    const { statusCode: status = 0, headers } = response
    const location = headers.location
    if (status >= 300 && status < 400 && location !== undefined && config.follow_redirects !== false) {
      reading.catch(() => {})
      if (redirects >= REDIRECTS_MAX)
        throw new SightlineError('unavailable', `cannot get ${url.href}: more than ${REDIRECTS_MAX} redirects`)
      return exchange(new URL(location, url), host, request, signal, redirects + 1)
    }
    const raw = await reading
    return { status, headers, body: await decompress(raw, headers['content-encoding'], request.bodyBytesMax) }
  }

  return {
    async request(url, request) {
      const deadline = AbortSignal.timeout(request.timeoutMs)
      const signal = request.signal === undefined ? deadline : AbortSignal.any([deadline, request.signal])
      try {
        const first = new URL(url)
        return await exchange(first, first.host, request, signal, 0)
      } catch (error) {
        if (deadline.aborted)
          throw new SightlineError('timeout', `cannot get ${url}: context deadline exceeded after ${request.timeoutMs} ms`, {
            cause: error,
          })
        if (error instanceof SightlineError) throw error
        if (signal.aborted) throw new SightlineError('canceled', `cannot get ${url}: canceled`, { cause: error })
        throw new SightlineError('unavailable', `cannot get ${url}: ${causeOf(error)}`, { cause: error })
      }
    },
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

interface Answering {
  readonly response: IncomingMessage
  readonly reading: Promise<Buffer>
}

function send(url: URL, options: RequestOptions, { body, bodyBytesMax, bodyInto }: HttpRequest): Promise<Answering> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options, (response) =>
      resolve({ response, reading: readAnswer(response, bodyBytesMax, bodyInto) }),
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** Connecting to a name with several addresses fails with one error a try, and an empty message of its own. */
function causeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  return messageOf(error)
}

function authorization(config: Partial<HttpClientConfig>): Record<string, string> {
  const { basic_auth: basic, authorization: auth } = config
  if (basic !== undefined) {
    const username = basic.username ?? (basic.username_file === undefined ? '' : readFileSync(basic.username_file, 'utf8').trim())
    const password = revealSecret(basic.password, basic.password_file) ?? ''
    return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
  }
  const credentials = revealSecret(auth?.credentials ?? config.bearer_token, auth?.credentials_file ?? config.bearer_token_file)
  return credentials === undefined ? {} : { authorization: `${auth?.type ?? 'Bearer'} ${credentials}` }
}

function extraHeaders(config: Partial<HttpClientConfig>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, { values = [], secrets = [], files = [] }] of Object.entries(config.http_headers ?? {})) {
    out[name] = [...values, ...secrets.map((one) => one.reveal()), ...files.map((file) => readFileSync(file, 'utf8').trim())].join(', ')
  }
  return out
}
