/** The command line: `sightline [all|collector|query] [flags]`, `sightline check FILE`. */
import { parseArgs } from 'node:util'
import { parseDuration } from '../lib/model/index.ts'
import { SightlineError } from '../lib/runtime/errors.ts'

/** What a process does: everything, gather and ship, or store and answer. */
export type Role = 'all' | 'collector' | 'query'

export interface StartArgs {
  readonly command: Role
  readonly configPath: string | undefined
  readonly dataDir: string
  readonly listen: string | undefined
  readonly otlpGrpc: string | undefined
  readonly otlpHttp: string | undefined
  readonly logLevel: string
  readonly shutdownTimeoutMs: number
}

export type Args =
  | StartArgs
  | { readonly command: 'check'; readonly path: string }
  | { readonly command: 'help' }
  | { readonly command: 'version' }

export const HELP = `sightline: metrics, logs and traces in one process or many, with the APIs Grafana speaks

Usage
  sightline [all] [flags]     start everything on local disk
  sightline collector [flags] scrape, tail and receive; ship to where the configuration says
  sightline query [flags]     store what collectors ship; evaluate rules; answer
  sightline check FILE        print the problems of a configuration file, and the values in force

Flags                          Variable                    Default
  --config FILE                SIGHTLINE_CONFIG            none: the defaults
  --data DIR                   SIGHTLINE_DATA_DIR          ./data
  --listen HOST:PORT           SIGHTLINE_LISTEN            127.0.0.1:9428 (port 0 picks a free one)
  --otlp-grpc HOST:PORT        SIGHTLINE_OTLP_GRPC         127.0.0.1:4317
  --otlp-http HOST:PORT        SIGHTLINE_OTLP_HTTP         127.0.0.1:4318
  --log-level LEVEL            SIGHTLINE_LOG_LEVEL         info (error, warn, info, debug)
  --shutdown-timeout DURATION  SIGHTLINE_SHUTDOWN_TIMEOUT  25s
  --version, --help
`

/** Errors: bad_data for anything that isn't known. */
export function parseCommandLine(argv: readonly string[], env: NodeJS.ProcessEnv): Args {
  const { values, positionals } = parse(argv)
  if (values.help === true) return { command: 'help' }
  if (values.version === true) return { command: 'version' }
  const [command = 'all', ...rest] = positionals
  if (command === 'check') {
    if (rest.length !== 1) throw new SightlineError('bad_data', 'cannot check: name one file')
    return { command, path: rest[0]! }
  }
  if ((command !== 'all' && command !== 'collector' && command !== 'query') || rest.length > 0)
    throw new SightlineError('bad_data', `cannot run "${positionals.join(' ')}": the commands are all, collector, query and check`)
  const shutdown = values['shutdown-timeout'] ?? env['SIGHTLINE_SHUTDOWN_TIMEOUT'] ?? '25s'
  const shutdownTimeoutMs = parseDuration(shutdown)
  if (shutdownTimeoutMs === undefined) throw new SightlineError('bad_data', `cannot use --shutdown-timeout "${shutdown}": not a duration`)
  return {
    command,
    configPath: values.config ?? env['SIGHTLINE_CONFIG'],
    dataDir: values.data ?? env['SIGHTLINE_DATA_DIR'] ?? './data',
    listen: values.listen ?? env['SIGHTLINE_LISTEN'],
    otlpGrpc: values['otlp-grpc'] ?? env['SIGHTLINE_OTLP_GRPC'],
    otlpHttp: values['otlp-http'] ?? env['SIGHTLINE_OTLP_HTTP'],
    logLevel: values['log-level'] ?? env['SIGHTLINE_LOG_LEVEL'] ?? 'info',
    shutdownTimeoutMs,
  }
}

function parse(argv: readonly string[]): ReturnType<typeof parseArgs<typeof OPTIONS>> {
  try {
    return parseArgs({ ...OPTIONS, args: [...argv] })
  } catch (error) {
    throw new SightlineError('bad_data', `cannot read the command line: ${(error as Error).message}`)
  }
}

const OPTIONS = {
  allowPositionals: true,
  options: {
    config: { type: 'string' },
    data: { type: 'string' },
    listen: { type: 'string' },
    'otlp-grpc': { type: 'string' },
    'otlp-http': { type: 'string' },
    'log-level': { type: 'string' },
    'shutdown-timeout': { type: 'string' },
    version: { type: 'boolean' },
    help: { type: 'boolean' },
  },
} as const
