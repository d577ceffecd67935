/** The end of a row: every subject is taken down, and what it keeps is looked at. */
import type { Signal, Subject } from '../subjects/subject.ts'
import type { Figures } from './figures.ts'
import type { RowResult } from './row.ts'

/** Adds the figure on disk for each subject that has a count; returns the bytes of the journals. */
export async function finishAll(
  subjects: readonly Subject[],
  signal: Signal,
  item: string,
  counts: RowResult['counts'],
  figures: Figures,
): Promise<RowResult['journalBytes']> {
  const journals: Record<string, Readonly<Record<string, number>>> = {}
  for (const subject of subjects) {
    const kept = await subject.finish(signal)
    const count = counts[subject.name]
    if (kept === undefined || count === undefined) continue
    figures.add('on disk', `B a ${item}`, 'less', subject.name, kept.storeBytes / count.sent)
    journals[subject.name] = kept.journalBytes
  }
  return journals
}
