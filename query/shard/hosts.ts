/** Every signal a shard holds. The worker's thread loads all stores and languages through here. */
import type { SignalHost } from './local-shard.ts'
import { logsHost } from './logs/index.ts'
import { metricsHost } from './metrics/index.ts'
import { tracesHost } from './traces/index.ts'

export const HOSTS: readonly SignalHost[] = [metricsHost, logsHost, tracesHost]
