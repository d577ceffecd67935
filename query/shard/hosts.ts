/** Every signal a shard holds. The worker's thread loads all stores and languages through here; the client of Elasticsearch only where it is used. */
import type { ShardOptions, SignalHost } from './local-shard.ts'
import { logsHost } from './logs/index.ts'
import { metricsHost } from './metrics/index.ts'
import { tracesHost } from './traces/index.ts'

export async function hostsOf({ elastic }: Pick<ShardOptions, 'elastic'>): Promise<SignalHost[]> {
  if (elastic === undefined) return [metricsHost, logsHost, tracesHost]
  const { elasticLogsHost } = await import('../elastic/index.ts')
  return [metricsHost, elasticLogsHost(elastic), tracesHost]
}
