/** The configuration as this process uses it: the file, with the flags of the command line over it. */
import { hostname } from 'node:os'
import { listenAddress, loadConfig, type ListenAddress, type LoadedConfig } from '../lib/config/index.ts'
import { SightlineError } from '../lib/runtime/errors.ts'
import type { StartArgs } from './args.ts'

/** Errors: bad_data with every problem. */
export function loadWithFlags(args: StartArgs): LoadedConfig {
  const loaded = loadConfig(args.configPath)
  const { config } = loaded
  if (args.command === 'all' && config.journal.type === 'kafka') {
    throw new SightlineError(
      'bad_data',
      'cannot use journal.type kafka in the role all: its journal is on local disk; run collector and query',
    )
  }
  const listen = (flag: string | undefined, configured: ListenAddress): ListenAddress =>
    flag === undefined ? configured : parseListen(flag)
  const server = {
    ...config.server,
    listen: listen(args.listen, config.server.listen),
    otlp_grpc: listen(args.otlpGrpc, config.server.otlp_grpc),
    otlp_http: listen(args.otlpHttp, config.server.otlp_http),
  }
  return { ...loaded, config: { ...config, server, node: config.node ?? hostname() } }
}

function parseListen(text: string): ListenAddress {
  const parsed = listenAddress.safeParse(text)
  if (!parsed.success) throw new SightlineError('bad_data', `cannot use address: ${parsed.error.issues[0]?.message}`)
  return parsed.data
}
