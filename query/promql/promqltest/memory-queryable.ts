/** Series in memory for tests, as Prometheus' storage would give them back. */
import {
  CELL_FLOAT,
  CELL_HISTOGRAM,
  CELL_STALE,
  METRIC_NAME,
  labelValue,
  labelsKey,
  labelsWith,
  matchesAll,
  type FloatHistogram,
  type Labels,
  type SeriesSamples,
} from '../../../lib/model/index.ts'
import { parseGoNumber } from '../go-float.ts'
import { compactHistogram, detectReset } from '../histogram/index.ts'
import type { MetricsQueryable, SelectRequest, SelectResult } from '../storage.ts'
import type { Cell } from './series-notation.ts'

interface Sample {
  readonly time: number
  readonly cell: Exclude<Cell, undefined>
  readonly start: number
}

interface StoredSeries {
  readonly labels: Labels
  readonly samples: Sample[]
}

export class MemoryQueryable implements MetricsQueryable {
  readonly #series = new Map<string, StoredSeries>()

  add(labels: Labels, time: number, cell: Exclude<Cell, undefined>, start = 0): void {
    const key = labelsKey(labels)
    let series = this.#series.get(key)
    if (series === undefined) this.#series.set(key, (series = { labels, samples: [] }))
    series.samples.push({ time, cell, start })
  }

  select(request: SelectRequest): Promise<SelectResult> {
    const series: SeriesSamples[] = []
    for (const stored of this.#series.values()) {
      if (!matchesAll(request.matchers, stored.labels)) continue
      const samples = toSamples(stored, request.startMs, request.endMs)
      if (samples.times.length > 0) series.push(samples)
    }
    return Promise.resolve({ series, warnings: [] })
  }

  /** For each classic histogram a native one with custom buckets beside it. */
  addCustomBucketHistograms(): void {
    const groups = new Map<string, { labels: Labels; byTime: Map<number, { buckets: [number, number][]; sum: number; count: number }> }>()
    for (const { labels, samples } of this.#series.values()) {
      const name = labelValue(labels, METRIC_NAME)
      const suffix = /_(bucket|sum|count)$/.exec(name)?.[1]
      const le = labelValue(labels, 'le')
      if (suffix === undefined || (suffix === 'bucket' && le === '')) continue
      const base = labelsWith(labelsWith(labels, 'le', ''), METRIC_NAME, name.slice(0, -suffix.length - 1))
      const key = labelsKey(base)
      const group = groups.get(key) ?? { labels: base, byTime: new Map() }
      groups.set(key, group)
      for (const { time, cell } of samples) {
        if (typeof cell !== 'number') continue
        const at = group.byTime.get(time) ?? { buckets: [], sum: 0, count: 0 }
        group.byTime.set(time, at)
        if (suffix === 'bucket') at.buckets.push([Number(parseGoNumber(le.replace(/^[+-]/, ''))) * (le.startsWith('-') ? -1 : 1), cell])
        else at[suffix as 'sum' | 'count'] = cell
      }
    }
    for (const { labels, byTime } of groups.values()) {
      for (const [time, { buckets, sum, count }] of [...byTime].sort((a, b) => a[0] - b[0])) {
        if (buckets.length > 0 && !this.#hasSample(labels, time)) this.add(labels, time, customHistogram(buckets, sum, count))
      }
    }
  }

  #hasSample(labels: Labels, time: number): boolean {
    return this.#series.get(labelsKey(labels))?.samples.some((sample) => sample.time === time) === true
  }
}

function customHistogram(buckets: [number, number][], sum: number, count: number): FloatHistogram {
  buckets.sort((a, b) => a[0] - b[0])
  const total = Math.max(count, buckets.at(-1)![1])
  const finite = buckets.filter(([bound]) => Number.isFinite(bound))
  let before = 0
  const counts = finite.map(([, cumulative]) => {
    const own = Math.max(0, cumulative - before)
    before = Math.max(before, cumulative)
    return own
  })
  counts.push(Math.max(0, total - before))
  return compactHistogram({
    schema: -53,
    zeroThreshold: 0,
    zeroCount: 0,
    count: total,
    sum,
    positiveSpans: [{ offset: 0, length: counts.length }],
    negativeSpans: [],
    positiveBuckets: counts,
    negativeBuckets: [],
    customValues: finite.map(([bound]) => bound),
    counterResetHint: 'unknown',
  })
}

function toSamples({ labels, samples }: StoredSeries, startMs: number, endMs: number): SeriesSamples {
  const sorted = [...samples].sort((a, b) => a.time - b.time)
  const histograms = withHints(sorted)
  const rows = sorted.map((_, i) => i).filter((i) => sorted[i]!.time >= startMs && sorted[i]!.time <= endMs)
  const kind = ({ cell }: Sample): number => (cell === 'stale' ? CELL_STALE : typeof cell === 'number' ? CELL_FLOAT : CELL_HISTOGRAM)
  return {
    labels,
    times: Float64Array.from(rows, (i) => sorted[i]!.time),
    values: Float64Array.from(rows, (i) => (typeof sorted[i]!.cell === 'number' ? (sorted[i]!.cell as number) : 0)),
    cells: Uint8Array.from(rows, (i) => kind(sorted[i]!)),
    histograms: rows.map((i) => histograms[i]),
    startTimes: Float64Array.from(rows, (i) => sorted[i]!.start),
  }
}

/** Counter reset hints as chunks carry them: unknown at the begin of a run, then what is found between neighbours. */
function withHints(samples: readonly Sample[]): (FloatHistogram | undefined)[] {
  let previous: FloatHistogram | undefined
  return samples.map(({ cell }) => {
    if (typeof cell === 'number' || cell === 'stale') {
      previous = undefined
      return undefined
    }
    if (cell.counterResetHint === 'gauge') {
      previous = undefined
      return cell
    }
    let hint: FloatHistogram['counterResetHint'] = cell.counterResetHint === 'reset' ? 'reset' : 'unknown'
    if (previous !== undefined && hint === 'unknown')
      hint = detectReset({ ...cell, counterResetHint: 'unknown' }, previous) ? 'unknown' : 'not_reset'
    previous = cell
    return { ...cell, counterResetHint: hint }
  })
}
