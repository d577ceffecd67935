/**
 * The Prometheus HTTP API, as one fastify plugin, mounted at `/` and at `/prometheus`. It reads; ingest routes are the receivers'.
 *
 * Answers are in Prometheus' envelope, errors too. Points are written from columns (`json.ts`). Differences to Prometheus are
 * listed in docs/api.md.
 */
import type { FastifyPluginAsync } from 'fastify'
import type { TenantLimits } from '../../../lib/config/index.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import type { Engine } from '../../promql/index.ts'
import type { MetricsReader } from '../../shard/metrics/index.ts'
import type { NodeClient } from '../../cluster/index.ts'
import type { QueryGate } from '../gate.ts'
import type { RulesView } from '../../rules-program.ts'
import { useErrorEnvelope } from './envelope.ts'
import { queryRoutes } from './query-routes.ts'
import { rulesRoutes } from './rules-routes.ts'
import { seriesRoutes } from './series-routes.ts'
import { statusRoutes } from './status-routes.ts'

/** A target of the scraper in this process, where there is one. */
export interface TargetView {
  readonly discoveredLabels: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly scrapePool: string
  readonly scrapeUrl: string
  readonly lastError: string
  readonly lastScrapeMs: number
  readonly lastDurationSeconds: number
  readonly health: 'unknown' | 'up' | 'down'
  readonly intervalMs: number
  readonly timeoutMs: number
}

export interface PrometheusApiDeps {
  readonly engine: Engine
  readonly readerOf: (tenant: string) => MetricsReader
  readonly limitsOf: (tenant: string) => TenantLimits
  readonly gate: QueryGate
  readonly clock: Clock
  readonly targets: () => readonly TargetView[]
  readonly droppedTargets: () => readonly Readonly<Record<string, string>>[]
  readonly scrapePools: () => readonly string[]
  readonly build: { readonly version: string; readonly revision: string; readonly startedMs: number; readonly retention: string }
  readonly configText: () => string
  readonly reload: () => { readonly success: boolean; readonly timeMs: number }
  readonly replay: () => { readonly totalRecords: number; readonly doneRecords: number }
  /** Absent where no rules run. */
  readonly rules?: RulesView
  /** Who evaluates them, where it is another node that answers. */
  readonly rulesNode?: () => NodeClient | undefined
  readonly onError: (error: unknown, where: string) => void
}

export function prometheusApi(deps: PrometheusApiDeps): FastifyPluginAsync {
  return async (app) => {
    useErrorEnvelope(app, deps.onError)
    queryRoutes(app, deps)
    seriesRoutes(app, deps)
    rulesRoutes(app, deps)
    statusRoutes(app, deps)
  }
}

export { useErrorEnvelope } from './envelope.ts'
