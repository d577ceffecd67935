/** Every signal a shard holds. The worker's thread loads all stores and languages through here; the client of Elasticsearch only where it is used. */
import type { FragmentKind } from './fragment.ts'
import type { ShardOptions, SignalHost } from './local-shard.ts'
import { logsHost } from './logs/index.ts'
import { metricsHost } from './metrics/index.ts'
import { tracesHost } from './traces/index.ts'

/** The kind of that name, whose request and answer only the caller knows. */
export function fragmentKind(name: string): FragmentKind<unknown, never, unknown> | undefined {
  const kinds = [metricsHost, logsHost, tracesHost].flatMap((host) => host.kinds)
  return kinds.find((kind) => kind.name === name) as FragmentKind<unknown, never, unknown> | undefined
}

export async function hostsOf({ elastic }: Pick<ShardOptions, 'elastic'>): Promise<SignalHost[]> {
  if (elastic === undefined) return [metricsHost, logsHost, tracesHost]
  const { elasticLogsHost } = await import('../elastic/index.ts')
  return [metricsHost, elasticLogsHost(elastic), tracesHost]
}
