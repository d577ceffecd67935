/**
 * Scraping, once a second, of targets the sender serves. Every subject scrapes the whole time, each at its own instants; a round is one window of time for all of
 * them, and the samples are those their own counters say they stored in it.
 */
import { SERIES_PER_INSTANCE } from '../load/series.ts'
import { eachNs, mebibytes, minus, type Split } from '../measure/split.ts'
import { cpuSplit, rssSplit } from '../subjects/parts.ts'
import { pause, whyNot } from '../subjects/subject.ts'
import { Figures } from './figures.ts'
import { finishAll } from './kept.ts'
import { scaled, type Row, type RowContext, type RowResult } from './row.ts'

const BODIES = 60

export const scrape: Row = { name: 'scrape', section: 'collector', run }

async function run(context: RowContext): Promise<RowResult> {
  const targets = scaled(context, 100, 40)
  const bodies = { seed: context.seed, instancesPerTarget: context.isQuick ? 5 : 20, bodies: BODIES }
  // A window for each checkpoint, so that a round pays for one.
  const windowMs = context.isQuick ? 1200 : 20_000
  const warmUpMs = context.isQuick ? 1200 : 12_000
  const address = await context.sender.serve(bodies)
  const subjects = await context.start({ scrape: { address, targets }, checkpointMs: windowMs })
  const missing: Record<string, string> = {}
  const figures = new Figures()
  let journalBytes: RowResult['journalBytes'] = {}
  const counts: Record<string, { sent: number; stored: number | undefined }> = {}
  try {
    const able = subjects.filter((subject) => {
      if (subject.places.scrape !== undefined) return true
      missing[subject.name] = whyNot(subject, 'scrape')
      return false
    })
    await pause(warmUpMs)
    const read = (): Promise<{ cpu: Split; stored: number }[]> =>
      Promise.all(able.map(async (subject) => ({ stored: (await subject.storedItems('metrics')) ?? 0, cpu: cpuSplit(subject) })))
    let before = await read()
    for (let round = 0; round < context.rounds; round++) {
      if (round > 0 && Date.now() > context.endMs) break
      await pause(windowMs)
      const after = await read()
      able.forEach(({ name }, i) => {
        const samples = after[i]!.stored - before[i]!.stored
        const cpuSeconds = minus(after[i]!.cpu, before[i]!.cpu)
        figures.add('ingest', 'samples a CPU-second', 'more', name, samples / cpuSeconds.whole)
        figures.add('ingest', 'ns CPU a sample', 'less', name, eachNs(cpuSeconds, samples))
        figures.add('ingest', 'samples a second of wall time', 'more', name, (samples * 1000) / windowMs)
      })
      before = after
    }
    able.forEach((subject, i) => {
      figures.add('after the load', 'MiB RSS', 'less', subject.name, mebibytes(rssSplit(subject)))
      counts[subject.name] = { sent: before[i]!.stored, stored: before[i]!.stored }
    })
  } finally {
    journalBytes = await finishAll(subjects, 'metrics', 'sample', counts, figures)
  }
  const series = bodies.instancesPerTarget * SERIES_PER_INSTANCE
  const parameters = { ...bodies, targets, seriesPerTarget: series, intervalMs: 1000, warmUpMs, windowMs, rounds: context.rounds }
  return { row: 'scrape', section: 'collector', parameters, figures: figures.all(), counts, journalBytes, missing }
}
