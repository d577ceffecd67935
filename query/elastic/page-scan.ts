/**
 * A scan over documents, page by page. The language pulls rows from a generator that never waits; where the next page isn't there yet the generator says so (`undefined`), and whoever
 * drives it waits for `ready`.
 *
 * In order of time, pages follow each other by the sort values of the last document, which are unique: nothing is kept in the cluster between two pages, and a node that goes away costs
 * one request. Without an order documents are read as they lie, many times faster, at a point in time that is let go at the end. A page's size follows the size of the lines.
 */
import { matchesAll, type Labels } from '../../lib/model/index.ts'
import { kindOf } from '../../lib/runtime/errors.ts'
import type { LogRows, LogScan, LogScanTask } from '../store/index.ts'
import type { ElasticConnection } from './connection.ts'
import { labelsOfPairs, TimestampReader, type LogSource } from './document.ts'
import type { Clause } from './search-query.ts'

interface Hit {
  readonly _source: LogSource
  readonly sort: readonly unknown[]
}

interface SearchAnswer {
  readonly pit_id?: string
  readonly hits?: { readonly hits?: readonly Hit[] }
}

/** What a page should weigh, as far as the last one tells. */
const PAGE_BYTES = 4 * 1024 * 1024
/** Below `index.max_result_window`. */
const PAGE_ROWS_MAX = 5000
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
/** Around a line in an answer. */
const HIT_BYTES = 600
/** How long a point in time is kept between two pages. */
const KEEP_ALIVE = '2m'

export interface PageScanOptions {
  readonly connection: ElasticConnection
  readonly index: string
  readonly filter: readonly Clause[]
  readonly scan: LogScan
  /** Documents of the first page. */
  readonly firstPageRows: number
  readonly signal: AbortSignal
}

export class PageScan {
  readonly #options: PageScanOptions
  readonly #reader: RowReader
  #size: number
  #next: Promise<void> | undefined
  #page: readonly Hit[] | undefined
  #failure: unknown
  #after: readonly unknown[] | undefined
  #pointInTime: string | undefined

  constructor(options: PageScanOptions) {
    this.#options = options
    this.#reader = new RowReader(options.scan)
    this.#size = Math.max(1, Math.min(options.firstPageRows, PAGE_ROWS_MAX))
  }

  /** Resolves when the generator can go on; undefined where it can now. */
  get ready(): Promise<void> | undefined {
    return this.#page === undefined && this.#failure === undefined ? this.#next : undefined
  }

