/** The streams of a tenant in a range, with their lines and bytes: one composite aggregation over the texts that name them. */
import { matchesAll, type Labels, type Matcher } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { ElasticConnection } from './connection.ts'
import type { Clause } from './search-query.ts'

export interface StreamSize {
  readonly labels: Labels
  /** The value of the field `stream`. */
  readonly text: string
  readonly entries: number
  readonly bytes: number
}

interface CompositeAnswer {
  readonly aggregations?: {
    readonly streams: {
      readonly after_key?: { readonly stream: string }
      readonly buckets: readonly {
        readonly key: { readonly stream: string }
        readonly doc_count: number
        readonly bytes?: { readonly value: number }
      }[]
    }
  }
}

const PAGE_STREAMS = 5000

export interface StreamsQuery {
  readonly connection: ElasticConnection
  readonly index: string
  readonly filter: readonly Clause[]
  readonly matchers: readonly Matcher[]
  /** Streams looked at; more is too_large. */
  readonly streamsMax: number
  readonly withBytes: boolean
  readonly signal: AbortSignal
}

/** Errors: too_large past `streamsMax`. */
export async function readStreams({
  connection,
  index,
  filter,
  matchers,
  streamsMax,
  withBytes,
  signal,
}: StreamsQuery): Promise<StreamSize[]> {
  const out: StreamSize[] = []
  let seen = 0
  let after: { readonly stream: string } | undefined
  do {
    const composite = {
      size: PAGE_STREAMS,
      sources: [{ stream: { terms: { field: 'stream' } } }],
      ...(after === undefined ? {} : { after }),
    }
    const answer = await connection.request<CompositeAnswer>({
      method: 'POST',
      path: `/${index}/_search`,
      query: { filter_path: 'aggregations', allow_partial_search_results: false, ignore_unavailable: true },
      body: {
        size: 0,
        query: { bool: { filter } },
        aggs: { streams: { composite, ...(withBytes ? { aggs: { bytes: { sum: { field: 'bytes' } } } } : {}) } },
        track_total_hits: false,
      },
      signal,
    })
    const { buckets = [], after_key } = answer.aggregations?.streams ?? {}
    seen += buckets.length
    if (seen > streamsMax)
      throw new SightlineError('too_large', `cannot list streams: more than ${streamsMax} lie in the range; narrow it, or the selector`)
    for (const { key, doc_count, bytes } of buckets) {
      const labels = JSON.parse(key.stream) as Labels
      if (matchesAll(matchers, labels)) out.push({ labels, text: key.stream, entries: doc_count, bytes: bytes?.value ?? 0 })
    }
    after = buckets.length < PAGE_STREAMS ? undefined : after_key
  } while (after !== undefined)
  return out
}
