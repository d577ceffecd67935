/** How many items of a load a subject has, asked through its own query API, or told by its counters. */
import { textOf, type Signal, type Subject } from '../subjects/subject.ts'

/**
 * @param query   PromQL or LogQL with one number as its answer; none: the counter's difference to `before`
 * @param endMs   the last time of the load
 * @returns undefined where the subject can't tell
 */
export async function countedIn(
  subject: Subject,
  signal: Signal,
  query: string | undefined,
  endMs: number,
  before: number | undefined,
): Promise<number | undefined> {
  const base = subject.places[signal === 'logs' ? 'logql' : 'promql']
  if (query === undefined || base === undefined) {
    const now = await subject.storedItems(signal)
    return now === undefined || before === undefined ? undefined : now - before
  }
  const path = signal === 'logs' ? '/loki/api/v1/query' : '/api/v1/query'
  const text = await textOf(`${base}${path}?time=${Math.ceil(endMs / 1000) + 1}&query=${encodeURIComponent(query)}`)
  const answer = JSON.parse(text) as { data: { result: { value: [number, string] }[] } }
  return Number(answer.data.result[0]?.value[1] ?? 0)
}
