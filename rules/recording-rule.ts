/** One recording rule. Source: Prometheus `rules/recording.go`; no known difference. */
import { labelsKey, labelsOf, labelsToObject, METRIC_NAME } from '../lib/model/index.ts'
import { SightlineError } from '../lib/runtime/errors.ts'
import type { EvaluationContext, RuleSample } from './evaluation.ts'
import type { RuleSpec } from './rule-file.ts'

export class RecordingRule {
  readonly spec: RuleSpec

  constructor(spec: RuleSpec) {
    this.spec = spec
  }

  /** Errors: those of the query; bad_data for two samples of one label set, or more than `limit`. */
  async evaluate(context: EvaluationContext, timeMs: number, queryOffsetMs: number, limit: number): Promise<RuleSample[]> {
    const own = Object.fromEntries([...this.spec.labels].map(([name, { text }]) => [name, text]))
    const seen = new Set<string>()
    const vector = await context.query(this.spec.query, timeMs - queryOffsetMs)
    const samples = vector.map((sample) => {
      const labels = labelsOf({ ...labelsToObject(sample.labels), [METRIC_NAME]: this.spec.name, ...own })
      seen.add(labelsKey(labels))
      return { ...sample, labels }
    })
    if (seen.size < samples.length) {
      throw new SightlineError('bad_data', 'vector contains metrics with the same labelset after applying rule labels')
    }
    if (limit > 0 && samples.length > limit) {
      throw new SightlineError('bad_data', `exceeded limit of ${limit} with ${samples.length} series`)
    }
    return samples
  }
}
