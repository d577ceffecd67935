/** The subjects start while the sender makes its load: two processors, one wait. */
import type { LoadSpec } from '../load/messages.ts'
import type { Subject } from '../subjects/subject.ts'
import type { RowContext } from './row.ts'

/** Errors: that of either side; nothing is left running then. */
export async function startPrepared(
  context: RowContext,
  spec: LoadSpec,
  slices: number,
  options: Parameters<RowContext['start']>[0],
): Promise<{ readonly subjects: Subject[]; readonly sentBytes: number }> {
  const [prepared, started] = await Promise.allSettled([context.sender.prepare(spec, slices), context.start(options)])
  if (started.status === 'rejected') throw started.reason
  if (prepared.status === 'fulfilled') return { subjects: started.value, sentBytes: prepared.value }
  for (const subject of started.value) await subject.finish('metrics')
  throw prepared.reason
}
