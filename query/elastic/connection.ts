/**
 * Requests to the cluster: the official client's transport (nodes in turn, keep-alive, dead nodes left out for a while), our credentials and our errors. Nothing is
 * tried again in here: who asks knows what a second try would mean.
 */
import { readFileSync } from 'node:fs'
import { Client, errors } from '@elastic/elasticsearch'
import { messageOf, SightlineError, type ErrorKind } from '../../lib/runtime/errors.ts'
import type { ElasticSettings } from './settings.ts'

export interface ElasticRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean>>
  /** JSON. */
  readonly body?: object
  /** Lines of JSON, each with its newline. */
  readonly lines?: string
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  /** A longer answer is too_large. */
  readonly answerBytesMax?: number
}

/** What Elasticsearch says of one thing it refused. */
export interface ElasticCause {
  readonly type?: string
  readonly reason?: string
  readonly caused_by?: ElasticCause
}

/** An answer that isn't a success; `status` 0 where there was none. */
export class ElasticError extends SightlineError {
  readonly status: number
  readonly type: string

  constructor(kind: ErrorKind, message: string, status: number, type: string, cause: unknown) {
    super(kind, message, { cause })
    this.status = status
    this.type = type
  }
}

const ANSWER_BYTES_MAX = 256 * 1024 * 1024

export class ElasticConnection {
  readonly settings: ElasticSettings
  readonly #client: Client

  constructor(settings: ElasticSettings) {
    this.settings = settings
    this.#client = new Client({
      nodes: [...settings.nodes],
      maxRetries: 0,
      requestTimeout: settings.requestTimeoutMs,
      enableMetaHeader: false,
      ...(Object.keys(settings.tls).length === 0 ? {} : { tls: settings.tls }),
    })
  }

  /** Errors: ElasticError with what the cluster said; unavailable, timeout, canceled, too_large. */
  async request<T>({ method, path, query, body, lines, signal, timeoutMs, answerBytesMax }: ElasticRequest): Promise<T> {
    const content = lines !== undefined ? { bulkBody: lines } : body === undefined ? {} : { body }
    try {
      return (await this.#client.transport.request<T>(
        { method, path, ...(query === undefined ? {} : { querystring: query as Record<string, string> }), ...content },
        {
          headers: this.#authorization(),
          ...(signal === undefined ? {} : { signal }),
          requestTimeout: timeoutMs ?? this.settings.requestTimeoutMs,
          maxResponseSize: answerBytesMax ?? ANSWER_BYTES_MAX,
        },
      )) as T
    } catch (error) {
      throw elasticError(error, `${method} ${path}`)
    }
  }

  #authorization(): Record<string, string> {
    const { username, password, passwordFile, apiKey, apiKeyFile } = this.settings
    const read = (inline: string | undefined, file: string | undefined): string | undefined =>
      inline ?? (file === undefined ? undefined : readFileSync(file, 'utf8').trim())
    const key = read(apiKey, apiKeyFile)
    if (key !== undefined) return { authorization: `ApiKey ${key}` }
    if (username === undefined) return {}
    return { authorization: `Basic ${Buffer.from(`${username}:${read(password, passwordFile) ?? ''}`).toString('base64')}` }
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

function elasticError(error: unknown, what: string): SightlineError {
  const say = (cause: string): string => `cannot ask Elasticsearch (${what}): ${cause}`
  if (error instanceof errors.ResponseError) {
    const status = error.statusCode ?? 0
    const cause = (error.body as { error?: ElasticCause | string } | undefined)?.error
    const type = typeof cause === 'object' ? (cause.type ?? '') : ''
    return new ElasticError(
      kindOfStatus(status),
      say(`${status} ${typeof cause === 'object' ? reasonOf(cause) : (cause ?? '')}`),
      status,
      type,
      error,
    )
  }
  if (error instanceof errors.TimeoutError) return new ElasticError('timeout', say('no answer in time'), 0, '', error)
  if (error instanceof errors.RequestAbortedError) {
    const isTooLong = /content length|maximum allowed/i.test(error.message)
    return new ElasticError(isTooLong ? 'too_large' : 'canceled', say(isTooLong ? 'its answer is too long' : 'canceled'), 0, '', error)
  }
  return new ElasticError('unavailable', say(messageOf(error)), 0, '', error)
}

function kindOfStatus(status: number): ErrorKind {
  if (status === 404) return 'not_found'
  if (status === 408 || status === 504) return 'timeout'
  if (status === 400 || status === 409 || status === 413) return 'internal'
  return 'unavailable'
}

/** The innermost reason: the outer ones say that something failed, this one what. */
export function reasonOf(cause: ElasticCause): string {
  let inner = cause
  while (inner.caused_by?.reason !== undefined) inner = inner.caused_by
  return `${cause.type ?? 'error'}: ${inner.reason ?? ''}`
}
