/** `status/buildinfo`, `drilldown-limits`: what this server is and allows. */
import type { FastifyInstance } from 'fastify'
import { formatDuration } from '../../../lib/model/index.ts'
import { sendJson, type LokiApiDeps } from './deps.ts'

export function statusRoutes(app: FastifyInstance, deps: LokiApiDeps): void {
  app.get('/status/buildinfo', async (_request, reply) =>
    sendJson(reply, {
      version: deps.build.version,
      revision: deps.build.revision,
      branch: '',
      buildUser: '',
      buildDate: '',
      goVersion: process.version,
    }),
  )

  app.get('/drilldown-limits', async (request, reply) => {
    const limits = deps.limitsOf(request.tenant)
    return sendJson(reply, {
      limits: {
        discover_log_levels: true,
        discover_service_name: ['service', 'app', 'application', 'name', 'container', 'workload', 'job'],
        log_level_fields: ['level', 'severity', 'lvl'],
        max_entries_limit_per_query: limits.log_entries_max,
        max_line_size_truncate: false,
        max_query_bytes_read: `${limits.query_bytes_max}B`,
        max_query_length: formatDuration(limits.query_range_max),
        max_query_lookback: '0s',
        max_query_range: formatDuration(limits.query_range_max),
        max_query_series: limits.log_series_max,
        metric_aggregation_enabled: false,
        otlp_config: {},
        pattern_persistence_enabled: false,
        query_timeout: formatDuration(limits.query_timeout),
        retention_period: formatDuration(deps.retentionMs()),
        volume_enabled: true,
        volume_max_series: limits.log_series_max,
      },
      pattern_ingester_enabled: true,
      version: deps.build.version,
    })
  })
}
