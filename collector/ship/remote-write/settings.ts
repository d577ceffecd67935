/** What a `remote_write` entry says, checked: names, the queue's numbers, and what isn't built is refused by name. */
import { createHash } from 'node:crypto'
import { durationMs, type RemoteWriteConfig } from '../../../lib/config/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'

export interface ShipSettings {
  /** In metrics and file names. */
  readonly name: string
  readonly samplesMax: number
  /** How long a request that isn't full waits for more. */
  readonly waitMs: number
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
  readonly sendMetadata: boolean
}

const SAMPLES_MAX = 10_000
const WAIT_MAX_MS = 1000

/** Errors: bad_data. */
export function settingsOf(configs: readonly RemoteWriteConfig[]): ShipSettings[] {
  const all = configs.map(settingsOfOne)
  for (const [i, { name }] of all.entries()) {
    if (all.findIndex((other) => other.name === name) === i) continue
    throw new SightlineError('bad_data', `cannot use remote_write[${i}]: ${name} is there twice; give each entry a name of its own`)
  }
  return all
}

function settingsOfOne(config: RemoteWriteConfig, index: number): ShipSettings {
  const at = `remote_write[${index}]`
  if (config.protobuf_message !== 'prometheus.WriteRequest') {
    throw new SightlineError('bad_data', `cannot use ${at}: sending protobuf_message ${config.protobuf_message} is not built`)
  }
  if (config.round_robin_dns === true) throw new SightlineError('bad_data', `cannot use ${at}: round_robin_dns is not built`)
  const queue = config.queue_config ?? {}
  const samplesMax = queue['max_samples_per_send'] ?? 2000
  if (typeof samplesMax !== 'number' || !Number.isInteger(samplesMax) || samplesMax < 1) {
    throw new SightlineError('bad_data', `cannot use ${at}: queue_config.max_samples_per_send is no positive number`)
  }
  const backoffMinMs = duration(queue['min_backoff'] ?? '30ms', `${at}: queue_config.min_backoff`)
  const backoffMaxMs = duration(queue['max_backoff'] ?? '5s', `${at}: queue_config.max_backoff`)
  if (backoffMinMs < 1 || backoffMaxMs < backoffMinMs) {
    throw new SightlineError('bad_data', `cannot use ${at}: queue_config.max_backoff is below min_backoff, or that is 0`)
  }
  return {
    name: nameOf(config),
    samplesMax: Math.min(samplesMax, SAMPLES_MAX),
    waitMs: Math.min(duration(queue['batch_send_deadline'] ?? '5s', `${at}: queue_config.batch_send_deadline`), WAIT_MAX_MS),
    backoffMinMs,
    backoffMaxMs,
    sendMetadata: config.metadata_config?.['send'] !== false,
  }
}

/** The configured name where it can name a file, else a hash of it, or of the address. */
function nameOf({ name, url }: RemoteWriteConfig): string {
  if (name !== undefined && /^[\w-]{1,64}$/.test(name)) return name
  return createHash('sha256')
    .update(name ?? url)
    .digest('hex')
    .slice(0, 12)
}

function duration(value: unknown, at: string): number {
  const parsed = durationMs.safeParse(value)
  if (!parsed.success) throw new SightlineError('bad_data', `cannot use ${at}: ${parsed.error.issues[0]?.message}`)
  return parsed.data
}
