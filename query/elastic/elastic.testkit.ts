/** A log partition on a real Elasticsearch, as a worker's thread has it, for tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { elasticsearchConfig } from '../../lib/config/fleet.ts'
import { messageOf } from '../../lib/runtime/errors.ts'
import { eventually } from '../../test/harness/eventually.ts'
import type { LogsReader } from '../shard/logs/index.ts'
import { Partition } from '../shard/partition.ts'
import {
  createElasticLogsReader,
  dataStreamsOf,
  ElasticConnection,
  elasticLogsHost,
  elasticSettings,
  type ElasticSettings,
} from './index.ts'

/** `url` may be a proxy's; `section` overrides the configuration. */
export function settingsFor(url: string, section: Readonly<Record<string, unknown>> = {}): ElasticSettings {
  return elasticSettings(elasticsearchConfig.parse({ nodes: [url], replicas: 0, ...section }))
}

export const LIMITS = { seriesMax: 1000, streamsMax: 1000, futureMaxMs: 600_000, repeatWindowMs: 3_600_000, queryBytesMax: 0 }

export class ElasticSubject {
  readonly settings: ElasticSettings
  readonly connection: ElasticConnection
  readonly index: string
  readonly dir = mkdtempSync(join(tmpdir(), 'sightline-elastic-'))
  readonly troubles: string[] = []

  constructor(settings: ElasticSettings) {
    this.settings = settings
    this.connection = new ElasticConnection(settings)
    this.index = dataStreamsOf(settings).logs
  }

  open(more: { number?: number; journal?: string; limits?: typeof LIMITS } = {}): Promise<Partition> {
    const { number = 0, journal = 'j', limits = LIMITS } = more
    const host = elasticLogsHost(this.settings)
    return Partition.open({
      signal: 'logs',
      number,
      dir: join(this.dir, `${journal}-${number}`),
      journal,
      limits,
      openStore: (options, place) => host.openStore(options, place),
      onTrouble: (error) => this.troubles.push(messageOf(error)),
    })
  }

  reader(tenant = 'default'): LogsReader {
    return createElasticLogsReader(this.connection, this.index, tenant)
  }

  /** Nothing of a partition waits any longer, and all can be found. */
  async settled(partition: Partition): Promise<void> {
    await eventually(() => {
      if (partition.store.counters?.()['queue_bytes'] !== 0) throw new Error('documents wait to be indexed')
    })
    await this.refresh()
  }

  async refresh(): Promise<void> {
    await this.connection.request({ method: 'POST', path: `/${this.index}/_refresh` })
  }

  /** Documents in all backing indices of a stream. */
  async count(index = this.index): Promise<number> {
    await this.connection.request({ method: 'POST', path: `/${index}/_refresh` })
    return (await this.connection.request<{ count: number }>({ method: 'GET', path: `/${index}/_count` })).count
  }

  async rollOver(): Promise<void> {
    await this.connection.request({ method: 'POST', path: `/${this.index}/_rollover` })
  }

  async close(): Promise<void> {
    await this.connection.close()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
