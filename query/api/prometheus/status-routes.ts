/** `targets`, `scrape_pools`, `status/*`: what this process does. `status/flags` stays unserved: Grafana would take us for Thanos. */
import type { FastifyInstance } from 'fastify'
import { paramsOf } from '../../../lib/http/index.ts'
import { formatDuration } from '../../../lib/model/index.ts'
import { sendData } from './envelope.ts'
import type { PrometheusApiDeps } from './index.ts'

export function statusRoutes(app: FastifyInstance, deps: PrometheusApiDeps): void {
  app.get('/api/v1/targets', async (request, reply) => {
    const params = paramsOf(request)
    const state = params.get('state') ?? 'any'
    const pool = params.get('scrapePool')
    const active = deps.targets().filter((target) => pool === null || target.scrapePool === pool)
    return sendData(reply, {
      activeTargets:
        state === 'dropped'
          ? []
          : active.map((target) => ({
              discoveredLabels: target.discoveredLabels,
              labels: target.labels,
              scrapePool: target.scrapePool,
              scrapeUrl: target.scrapeUrl,
              globalUrl: target.scrapeUrl,
              lastError: target.lastError,
              lastScrape: new Date(target.lastScrapeMs).toISOString(),
              lastScrapeDuration: target.lastDurationSeconds,
              health: target.health,
              scrapeInterval: formatDuration(target.intervalMs),
              scrapeTimeout: formatDuration(target.timeoutMs),
            })),
      droppedTargets: state === 'active' ? [] : deps.droppedTargets().map((discoveredLabels) => ({ discoveredLabels })),
      droppedTargetCounts: {},
    })
  })

  app.get('/api/v1/scrape_pools', async (_request, reply) => sendData(reply, { scrapePools: deps.scrapePools() }))

  app.get('/api/v1/status/buildinfo', async (_request, reply) =>
    sendData(reply, {
      version: deps.build.version,
      revision: deps.build.revision,
      branch: '',
      buildUser: '',
      buildDate: '',
      goVersion: process.version,
    }),
  )

  app.get('/api/v1/status/config', { config: { permission: 'admin' } }, async (_request, reply) =>
    sendData(reply, { yaml: deps.configText() }),
  )

  app.get('/api/v1/status/runtimeinfo', async (_request, reply) =>
    sendData(reply, {
      startTime: new Date(deps.build.startedMs).toISOString(),
      CWD: '',
      reloadConfigSuccess: deps.reload().success,
      lastConfigTime: new Date(deps.reload().timeMs).toISOString(),
      corruptionCount: 0,
      goroutineCount: 0,
      GOMAXPROCS: 0,
      storageRetention: deps.build.retention,
    }),
  )

  app.get('/api/v1/status/walreplay', async (_request, reply) => {
    const { totalRecords, doneRecords } = deps.replay()
    return sendData(reply, { min: 0, max: totalRecords, current: doneRecords })
  })
}
