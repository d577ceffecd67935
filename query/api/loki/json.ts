/**
 * Query results as Loki's JSON. With `categorize-labels`, `encodingFlags` comes before `result` and every entry is a triple whose third element holds
 * structured metadata and parsed labels; without, all labels are in `stream`.
 */
import { labelsKey, type Labels } from '../../../lib/model/index.ts'
import { formatFixed } from '../../promql/index.ts'
import type { LogLines, QueryResult, QueryStats } from '../../logql/index.ts'

export function writeLabels(labels: Labels): string {
  let out = '{'
  for (let i = 0; i < labels.length; i += 2) out += `${i === 0 ? '' : ','}${JSON.stringify(labels[i])}:${JSON.stringify(labels[i + 1])}`
  return `${out}}`
}

/** Unix nanoseconds as text. */
export function writeNanos(ms: number, subNs: number): string {
  return ms > 0 ? `${ms}${String(subNs).padStart(6, '0')}` : String(BigInt(ms) * 1_000_000n + BigInt(subNs))
}

function writeValue(value: number): string {
  if (Number.isFinite(value)) return formatFixed(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/** The body of an answer, in pieces. @param warnings beside the data, as Loki has them */
export function* writeAnswer(result: QueryResult, isCategorized: boolean, warnings: readonly string[] = []): Generator<string> {
  yield '{"status":"success","data":{"resultType":'
  switch (result.type) {
    case 'streams':
      yield `"streams",${isCategorized ? '"encodingFlags":["categorize-labels"],' : ''}"result":[`
      yield* writeStreams(result.lines, isCategorized)
      yield ']'
      break
    case 'scalar':
      yield `"scalar","result":[${result.grid.startMs / 1000},"${writeValue(result.value)}"]`
      break
    case 'vector':
      yield '"vector","result":['
      for (const [i, { labels, values }] of result.series.entries()) {
        yield `${i === 0 ? '' : ','}{"metric":${writeLabels(labels)},"value":[${result.grid.startMs / 1000},"${writeValue(values[0]!)}"]}`
      }
      yield ']'
      break
    case 'matrix':
      yield '"matrix","result":['
      yield* writeMatrix(result)
      yield ']'
  }
  yield `,"stats":${JSON.stringify(statsOf(result.stats, result.type === 'streams' ? result.lines.count : 0))}}`
  yield warnings.length === 0 ? '}' : `,"warnings":${JSON.stringify(warnings)}}`
}

function* writeMatrix({ series, grid }: Extract<QueryResult, { type: 'vector' | 'matrix' }>): Generator<string> {
  const seconds = Array.from({ length: grid.count }, (_, k) => String((grid.startMs + k * grid.stepMs) / 1000))
  for (const [i, { labels, values, present }] of series.entries()) {
    let points = ''
    for (let k = 0; k < values.length; k++) {
      if (present[k] === 1) points += `${points === '' ? '' : ','}[${seconds[k]},"${writeValue(values[k]!)}"]`
    }
    yield `${i === 0 ? '' : ','}{"metric":${writeLabels(labels)},"values":[${points}]}`
  }
}

/** Labels of several categories as one set; names don't repeat. */
function joined(...sets: readonly Labels[]): Labels {
  const pairs: [string, string][] = []
  for (const labels of sets) for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i]!, labels[i + 1]!])
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1)).flat()
}

/** Streams by their labels, entries in their order. */
export function* writeStreams(lines: LogLines, isCategorized: boolean): Generator<string> {
  const { sets } = lines
  const streams = new Map<string, { labels: Labels; rows: number[] }>()
  for (let i = 0; i < lines.count; i++) {
    const [stream, metadata, parsed] = [sets[lines.stream[i]!]!, sets[lines.metadata[i]!]!, sets[lines.parsed[i]!]!]
    const labels = isCategorized ? stream : joined(stream, metadata, parsed)
    const key = labelsKey(labels)
    const known = streams.get(key)
    if (known === undefined) streams.set(key, { labels, rows: [i] })
    else known.rows.push(i)
  }
  const text = Buffer.from(lines.lineBytes.buffer, lines.lineBytes.byteOffset, lines.lineBytes.byteLength)
  const extras = new Map<number, string>()
  let separator = ''
  for (const { labels, rows } of [...streams.values()].sort((a, b) => (labelsKey(a.labels) < labelsKey(b.labels) ? -1 : 1))) {
    const entries = rows.map((i) => {
      const line = JSON.stringify(text.toString('utf8', lines.lineStart[i], lines.lineStart[i + 1]))
      const extra = isCategorized ? `,${extraOf(lines, i, extras)}` : ''
      return `["${writeNanos(lines.timeMs[i]!, lines.subNs[i]!)}",${line}${extra}]`
    })
    yield `${separator}{"stream":${writeLabels(labels)},"values":[${entries.join(',')}]}`
    separator = ','
  }
}

function extraOf(lines: LogLines, i: number, known: Map<number, string>): string {
  const key = lines.metadata[i]! * lines.sets.length + lines.parsed[i]!
  let text = known.get(key)
  if (text === undefined) {
    const metadata = lines.sets[lines.metadata[i]!]!
    const parsed = lines.sets[lines.parsed[i]!]!
    const parts = [
      ...(metadata.length > 0 ? [`"structuredMetadata":${writeLabels(metadata)}`] : []),
      ...(parsed.length > 0 ? [`"parsed":${writeLabels(parsed)}`] : []),
    ]
    known.set(key, (text = `{${parts.join(',')}}`))
  }
  return text
}

/** What Grafana's inspector shows, under Loki's names. */
export function statsOf({ lines, bytes, durationMs }: QueryStats, entries: number): unknown {
  const seconds = durationMs / 1000
  const store = {
    totalChunksRef: 0,
    totalChunksDownloaded: 0,
    chunksDownloadTime: 0,
    chunk: {
      headChunkBytes: 0,
      headChunkLines: 0,
      decompressedBytes: bytes,
      decompressedLines: lines,
      compressedBytes: 0,
      totalDuplicates: 0,
    },
  }
  return {
    summary: {
      bytesProcessedPerSecond: seconds > 0 ? Math.round(bytes / seconds) : 0,
      linesProcessedPerSecond: seconds > 0 ? Math.round(lines / seconds) : 0,
      totalBytesProcessed: bytes,
      totalLinesProcessed: lines,
      execTime: seconds,
      queueTime: 0,
      subqueries: 0,
      totalEntriesReturned: entries,
      splits: 0,
      shards: 0,
      totalPostFilterLines: entries,
      totalStructuredMetadataBytesProcessed: 0,
    },
    querier: { store },
    ingester: { totalReached: 0, totalChunksMatched: 0, totalBatches: 0, totalLinesSent: 0, store },
  }
}