  *rows(): LogScanTask {
    this.#fetch()
    for (;;) {
      while (this.#page === undefined) {
        if (this.#failure !== undefined) throw this.#failure
        yield undefined
      }
      const hits = this.#page
      this.#page = undefined
      const isLast = hits.length < this.#size
      this.#after = hits.at(-1)?.sort
      const rows = this.#reader.read(hits)
      if (!isLast) {
        this.#size = nextSize(this.#size, hits.length, rows.lineBytes.length)
        // A search in order may end with this page; one without reads all.
        if (this.#options.scan.order === 'any') this.#fetch()
      }
      if (rows.count > 0) yield rows
      if (isLast) return
      if (this.#next === undefined) this.#fetch()
    }
  }

  #fetch(): void {
    this.#next = this.#search()
      .then((hits) => {
        this.#page = hits
      })
      .catch((error: unknown) => {
        this.#failure = error
      })
      .finally(() => {
        this.#next = undefined
      })
  }

  /** Lets go of what the cluster keeps for it. Whether that succeeds doesn't matter: it runs out by itself. */
  close(): void {
    const id = this.#pointInTime
    if (id !== undefined) this.#options.connection.request({ method: 'DELETE', path: '/_pit', body: { id } }).catch(() => {})
  }

  /** Where the search goes, and how its documents follow each other. */
  async #place(): Promise<{ path: string; query: Record<string, boolean>; body: object }> {
    const { connection, index, scan, signal } = this.#options
    if (scan.order === 'any') {
      const open = { method: 'POST', path: `/${index}/_pit`, query: { keep_alive: KEEP_ALIVE, ignore_unavailable: true }, signal } as const
      this.#pointInTime ??= (await connection.request<{ id: string }>(open)).id
      return { path: '/_search', query: {}, body: { pit: { id: this.#pointInTime, keep_alive: KEEP_ALIVE }, sort: ['_shard_doc'] } }
    }
    const order = scan.order === 'backward' ? 'desc' : 'asc'
    // As a number the time would lose its last digits.
    const time = { '@timestamp': { order, format: 'strict_date_optional_time_nanos' } }
    const sort = [time, ...['partition', 'offset', 'position', 'journal'].map((field) => ({ [field]: { order } }))]
    return { path: `/${index}/_search`, query: { ignore_unavailable: true }, body: { sort } }
  }

  async #search(): Promise<readonly Hit[]> {
    const { connection, filter, signal } = this.#options
    for (;;) {
      try {
        const { path, query, body } = await this.#place()
        const answer = await connection.request<SearchAnswer>({
          method: 'POST',
          path,
          query: { ...query, filter_path: 'pit_id,hits.hits._source,hits.hits.sort', allow_partial_search_results: false },
          body: {
            size: this.#size,
            query: { bool: { filter } },
            ...body,
            _source: ['@timestamp', 'stream', 'line', 'raw', 'metadata'],
            track_total_hits: false,
            ...(this.#after === undefined ? {} : { search_after: this.#after }),
          },
          signal,
          answerBytesMax: ANSWER_BYTES_MAX,
        })
        this.#pointInTime &&= answer.pit_id ?? this.#pointInTime
        return answer.hits?.hits ?? []
      } catch (error) {
        if (kindOf(error) !== 'too_large' || this.#size === 1) throw error
        this.#size = Math.max(1, this.#size >> 2)
      }
    }
  }
}

function nextSize(size: number, hits: number, lineBytes: number): number {
  const fitting = Math.floor(PAGE_BYTES / (lineBytes / Math.max(1, hits) + HIT_BYTES))
  return Math.max(1, Math.min(size * 2, fitting, PAGE_ROWS_MAX))
}

/** Documents to rows. Labels are parsed once a stream and scan. */
class RowReader {
  readonly #scan: LogScan
  readonly #needles: readonly Buffer[]
  readonly #times = new TimestampReader()
  readonly #streams = new Map<string, { readonly labels: Labels; readonly isWanted: boolean }>()

  constructor(scan: LogScan) {
    this.#scan = scan
    this.#needles = scan.needles.filter((needle) => needle !== '').map((needle) => Buffer.from(needle))
  }

  read(hits: readonly Hit[]): LogRows {
    const columns = newColumns(hits.length)
    const streams = new Numbered<Labels>()
    const metadata = new Numbered<Labels>()
    const lines: Buffer[] = []
    let count = 0
    let at = 0
    for (const { _source: source } of hits) {
      const stream = this.#streamOf(source.stream)
      if (!stream.isWanted) continue
      const line = source.raw === undefined ? Buffer.from(source.line) : Buffer.from(source.raw, 'base64')
      if (!this.#needles.every((needle) => line.includes(needle))) continue
      lines.push(line)
      this.#times.read(source['@timestamp'])
      columns.timeMs[count] = this.#times.timeMs
      columns.subNs[count] = this.#times.subNs
      columns.streamOf[count] = streams.of(source.stream, () => stream.labels)
      const pairs = source.metadata ?? []
      columns.metadataOf[count] = metadata.of(pairs.join('\n'), () => labelsOfPairs(pairs))
      columns.lineStart[count] = at
      columns.lineEnd[count] = at += line.length
      count++
    }
    return { count, streams: streams.values, metadata: metadata.values, lineBytes: Buffer.concat(lines, at), ...columns }
  }

  #streamOf(text: string): { readonly labels: Labels; readonly isWanted: boolean } {
    let stream = this.#streams.get(text)
    if (stream === undefined) {
      const labels = JSON.parse(text) as Labels
      stream = { labels, isWanted: matchesAll(this.#scan.matchers, labels) }
      this.#streams.set(text, stream)
    }
    return stream
  }
}

function newColumns(rows: number): Pick<LogRows, 'streamOf' | 'timeMs' | 'subNs' | 'lineStart' | 'lineEnd' | 'metadataOf'> {
  return {
    streamOf: new Uint32Array(rows),
    timeMs: new Float64Array(rows),
    subNs: new Uint32Array(rows),
    lineStart: new Uint32Array(rows),
    lineEnd: new Uint32Array(rows),
    metadataOf: new Uint32Array(rows),
  }
}

/** Different things by the order in which they come. */
class Numbered<T> {
  readonly values: T[] = []
  readonly #numbers = new Map<string, number>()

  of(key: string, make: () => T): number {
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.values.push(make()) - 1
      this.#numbers.set(key, number)
    }
    return number
  }
}
