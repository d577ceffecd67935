import { METRIC_NAME } from '../../lib/model/index.ts'
import type { Task } from '../store/index.ts'
import type { Head } from './head.ts'

export interface NamedCount {
  readonly name: string
  readonly value: number
}

/** What Prometheus' `status/tsdb` tells of the head; each list has the largest first. */
export interface Cardinality {
  readonly numSeries: number
  readonly numLabelPairs: number
  readonly numChunks: number
  /** Times of the samples in the head, Unix milliseconds; both 0 where there is none. */
  readonly minMs: number
  readonly maxMs: number
  readonly seriesCountByMetricName: readonly NamedCount[]
  readonly labelValueCountByLabelName: readonly NamedCount[]
  readonly memoryInBytesByLabelName: readonly NamedCount[]
  readonly seriesCountByLabelValuePair: readonly NamedCount[]
}

/** Memory by label name is the length of its values, each once for every series that has it: the sum Prometheus shows. */
export function* cardinalityOf(head: Head | undefined, limit: number): Task<Cardinality> {
  const metrics: NamedCount[] = []
  const names: NamedCount[] = []
  const memory: NamedCount[] = []
  const pairs: NamedCount[] = []
  let work = 0
  for (const [name, entry] of head?.index.names ?? []) {
    let bytes = 0
    for (const [value, pair] of entry.values) {
      const count = head!.index.postings.length(pair)
      bytes += count * Buffer.byteLength(value)
      pairs.push({ name: `${name}=${value}`, value: count })
      if (name === METRIC_NAME) metrics.push({ name: value, value: count })
      if (++work % 20_000 === 0) yield
    }
    names.push({ name, value: entry.values.size })
    memory.push({ name, value: bytes })
  }
  let [chunks, minMs, maxMs] = [0, Infinity, -Infinity]
  for (const group of head?.groups.values() ?? []) {
    chunks += group.chunks.length
    for (const chunk of group.chunks) minMs = Math.min(minMs, chunk.minMs)
    for (let row = 0; row < group.rows; row++) minMs = Math.min(minMs, group.times[row]!)
    maxMs = Math.max(maxMs, group.newestMs)
  }
  return {
    numSeries: head?.index.size ?? 0,
    numLabelPairs: head?.index.pairCount ?? 0,
    numChunks: chunks,
    minMs: minMs === Infinity ? 0 : minMs,
    maxMs: maxMs === -Infinity ? 0 : maxMs,
    seriesCountByMetricName: largest(metrics, limit),
    labelValueCountByLabelName: largest(names, limit),
    memoryInBytesByLabelName: largest(memory, limit),
    seriesCountByLabelValuePair: largest(pairs, limit),
  }
}

function largest(counts: NamedCount[], limit: number): NamedCount[] {
  return counts.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1)).slice(0, limit)
}
