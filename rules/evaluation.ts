/** What rules need of the world, and what one evaluation gives. */
import type { FloatHistogram, Labels } from '../lib/model/index.ts'

/** One series of a vector; a scalar is one without labels. */
export interface RuleSample {
  readonly labels: Labels
  readonly value: number
  readonly histogram?: FloatHistogram
}

/** An instant query. Errors: SightlineError with the engine's text. */
export type RuleQuery = (expression: string, timeMs: number, signal?: AbortSignal) => Promise<readonly RuleSample[]>

/** Samples of one rule at one instant, made durable together; `stale` are series that end there. */
export type AppendSamples = (samples: readonly RuleSample[], stale: readonly Labels[], timestampMs: number) => Promise<void>

/** An alert as it is handed to an Alertmanager. Times are Unix milliseconds. */
export interface Notice {
  readonly labels: Labels
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAtMs: number
  /** When it was resolved, or until when it counts as firing without being heard of again. */
  readonly endsAtMs: number
  readonly isResolved: boolean
  readonly generatorUrl: string
}

/** Resolves once the notices can't be lost. */
export type SendNotices = (notices: readonly Notice[]) => Promise<void>

/** What the rules of a group share. */
export interface EvaluationContext {
  readonly query: RuleQuery
  readonly externalLabels: Labels
  readonly externalUrl: string
}
