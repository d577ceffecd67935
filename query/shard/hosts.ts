/** Every signal a shard holds. The worker's thread loads all stores and languages through here. */
import type { FragmentKind } from './fragment.ts'
import type { SignalHost } from './local-shard.ts'
import { logsHost } from './logs/index.ts'
import { metricsHost } from './metrics/index.ts'
import { tracesHost } from './traces/index.ts'

/** The kind of that name, whose request and answer only the caller knows. */
export function fragmentKind(name: string): FragmentKind<unknown, never, unknown> | undefined {
  return HOSTS.flatMap(({ kinds }) => kinds).find((kind) => kind.name === name) as FragmentKind<unknown, never, unknown> | undefined
}

export const HOSTS: readonly SignalHost[] = [metricsHost, logsHost, tracesHost]
