/** What many new series add to the resident memory: two samples each over remote write, after a small load that warmed the program up. */
import { countQuery, SERIES_PER_INSTANCE } from '../load/series.ts'
import type { MetricsSpec } from '../load/metrics-load.ts'
import { mapSplit, mebibytes, minus } from '../measure/split.ts'
import { rssSplit } from '../subjects/parts.ts'
import { whyNot } from '../subjects/subject.ts'
import { countedIn } from './counted.ts'
import { Figures } from './figures.ts'
import { scaled, type Row, type RowContext, type RowResult } from './row.ts'

const WARM_UP_INSTANCES = 10

export const seriesMemory: Row = { name: 'series-memory', section: 'metrics', run }

async function run(context: RowContext): Promise<RowResult> {
  const instances = scaled(context, 1000, 50)
  const endMs = Date.now()
  const specOf = (count: number, seed: number, lastMs: number): MetricsSpec => ({
    kind: 'remote-write',
    seed,
    instances: count,
    timesPerSlice: 2,
    stepMs: 15_000,
    endMs: lastMs,
    samplesPerRequest: 2000,
    lanes: 4,
  })
  const subjects = await context.start({})
  const missing: Record<string, string> = {}
  const figures = new Figures()
  const counts: Record<string, { sent: number; stored: number | undefined }> = {}
  try {
    const able = subjects.filter((subject) => {
      if (subject.places['remote-write'] !== undefined) return true
      missing[subject.name] = whyNot(subject, 'remote-write')
      return false
    })
    const sendTo = async (): Promise<void> => {
      for (const subject of able) {
        const { refused, firstRefusal } = await context.sender.send(0, subject.places['remote-write']!)
        if (refused > 0) throw new Error(`${subject.name} refused samples: ${firstRefusal}`)
        await subject.settle()
      }
    }
    await context.sender.prepare(specOf(WARM_UP_INSTANCES, context.seed, endMs - 60_000), 1)
    await sendTo()
    const before = able.map(rssSplit)
    await context.sender.prepare(specOf(instances, context.seed + 1, endMs), 1)
    await sendTo()
    const newSeries = (instances - WARM_UP_INSTANCES) * SERIES_PER_INSTANCE
    const sent = (instances + WARM_UP_INSTANCES) * 2 * SERIES_PER_INSTANCE
    for (const [i, subject] of able.entries()) {
      const rss = rssSplit(subject)
      figures.add(
        'new series',
        'B RSS a series',
        'less',
        subject.name,
        mapSplit(minus(rss, before[i]!), (bytes) => bytes / newSeries),
      )
      figures.add('with all series', 'MiB RSS', 'less', subject.name, mebibytes(rss))
      counts[subject.name] = {
        sent,
        stored: await countedIn(subject, 'metrics', countQuery('remote-write', '1h'), endMs, undefined),
      }
    }
  } finally {
    for (const subject of subjects) await subject.finish('metrics')
  }
  const parameters = { series: instances * SERIES_PER_INSTANCE, samplesPerSeries: 2, warmUpSeries: WARM_UP_INSTANCES * SERIES_PER_INSTANCE }
  return { row: 'series-memory', section: 'metrics', parameters, figures: figures.all(), counts, journalBytes: {}, missing }
}
