/** To anybody who takes OTLP over HTTP: logs and traces are OTLP in our journal already. */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { ShipConfig } from '../../../lib/config/index.ts'
import { createHttpClient, DEFAULT_TENANT, retryAfterOf, TENANT_HEADER } from '../../../lib/http/index.ts'
import type { JournalRecord } from '../../../lib/journal/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { RecordDestination } from './destination.ts'

const compress = promisify(gzip)
const ANSWER_BYTES_MAX = 64 * 1024

/** Errors: bad_data for client settings that can't be used. */
export function otlpDestination(config: Extract<ShipConfig, { type: 'otlp' }>): RecordDestination {
  const client = createHttpClient(config)
  const base = config.url.replace(/\/+$/, '')

  const send = async (signal: string, { tenant, payload }: JournalRecord, abort: AbortSignal): Promise<'' | 'bad_data' | 'too_large'> => {
    const url = `${base}/v1/${signal}`
    const answer = await client.request(url, {
      method: 'POST',
      headers: {
        ...config.headers,
        'content-type': 'application/x-protobuf',
        'content-encoding': 'gzip',
        ...(tenant === DEFAULT_TENANT ? {} : { [TENANT_HEADER]: tenant }),
      },
      body: await compress(payload, { level: 1 }),
      timeoutMs: config.timeout,
      bodyBytesMax: ANSWER_BYTES_MAX,
      signal: abort,
    })
    if (answer.status >= 200 && answer.status < 300) return ''
    // What the specification lets a client try again, and credentials, which can be put right.
    if ([401, 403, 429, 502, 503, 504].includes(answer.status) || answer.status === 500) {
      const kind = answer.status === 401 ? 'unauthenticated' : answer.status === 403 ? 'forbidden' : 'unavailable'
      const retryAfterMs = retryAfterOf(answer, Date.now())
      throw new SightlineError(kind, `cannot send to ${url}: ${answer.status}`, retryAfterMs === 0 ? {} : { retryAfterMs })
    }
    return answer.status === 413 ? 'too_large' : 'bad_data'
  }

  return {
    partitions: () => Promise.resolve(undefined),
    async deliver(signal, _partition, records, _acceptGaps, abort) {
      const refused: Record<string, number> = {}
      for (const [i, record] of records.entries()) {
        try {
          const reason = await send(signal, record, abort)
          if (reason !== '') refused[reason] = (refused[reason] ?? 0) + record.items
        } catch (error) {
          if (i === 0) throw error
          // What was sent needn't be sent again: OTLP has no marks that would tell.
          return { taken: i, refused, gap: undefined }
        }
      }
      return { taken: records.length, refused, gap: undefined }
    },
    close: () => client.close(),
  }
}
