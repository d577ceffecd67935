/** The instant selector over steps: at each the newest sample that is at most a look-back old, unless it is stale. */
import { CELL_ABSENT, CELL_HISTOGRAM, CELL_STALE, type SeriesSamples } from '../../../lib/model/index.ts'
import type { ColumnBuilder } from '../columns.ts'

export type LookbackResult = 'value' | 'time' | 'start'

/**
 * @param times ascending instants, one a step, offset and `@` applied
 * @param result what to write: the sample, its time, or its start timestamp (seconds)
 * Cost: one pass over samples and steps.
 */
export function lookbackInto(
  series: SeriesSamples,
  times: Float64Array,
  lookbackMs: number,
  out: ColumnBuilder,
  result: LookbackResult,
): void {
  const { cells, histograms, startTimes } = series
  const n = series.times.length
  let at = 0
  let newest = -1
  for (let k = 0; k < times.length; k++) {
    const time = times[k]!
    for (; at < n && series.times[at]! <= time; at++) if (cells === undefined || cells[at] !== CELL_ABSENT) newest = at
    if (newest === -1 || series.times[newest]! <= time - lookbackMs) continue
    const cell = cells?.[newest]
    if (cell === CELL_STALE) continue
    if (result === 'time') out.set(k, series.times[newest]! / 1000)
    else if (result === 'start') {
      const start = startTimes?.[newest] ?? 0
      out.set(k, start / 1000)
    } else if (cell === CELL_HISTOGRAM) out.setHistogram(k, histograms![newest]!)
    else out.set(k, series.values[newest]!)
  }
}
