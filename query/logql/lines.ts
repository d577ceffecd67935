/** Log queries: `linesTask` beside the data of one partition, `mergeLines` wherever answers meet. Both keep the first `limit` entries of the direction. */
import { labelsKey, EMPTY_LABELS, type Labels } from '../../lib/model/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { LogRows, Task } from '../store/index.ts'
import { parseLogExpr } from './parser.ts'
import { compilePipeline, passes, type Pipeline } from './pipeline.ts'
import type { Direction, LinesRequest, LogLines, LogSource } from './source.ts'
import { Entry, METADATA, PARSED, STREAM } from './stages/index.ts'

/** Lines between two places where the task may be suspended. */
const LINES_PER_SLICE = 2000

/**
 * @returns at most `limit` entries, after the pipeline
 * Errors: bad_data for the query, too_large where the lines kept are more than `bytesMax`.
 * Cost: reads until the limit is reached; a line that a filter on the line drops costs no string.
 */
export function* linesTask(source: LogSource, request: LinesRequest): Task<LogLines> {
  const pipeline = compilePipeline(parseLogExpr(request.query))
  const out = new LinesBuilder(request)
  const { matchers, needles } = pipeline
  const scan = source.scan({ matchers, start: request.start, end: request.end, order: request.direction, needles })
  const entry = new Entry()
  let done = 0
  try {
    for (const rows of scan) {
      entry.block++
      for (let i = 0; rows !== undefined && i < rows.count && !out.isFull; i++) {
        takeRow(pipeline, rows, i, entry, out)
        if (++done % LINES_PER_SLICE === 0) yield
      }
      if (out.isFull) break
      if (rows === undefined) yield
    }
  } finally {
    scan.return()
  }
  return out.build()
}

function takeRow(pipeline: Pipeline, rows: LogRows, i: number, entry: Entry, out: LinesBuilder): void {
  const start = rows.lineStart[i]!
  const end = rows.lineEnd[i]!
  out.read(end - start)
  entry.resetLine(rows.lineBytes, start, end)
  if (!passes(pipeline.filters, entry)) return
  entry.reset(rows.streams[rows.streamOf[i]!]!, rows.metadata[rows.metadataOf[i]!]!, rows.lineBytes, start, end)
  entry.timeMs = rows.timeMs[i]!
  entry.subNs = rows.subNs[i]!
  if (passes(pipeline.stages, entry)) out.add(entry)
}

class LinesBuilder {
  readonly #limit: number
  readonly #bytesMax: number
  readonly #times: number[] = []
  readonly #subNs: number[] = []
  readonly #sets: Labels[] = []
  readonly #setIds = new Map<string, number>()
  readonly #stream: number[] = []
  readonly #metadata: number[] = []
  readonly #parsed: number[] = []
  readonly #lines: Uint8Array[] = []
  #bytes = 0
  #linesRead = 0
  #bytesRead = 0

  constructor({ limit, bytesMax }: { limit: number; bytesMax: number }) {
    this.#limit = limit
    this.#bytesMax = bytesMax
  }

  get isFull(): boolean {
    return this.#times.length >= this.#limit
  }

  read(bytes: number): void {
    this.#linesRead++
    this.#bytesRead += bytes
  }

  readStats({ lines, bytes }: LogLines['stats']): void {
    this.#linesRead += lines
    this.#bytesRead += bytes
  }

  add(entry: Entry): void {
    const { bytes, start, end } = entry
    this.push(entry.timeMs, entry.subNs, bytes.slice(start, end), entry.labels(STREAM), entry.labels(METADATA), entry.labels(PARSED))
  }

  push(timeMs: number, subNs: number, line: Uint8Array, stream: Labels, metadata: Labels, parsed: Labels): void {
    this.#bytes += line.length
    if (this.#bytes > this.#bytesMax)
      throw new SightlineError('too_large', `the query would read too many bytes: its lines are more than ${this.#bytesMax} bytes`)
    this.#times.push(timeMs)
    this.#subNs.push(subNs)
    this.#lines.push(line)
    this.#stream.push(this.#setId(stream))
    this.#metadata.push(this.#setId(metadata))
    this.#parsed.push(this.#setId(parsed))
  }

  #setId(labels: Labels): number {
    const key = labelsKey(labels)
    let id = this.#setIds.get(key)
    if (id === undefined) {
      id = this.#sets.push(labels) - 1
      this.#setIds.set(key, id)
    }
    return id
  }

  build(): LogLines {
    const count = this.#times.length
    const lineBytes = new Uint8Array(this.#bytes)
    const lineStart = new Uint32Array(count + 1)
    for (let i = 0, at = 0; i < count; i++) {
      lineBytes.set(this.#lines[i]!, at)
      lineStart[i + 1] = at += this.#lines[i]!.length
    }
    return {
      count,
      timeMs: Float64Array.from(this.#times),
      subNs: Uint32Array.from(this.#subNs),
      sets: this.#sets,
      stream: Uint32Array.from(this.#stream),
      metadata: Uint32Array.from(this.#metadata),
      parsed: Uint32Array.from(this.#parsed),
      lineBytes,
      lineStart,
      stats: { lines: this.#linesRead, bytes: this.#bytesRead },
    }
  }
}

/** Answers of several partitions as one, in order; of equal times, the earlier answer's first. */
export function mergeLines(answers: readonly LogLines[], request: { direction: Direction; limit: number; bytesMax: number }): LogLines {
  if (answers.length === 1) return answers[0]!
  const out = new LinesBuilder(request)
  for (const { stats } of answers) out.readStats(stats)
  const next = answers.map(() => 0)
  const sign = request.direction === 'forward' ? 1 : -1
  while (!out.isFull) {
    let best = -1
    for (const [a, answer] of answers.entries()) {
      if (next[a]! >= answer.count) continue
      if (best === -1 || sign * compareTimes(answer, next[a]!, answers[best]!, next[best]!) < 0) best = a
    }
    if (best === -1) break
    const answer = answers[best]!
    const i = next[best]!++
    out.push(
      answer.timeMs[i]!,
      answer.subNs[i]!,
      answer.lineBytes.subarray(answer.lineStart[i], answer.lineStart[i + 1]),
      answer.sets[answer.stream[i]!] ?? EMPTY_LABELS,
      answer.sets[answer.metadata[i]!] ?? EMPTY_LABELS,
      answer.sets[answer.parsed[i]!] ?? EMPTY_LABELS,
    )
  }
  return out.build()
}

function compareTimes(a: LogLines, i: number, b: LogLines, k: number): number {
  return a.timeMs[i]! - b.timeMs[k]! || a.subNs[i]! - b.subNs[k]!
}
