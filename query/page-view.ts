/** What the page shows, gathered from the parts that know it. Rates are over the last minute or so: the difference to what was counted then. */
import { formatLabels, labelValue } from '../lib/model/index.ts'
import type { Journal, Signal } from '../lib/journal/index.ts'
import type { Clock } from '../lib/runtime/clock.ts'
import { AlertingRule } from '../rules/index.ts'
import type { PageView } from './api/page/index.ts'
import type { TargetView } from './api/prometheus/index.ts'
import type { QueryProgram } from './program.ts'

export interface PageSources {
  readonly query: QueryProgram
  readonly journal: Journal
  readonly clock: Clock
  readonly build: { readonly version: string; readonly startedMs: number }
  readonly waiting: () => string
  readonly targets: () => readonly TargetView[]
  readonly tails: () => PageView['tails']
  readonly addresses: () => PageView['addresses']
}

const SIGNALS: readonly Signal[] = ['metrics', 'logs', 'traces']
const SAMPLE_MS = 10_000
/** As many samples as a minute holds. */
const SAMPLES = 6

export function createPageView({ query, journal, clock, build, waiting, targets, tails, addresses }: PageSources): {
  view: () => PageView
  stop: () => void
} {
  const history: Record<string, number>[] = []
  const sample = (): Record<string, number> => Object.fromEntries(SIGNALS.map((signal) => [signal, query.ingest.counts.of(signal).items]))
  const timer = setInterval(() => {
    history.push(sample())
    if (history.length > SAMPLES) history.shift()
  }, SAMPLE_MS)
  timer.unref()
  const perMinute = (signal: Signal, items: number): number => {
    const before = history[0]?.[signal]
    return before === undefined ? items : Math.round(((items - before) * 60_000) / (history.length * SAMPLE_MS))
  }
  const view = (): PageView => ({
    version: build.version,
    startedMs: build.startedMs,
    nowMs: clock.now(),
    waiting: waiting(),
    signals: SIGNALS.map((signal) => {
      const { items, bytes, refused } = query.ingest.counts.of(signal)
      const refusedItems = Object.values(refused).reduce((sum, count) => sum + count, 0)
      return { name: signal, items, bytes, itemsPerMinute: perMinute(signal, items), refused: refusedItems }
    }),
    journal: journal.stats(),
    targets: targets(),
    tails: tails(),
    alerts: query.rules.view.groups().flatMap((group) =>
      group.rules.flatMap(({ rule }) =>
        rule instanceof AlertingRule
          ? [...rule.active.values()]
              .filter((alert) => alert.state !== 'inactive')
              .map((alert) => ({
                name: labelValue(alert.labels, 'alertname'),
                state: alert.state,
                labels: formatLabels(alert.labels),
                sinceMs: alert.activeAtMs,
              }))
          : [],
      ),
    ),
    addresses: addresses(),
  })
  return { view, stop: () => clearInterval(timer) }
}
