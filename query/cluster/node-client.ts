/** Another query node: its state, found out by probes, and what it is asked. */
import type { HttpClient } from '../../lib/http/index.ts'
import { TENANT_HEADER } from '../../lib/http/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { ERROR_KINDS, messageOf, SightlineError, type ErrorKind } from '../../lib/runtime/errors.ts'
import { decodeFragmentAnswer, encodeFragmentCall, type FragmentAnswer, type FragmentCall } from './wire.ts'

/** `GET /sightline/api/v1/shard/status` */
export interface NodeStatus {
  readonly node: string
  /** Of this life of the process: how a node recognises its own address. */
  readonly instance: string
  readonly version: number
  /** Partition numbers that it applies. */
  readonly owned: readonly number[]
  /** Whether it evaluates the rules. */
  readonly rules: boolean
}

export const SHARD_PATH = '/sightline/api/v1/shard'

const STATUS_TIMEOUT_MS = 2000
const STATUS_BYTES_MAX = 1024 * 1024
const ANSWER_BYTES_MAX = 1024 * 1024 * 1024

export class NodeClient {
  readonly url: string
  readonly #client: HttpClient
  readonly #clock: Clock
  #status: NodeStatus | undefined
  /** When it last answered; 0 = never since this process started. */
  lastSeenMs = 0
  #error = 'not reached yet'

  constructor(url: string, client: HttpClient, clock: Clock) {
    this.url = url.replace(/\/+$/, '')
    this.#client = client
    this.#clock = clock
  }

  /** Its own name once it answered, its address until then. */
  get name(): string {
    return this.#lastName ?? new URL(this.url).host
  }

  #lastName: string | undefined

  /** Undefined while it is away. */
  get status(): NodeStatus | undefined {
    return this.#status
  }

  /** Why it is away. */
  get error(): string {
    return this.#error
  }

  async probe(): Promise<void> {
    try {
      const answer = await this.#client.request(`${this.url}${SHARD_PATH}/status`, {
        timeoutMs: STATUS_TIMEOUT_MS,
        bodyBytesMax: STATUS_BYTES_MAX,
      })
      if (answer.status !== 200) throw errorOf(answer.status, answer.body)
      this.#status = JSON.parse(answer.body.toString()) as NodeStatus
      this.#lastName = this.#status.node
      this.lastSeenMs = this.#clock.now()
    } catch (error) {
      this.#away(error)
    }
  }

  #away(error: unknown): void {
    this.#status = undefined
    this.#error = messageOf(error)
  }

  /** Errors: those of the fragment; unavailable and timeout where the node doesn't answer. */
  async query(tenant: string, call: FragmentCall, timeoutMs: number, signal: AbortSignal): Promise<FragmentAnswer> {
    const answer = await this.#client.request(`${this.url}${SHARD_PATH}/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', [TENANT_HEADER]: tenant },
      body: encodeFragmentCall(call),
      timeoutMs,
      bodyBytesMax: ANSWER_BYTES_MAX,
      signal,
    })
    if (answer.status !== 200) throw errorOf(answer.status, answer.body)
    return decodeFragmentAnswer(answer.body)
  }

  /** Waits until it has applied what is in the journal now; answers what it owns then, undefined where that took too long. */
  async fresh(timeoutMs: number): Promise<readonly number[] | undefined> {
    const answer = await this.#client.request(`${this.url}${SHARD_PATH}/fresh?timeout_ms=${Math.ceil(timeoutMs)}`, {
      method: 'POST',
      timeoutMs: timeoutMs + STATUS_TIMEOUT_MS,
      bodyBytesMax: STATUS_BYTES_MAX,
    })
    if (answer.status !== 200) throw errorOf(answer.status, answer.body)
    const { fresh, owned } = JSON.parse(answer.body.toString()) as { fresh: boolean; owned: readonly number[] }
    return fresh ? owned : undefined
  }

  /** What it answers to a GET of ours; for what only one node knows. */
  async forward(path: string, tenant: string, timeoutMs: number): Promise<{ status: number; body: Buffer }> {
    const { status, body } = await this.#client.request(`${this.url}${path}`, {
      headers: { [TENANT_HEADER]: tenant },
      timeoutMs,
      bodyBytesMax: ANSWER_BYTES_MAX,
    })
    return { status, body }
  }
}

function errorOf(status: number, body: Buffer): SightlineError {
  const text = body.toString('utf8', 0, 2000)
  try {
    const { kind, message } = JSON.parse(text) as { kind?: string; message?: string }
    if (kind !== undefined && kind in ERROR_KINDS) return new SightlineError(kind as ErrorKind, message ?? '')
  } catch {
    // Not one of ours: told with its status below.
  }
  return new SightlineError('unavailable', `the node answered ${status} ${text}`)
}
