/** Log entries in memory as a `LogSource`, and one or several of these as a tenant's logs: for tests. */
import { labelsKey, matchesAll, type Labels } from '../../../lib/model/index.ts'
import type { LogRows, LogScan, LogScanTask, Task } from '../../store/index.ts'
import { linesTask, mergeLines } from '../lines.ts'
import { mergeSamples, samplesTask } from '../samples.ts'
import type { LogSource, LogsQueryable } from '../source.ts'

export interface MemoryEntry {
  readonly stream: Labels
  readonly timeMs: number
  readonly subNs?: number
  readonly line: string
  readonly metadata?: Labels
}

export class MemorySource implements LogSource {
  readonly #entries: MemoryEntry[] = []

  add(entry: MemoryEntry): void {
    this.#entries.push(entry)
  }

  *scan({ matchers, start, end, order, needles }: LogScan): LogScanTask {
    const sign = order === 'backward' ? -1 : 1
    const wanted = this.#entries
      .filter(({ stream }) => matchesAll(matchers, stream))
      .filter(({ timeMs, subNs = 0 }) => timeMs > start.ms || (timeMs === start.ms && subNs >= start.subNs))
      .filter(({ timeMs, subNs = 0 }) => timeMs < end.ms || (timeMs === end.ms && subNs < end.subNs))
      .filter(({ line }) => needles.every((needle) => line.includes(needle)))
    if (order !== 'any') wanted.sort((a, b) => sign * (a.timeMs - b.timeMs || (a.subNs ?? 0) - (b.subNs ?? 0)))
    yield undefined
    const size = 7
    for (let at = 0; at < wanted.length; at += size) yield rowsOf(wanted.slice(at, at + size))
  }
}

function rowsOf(entries: readonly MemoryEntry[]): LogRows {
  const streams = new Interner()
  const metadata = new Interner()
  const lines = entries.map(({ line }) => Buffer.from(line))
  const lineBytes = Buffer.concat(lines)
  const lineStart = new Uint32Array(entries.length)
  const lineEnd = new Uint32Array(entries.length)
  for (let i = 0, at = 0; i < entries.length; i++) {
    lineStart[i] = at
    lineEnd[i] = at += lines[i]!.length
  }
  return {
    count: entries.length,
    streamOf: Uint32Array.from(entries, ({ stream }) => streams.idOf(stream)),
    metadataOf: Uint32Array.from(entries, (entry) => metadata.idOf(entry.metadata ?? [])),
    streams: streams.all,
    metadata: metadata.all,
    timeMs: Float64Array.from(entries, ({ timeMs }) => timeMs),
    subNs: Uint32Array.from(entries, ({ subNs = 0 }) => subNs),
    lineBytes,
    lineStart,
    lineEnd,
  }
}

class Interner {
  readonly all: Labels[] = []
  readonly #ids = new Map<string, number>()

  idOf(labels: Labels): number {
    const key = labelsKey(labels)
    let id = this.#ids.get(key)
    if (id === undefined) this.#ids.set(key, (id = this.all.push(labels) - 1))
    return id
  }
}

/** Partitions as one tenant's logs. */
export function queryableOf(sources: readonly LogSource[]): LogsQueryable {
  return {
    lines: async (request) =>
      mergeLines(
        sources.map((source) => toEnd(linesTask(source, request))),
        request,
      ),
    samples: async (request) =>
      mergeSamples(
        sources.map((source) => toEnd(samplesTask(source, request))),
        request,
      ),
  }
}

export function toEnd<T>(task: Task<T>): T {
  for (;;) {
    const step = task.next()
    if (step.done === true) return step.value
  }
}
