/** The thread of a worker shard: nothing but the start of what `worker-host.ts` does. */
import { parentPort, workerData } from 'node:worker_threads'
import { hostsOf } from './hosts.ts'
import type { ShardOptions } from './local-shard.ts'
import { hostShard } from './worker-host.ts'

const options = workerData as ShardOptions
await hostShard(parentPort!, options, await hostsOf(options))
