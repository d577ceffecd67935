/**
 * A tenant's logs as the front reads them, from the shared store: the same tasks that run beside embedded data pull rows from pages of documents, here on the front's thread, in slices.
 */
import type { Labels } from '../../lib/model/index.ts'
import { compileMatcher } from '../../lib/regexp/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import { linesTask, parseLogExpr, parseSampleExpr, samplesTask, type LogExpr, type LogSource } from '../logql/index.ts'
import { QueryNotes } from '../shard/index.ts'
import type { LogsReader, StreamsRequest } from '../shard/logs/index.ts'
import type { LogScan, LogScanTask, Task } from '../store/index.ts'
import type { ElasticConnection } from './connection.ts'
import { PageScan } from './page-scan.ts'
import { inRange, isSelective, matcherClauses, scanClauses, type Clause, type WantedPair } from './search-query.ts'
import { readStreams, type StreamSize } from './streams.ts'

/** Streams of a range that are listed at most. */
const STREAMS_MAX = 100_000
/** Where a pattern selects at most so many streams, they are asked for by name. */
const NAMED_STREAMS_MAX = 1000
/** Streams that are looked at to find these. */
const CANDIDATES_MAX = 20_000
/** Documents of the first page, where filters may drop lines; pages grow from there. */
const FIRST_PAGE_MIN = 500
const SLICE_MS = 5

export function createElasticLogsReader(connection: ElasticConnection, index: string, tenant: string): LogsReader {
  const streams = (request: StreamsRequest, withBytes: boolean, signal: AbortSignal): Promise<StreamSize[]> => {
    const matchers = request.matchers.map((spec) => compileMatcher(spec))
    const range = inRange(tenant, { ms: request.startMs, subNs: 0 }, { ms: Math.floor(request.endMs) + 1, subNs: 0 })
    return readStreams({
      connection,
      index,
      filter: [...range, ...matcherClauses(matchers)],
      matchers,
      streamsMax: STREAMS_MAX,
      withBytes,
      signal,
    })
  }

  /** The streams a pattern means, by name; nothing where that says no more than the other conditions. */
  const namedStreams = async ({ matchers, start, end }: LogScan, signal: AbortSignal): Promise<Clause[]> => {
    if (matchers.every(isSelective)) return []
    const filter = [...inRange(tenant, start, end), ...matcherClauses(matchers)]
    try {
      const found = await readStreams({ connection, index, filter, matchers, streamsMax: CANDIDATES_MAX, withBytes: false, signal })
      return found.length > NAMED_STREAMS_MAX ? [] : [{ terms: { stream: found.map(({ text }) => text) } }]
    } catch (error) {
      if (error instanceof SightlineError && error.kind === 'too_large') return []
      throw error
    }
  }

  /** Runs a task over a scan that waits for pages. */
  const read = async <T>(
    makeTask: (source: LogSource) => Task<T>,
    log: LogExpr,
    firstPageRows: number,
    caller: AbortSignal,
  ): Promise<T> => {
    const ended = new AbortController()
    const signal = AbortSignal.any([caller, ended.signal])
    const pairs = wantedPairs(log)
    let pages: PageScan | undefined
    let naming: Promise<void> | undefined
    function* scanTask(scan: LogScan): LogScanTask {
      let named: Clause[] | undefined
      let failure: unknown
      naming = namedStreams(scan, signal)
        .then((clauses) => {
          named = clauses
        })
        .catch((error: unknown) => {
          failure = error
        })
      while (named === undefined) {
        if (failure !== undefined) throw failure
        yield undefined
      }
      naming = undefined
      pages = new PageScan({ connection, index, filter: [...scanClauses(tenant, scan, pairs), ...named], scan, firstPageRows, signal })
      yield* pages.rows()
    }
    const task = makeTask({ scan: (scan) => scanTask(scan) })
    return drive(task, () => naming ?? pages?.ready, caller).finally(() => {
      ended.abort()
      pages?.close()
    })
  }

  return {
    // A shared store is asked once: no node's answer can be missing.
    notes: new QueryNotes(),
    queryable: {
      lines: (request, signal) =>
        read((source) => linesTask(source, request), parseLogExpr(request.query), Math.max(FIRST_PAGE_MIN, request.limit), signal),
      samples: (request, signal) => read((source) => samplesTask(source, request), logOf(request.query), FIRST_PAGE_MIN, signal),
    },
    async labelNames(request, signal) {
      const names = new Set<string>()
      for (const { labels } of await streams(request, false, signal)) for (let i = 0; i < labels.length; i += 2) names.add(labels[i]!)
      return [...names].sort()
    },
    async labelValues(name, request, signal) {
      const values = new Set<string>()
      for (const { labels } of await streams(request, false, signal)) {
        for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) values.add(labels[i + 1]!)
      }
      return [...values].sort()
    },
    async series(request, signal): Promise<Labels[]> {
      return (await streams(request, false, signal)).map(({ labels }) => labels)
    },
    async stats(request, signal) {
      const found = await streams(request, true, signal)
      const sum = (of: (stream: StreamSize) => number): number => found.reduce((total, stream) => total + of(stream), 0)
      // There are no chunks; a stream counts as one.
      return { streams: found.length, chunks: found.length, bytes: sum(({ bytes }) => bytes), entries: sum(({ entries }) => entries) }
    },
    async volume(request, signal) {
      return (await streams(request, true, signal)).map(({ labels, bytes, entries }) => ({ labels, bytes, entries }))
    },
  }
}

function logOf(query: string): LogExpr {
  const expr = parseSampleExpr(query)
  if (expr.kind !== 'range') throw new SightlineError('bad_data', `cannot run "${query}" on the log store: it is no range aggregation`)
  return expr.log
}

/** Labels that filters ask for before any stage could make them: they are in the stream or the metadata, or the line isn't wanted. */
function wantedPairs({ stages }: LogExpr): WantedPair[] {
  const out: WantedPair[] = []
  for (const stage of stages) {
    if (stage.kind === 'line') continue
    if (stage.kind !== 'label_filter') break
    collectPairs(stage.filter, out)
  }
  return out
}

type LabelFilter = Extract<LogExpr['stages'][number], { kind: 'label_filter' }>['filter']

function collectPairs(filter: LabelFilter, out: WantedPair[]): void {
  if (filter.kind === 'and') {
    collectPairs(filter.left, out)
    collectPairs(filter.right, out)
  } else if (filter.kind === 'string' && filter.matcher.op === '=' && filter.matcher.value !== '' && isStored(filter.matcher.name))
    out.push(filter.matcher)
}

/** Names that only a query makes are in no document. */
function isStored(name: string): boolean {
  return !name.startsWith('__') && !name.endsWith('_extracted')
}

/** Runs a task to its end in slices, waiting where it has nothing to go on with. */
async function drive<T>(task: Task<T>, waiting: () => Promise<void> | undefined, signal: AbortSignal): Promise<T> {
  try {
    for (;;) {
      if (signal.aborted) throw new SightlineError('canceled', 'cannot finish the query: it was canceled')
      const endMs = performance.now() + SLICE_MS
      do {
        const step = task.next()
        if (step.done === true) return step.value
      } while (waiting() === undefined && performance.now() < endMs)
      await (waiting() ?? new Promise((resolve) => setImmediate(resolve)))
    }
  } finally {
    // A scan that was not read to its end lets go of what it holds.
    try {
      task.return(undefined as never)
    } catch {
      // It had ended already.
    }
  }
}
