import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Entry } from './stages/index.ts'
import { quote } from './strings.ts'

/** A metric query met a line that a stage failed on. Loki's text. */
export function pipelineError(entry: Entry): SightlineError {
  const labels = entry.labels()
  const pairs: string[] = []
  for (let i = 0; i < labels.length; i += 2) pairs.push(`${labels[i]}=${quote(labels[i + 1]!)}`)
  return new SightlineError(
    'bad_data',
    `pipeline error: '${entry.error}' for series: '{${pairs.join(', ')}}'.\n` +
      `Use a label filter to intentionally skip this error. (e.g | __error__!="${entry.error}").\n` +
      'To skip all potential errors you can match empty errors.(e.g __error__="")\n' +
      'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n',
  )
}
