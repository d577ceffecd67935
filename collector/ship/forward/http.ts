/** To another Sightline over HTTP: the client's half of `collector/receive/journal.ts`, where the protocol is written down. */
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import type { ShipConfig } from '../../../lib/config/index.ts'
import { createHttpClient, retryAfterOf, type HttpAnswer } from '../../../lib/http/index.ts'
import { encodeFrames, type JournalRecord } from '../../../lib/journal/index.ts'
import type { MarkedGap } from '../../../lib/producer/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { Delivery, RecordDestination, ShippedSignal } from './destination.ts'

const compress = promisify(zstdCompress)
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const PATH = '/sightline/api/v1/journal'
const ANSWER_BYTES_MAX = 64 * 1024

type HttpShipConfig = Extract<ShipConfig, { type: 'http' }>

interface Refusal extends Partial<MarkedGap> {
  readonly error?: string
  readonly appended?: number
  readonly record?: number
}

/** Errors: bad_data for client settings that can't be used. */
export function httpDestination(config: HttpShipConfig): RecordDestination {
  const client = createHttpClient(config)
  const base = config.url.replace(/\/+$/, '')

  const send = async (path: string, records: readonly JournalRecord[], abort: AbortSignal): Promise<HttpAnswer> => {
    const body = await compress(encodeFrames(records), ZSTD)
    const headers = { 'content-type': 'application/x-sightline-journal', 'content-encoding': 'zstd' }
    return client.request(`${base}${PATH}${path}`, {
      method: 'POST',
      headers,
      body,
      timeoutMs: config.timeout,
      bodyBytesMax: ANSWER_BYTES_MAX,
      signal: abort,
    })
  }

  const deliver = async (
    signal: ShippedSignal,
    partition: number,
    records: readonly JournalRecord[],
    acceptGaps: boolean,
    abort: AbortSignal,
  ): Promise<Delivery> => {
    const answer = await send(`/${signal}/${partition}${acceptGaps ? '?gaps=accept' : ''}`, records, abort)
    if (answer.status === 200) return { taken: records.length, refused: {}, gap: undefined }
    const refusal = refusalIn(answer)
    if (answer.status === 409 && refusal.producer !== undefined) {
      const { producer, epoch = '', lastSequence = -1 } = refusal
      // What the request repeated or brought before the gap needn't be told apart: a resend of it is left out over there.
      return { taken: 0, refused: {}, gap: { producer, epoch, lastSequence } }
    }
    if (answer.status === 413 && records.length > 1) {
      const half = Math.ceil(records.length / 2)
      const first = await deliver(signal, partition, records.slice(0, half), acceptGaps, abort)
      if (first.taken < half) return first
      const second = await deliver(signal, partition, records.slice(half), acceptGaps, abort)
      return { taken: half + second.taken, refused: sum(first.refused, second.refused), gap: second.gap }
    }
    const reason = answer.status === 413 ? 'too_large' : answer.status === 403 ? 'forbidden' : 'bad_data'
    const index = answer.status === 413 ? 0 : refusal.record
    if (index !== undefined && index < records.length && [400, 403, 413].includes(answer.status)) {
      return leaveOut(index, reason, signal, partition, records, acceptGaps, abort)
    }
    throw failureOf(answer, `${base}${PATH}/${signal}/${partition}`)
  }

  /** One record can't be taken: those before it and after it still can. */
  const leaveOut = async (
    index: number,
    reason: string,
    signal: ShippedSignal,
    partition: number,
    records: readonly JournalRecord[],
    acceptGaps: boolean,
    abort: AbortSignal,
  ): Promise<Delivery> => {
    const none: Delivery = { taken: 0, refused: {}, gap: undefined }
    const before = index === 0 ? none : await deliver(signal, partition, records.slice(0, index), acceptGaps, abort)
    if (before.taken < index) return before
    const refused = sum(before.refused, { [reason]: records[index]!.items })
    const rest = records.slice(index + 1)
    // The one that is left out is a hole for the next.
    const after = rest.length === 0 ? none : await deliver(signal, partition, rest, true, abort)
    return { taken: index + 1 + after.taken, refused: sum(refused, after.refused), gap: after.gap }
  }

  return {
    deliver,
    async partitions(abort) {
      const answer = await client.request(`${base}${PATH}`, { timeoutMs: config.timeout, bodyBytesMax: ANSWER_BYTES_MAX, signal: abort })
      if (answer.status !== 200) throw failureOf(answer, `${base}${PATH}`)
      const { versions, partitions } = JSON.parse(answer.body.toString()) as { versions?: number[]; partitions?: Record<string, number> }
      if (versions?.includes(1) !== true || partitions?.['logs'] === undefined) {
        throw new SightlineError('unavailable', `cannot ship to ${base}: it speaks versions ${versions?.join(', ')} of the journal, not 1`)
      }
      return partitions['logs']
    },
    close: () => client.close(),
  }
}

function refusalIn({ body }: HttpAnswer): Refusal {
  try {
    return JSON.parse(body.toString()) as Refusal
  } catch {
    return {}
  }
}

function failureOf(answer: HttpAnswer, url: string): SightlineError {
  const { status } = answer
  const kind = status === 401 ? 'unauthenticated' : status === 403 ? 'forbidden' : status === 429 ? 'too_many' : 'unavailable'
  const retryAfterMs = retryAfterOf(answer, Date.now())
  const text = refusalIn(answer).error ?? answer.body.toString('utf8', 0, 200)
  return new SightlineError(kind, `cannot ship to ${url}: ${status} ${text}`, retryAfterMs === 0 ? {} : { retryAfterMs })
}

function sum(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const out = { ...a }
  for (const [reason, count] of Object.entries(b)) out[reason] = (out[reason] ?? 0) + count
  return out
}
