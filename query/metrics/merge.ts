import { CELL_ABSENT, labelsKey, type SeriesSamples } from '../../lib/model/index.ts'
import type { Task } from '../store/index.ts'
import { Column, ColumnSlab } from './column.ts'
import { rowsOn, samplesOf, unionOf } from './read.ts'

const SLICE_SERIES = 2000

/**
 * One series for each label set, from several holders. Parts come in journal order: for one (series, time) the first part wins. Times that
 * series of two parts share stay shared after they are joined.
 */
export function* mergeParts(parts: readonly (readonly SeriesSamples[])[]): Task<SeriesSamples[]> {
  const some = parts.filter((part) => part.length > 0)
  if (some.length <= 1) return [...(some[0] ?? [])]
  const byLabels = new Map<string, SeriesSamples[]>()
  let work = 0
  for (const part of some) {
    for (const series of part) {
      const key = labelsKey(series.labels)
      const list = byLabels.get(key)
      if (list === undefined) byLabels.set(key, [series])
      else list.push(series)
      if (++work % SLICE_SERIES === 0) yield
    }
  }
  const joins = new JoinedTimes()
  const out: SeriesSamples[] = []
  for (const list of byLabels.values()) {
    out.push(list.length === 1 ? list[0]! : mergeOne(list, joins))
    if (++work % SLICE_SERIES === 0) yield
  }
  return out
}

/** Remembers which times were joined to which. */
export class JoinedTimes {
  readonly slab = new ColumnSlab()
  readonly #joined = new Map<Float64Array, Map<Float64Array, Float64Array>>()

  of(before: Float64Array, after: Float64Array): Float64Array {
    const known = this.#joined.get(before) ?? new Map<Float64Array, Float64Array>()
    this.#joined.set(before, known)
    let joined = known.get(after)
    if (joined === undefined) {
      const both = new Float64Array(before.length + after.length)
      both.set(before)
      both.set(after, before.length)
      joined = both
      known.set(after, joined)
    }
    return joined
  }
}

/** One series from its parts in journal order. */
export function mergeOne(list: readonly SeriesSamples[], joins: JoinedTimes): SeriesSamples {
  const sorted = list.toSorted((a, b) => a.times[0]! - b.times[0]!)
  const apart = sorted.every((series, i) => i === 0 || series.times[0]! > sorted[i - 1]!.times.at(-1)!)
  return apart ? concatenated(sorted, joins) : united(list)
}

function concatenated(list: readonly SeriesSamples[], joins: JoinedTimes): SeriesSamples {
  const times = list.slice(1).reduce((before, series) => joins.of(before, series.times), list[0]!.times)
  const column = joins.slab.take(times.length)
  let offset = 0
  for (const series of list) {
    column.values.set(series.values, offset)
    if (series.cells !== undefined) column.withCells().set(series.cells, offset)
    series.histograms?.forEach((histogram, i) => column.setHistogram(offset + i, histogram))
    series.startTimes?.forEach((startMs, i) => column.setStart(offset + i, startMs))
    offset += series.times.length
  }
  return finished(list[0]!, times, column)
}

function united(list: readonly SeriesSamples[]): SeriesSamples {
  const times = unionOf(list.map((series) => series.times))
  const column = Column.absent(times.length)
  for (const series of list) {
    const from = columnOf(series)
    const rows = rowsOn(times, series.times)
    for (let i = 0; i < rows.length; i++) if (column.cells![rows[i]!] === CELL_ABSENT) column.copyRow(rows[i]!, from, i)
  }
  return finished(list[0]!, times, column)
}

function columnOf(series: SeriesSamples): Column {
  const column = new Column(series.times.length)
  column.values.set(series.values)
  if (series.cells !== undefined) column.withCells().set(series.cells)
  series.histograms?.forEach((histogram, i) => column.setHistogram(i, histogram))
  series.startTimes?.forEach((startMs, i) => column.setStart(i, startMs))
  return column
}

function finished(series: SeriesSamples, times: Float64Array, column: Column): SeriesSamples {
  const samples = samplesOf(times, column)
  return samples === undefined ? series : { labels: series.labels, ...samples }
}
