/** The section `elasticsearch` as plain data, so that it can go to a worker's thread: a `Secret` would not survive the way. Never logged. */
import type { AgentOptions } from 'node:https'
import { tlsOptions, type ElasticsearchConfig } from '../../lib/config/index.ts'

export interface ElasticSettings {
  readonly nodes: readonly string[]
  readonly username: string | undefined
  readonly password: string | undefined
  /** Read again for each request, so that rotation needs no restart. */
  readonly passwordFile: string | undefined
  readonly apiKey: string | undefined
  readonly apiKeyFile: string | undefined
  readonly tls: AgentOptions
  readonly indexPrefix: string
  readonly shards: number
  readonly replicas: number
  readonly rolloverAgeMs: number
  /** 0 = no limit, here and below. */
  readonly rolloverBytes: number
  readonly bulkBytesMax: number
  readonly bulkConcurrency: number
  /** Of one worker's thread. */
  readonly queueBytesMax: number
  readonly requestTimeoutMs: number
}

/** Reads the files of `tls_config`. */
export function elasticSettings(config: ElasticsearchConfig): ElasticSettings {
  return {
    nodes: config.nodes,
    username: config.username,
    password: config.password?.reveal(),
    passwordFile: config.password_file,
    apiKey: config.api_key?.reveal(),
    apiKeyFile: config.api_key_file,
    tls: tlsOptions(config.tls_config),
    indexPrefix: config.index_prefix,
    shards: config.shards,
    replicas: config.replicas,
    rolloverAgeMs: config.rollover_age,
    rolloverBytes: config.rollover_size,
    bulkBytesMax: config.bulk_size_max,
    bulkConcurrency: config.bulk_concurrency,
    queueBytesMax: config.queue_size_max,
    requestTimeoutMs: config.request_timeout,
  }
}
