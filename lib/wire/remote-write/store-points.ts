import { formatLabels } from '../../model/index.ts'
import type { WriteTally } from './decoded.ts'
import type { PendingPoints } from './points.ts'
import type { KnownSeries, SeriesBook } from './series-book.ts'

/** Puts a series' points on the book's rows. A sample given twice in a request counts as written: it is in there. */
export function storePoints(book: SeriesBook, known: KnownSeries, points: PendingPoints, tally: WriteTally, createdMs = 0): void {
  const { times, values, starts, stale } = points
  for (let i = 0; i < points.samples; i++) {
    const timeMs = times[i]!
    if (!Number.isSafeInteger(timeMs)) {
      tally.drop('invalid_timestamp', 1, `timestamp ${timeMs} of ${formatLabels(known.labels)}`)
      continue
    }
    if (stale[i] === 1) book.stale(known, timeMs)
    else book.float(known, timeMs, values[i]!, starts[i]! === 0 ? createdMs : starts[i]!)
    tally.samples++
  }
  for (const { histogram, timestampMs, startMs } of points.histograms) {
    if (!Number.isSafeInteger(timestampMs)) {
      tally.drop('invalid_timestamp', 1, `timestamp ${timestampMs} of ${formatLabels(known.labels)}`)
      continue
    }
    if (histogram === undefined) book.stale(known, timestampMs)
    else book.histogram(known, timestampMs, histogram, startMs === 0 ? createdMs : startMs)
    tally.histograms++
  }
  for (const { labels, value, timestampMs } of points.exemplars) {
    if (!Number.isSafeInteger(timestampMs)) continue
    book.exemplar(known, labels, value, timestampMs)
    tally.exemplars++
  }
}
