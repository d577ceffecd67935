/** The whole configuration file. Every section has defaults: an empty file, or none, starts the whole system. */
import { z } from 'zod'
import { clusterConfig, elasticsearchConfig, kafkaConfig, shipConfig } from './fleet.ts'
import { httpClientConfig, httpClientShape } from './http-client.ts'
import { globalConfig, relabelConfig, scrapeConfig } from './scrape.ts'
import { durationMs, labelSet, listenAddress, secret, sizeBytes } from './values.ts'

const alertmanagersConfig = z.strictObject({
  scheme: z.enum(['http', 'https']).default('http'),
  path_prefix: z.string().default('/'),
  timeout: durationMs.default(10_000),
  api_version: z.enum(['v2']).default('v2'),
  static_configs: z.array(z.strictObject({ targets: z.array(z.string()), labels: labelSet.default({}) })).default([]),
  relabel_configs: z.array(relabelConfig).default([]),
  alert_relabel_configs: z.array(relabelConfig).default([]),
  ...httpClientShape,
})

const remoteWriteConfig = httpClientConfig.extend({
  url: z.url(),
  name: z.string().optional(),
  remote_timeout: durationMs.default(30_000),
  headers: z.record(z.string(), z.string()).default({}),
  protobuf_message: z.enum(['prometheus.WriteRequest', 'io.prometheus.write.v2.Request']).default('prometheus.WriteRequest'),
  write_relabel_configs: z.array(relabelConfig).default([]),
  send_exemplars: z.boolean().default(false),
  send_native_histograms: z.boolean().default(false),
  round_robin_dns: z.boolean().optional(),
  queue_config: z.record(z.string(), z.unknown()).optional(),
  metadata_config: z.record(z.string(), z.unknown()).optional(),
})

const tailConfig = z.strictObject({
  /** Names the source in metrics and positions. */
  name: z.string().min(1).default('containers'),
  /** Globs; `*` stays within a folder, `**` crosses folders. */
  include: z.array(z.string()).min(1),
  exclude: z.array(z.string()).default([]),
  format: z.enum(['auto', 'cri', 'docker', 'raw']).default('auto'),
  labels: labelSet.default({}),
  tenant: z.string().default('default'),
  poll_interval: durationMs.default(250),
  /** A joined line longer than this is cut, counted. */
  line_size_max: sizeBytes
    .pipe(
      z
        .number()
        .min(1024)
        .max(512 * 1024),
    )
    .default(256 * 1024),
  /** Files of one source read at once; more wait their turn. */
  files_max: z.number().int().positive().default(10_000),
})

const serverConfig = z.strictObject({
  listen: listenAddress.default({ host: '127.0.0.1', port: 9428 }),
  otlp_grpc: listenAddress.default({ host: '127.0.0.1', port: 4317 }),
  otlp_http: listenAddress.default({ host: '127.0.0.1', port: 4318 }),
  /** Prometheus' web configuration file: TLS, client certificates, basic users. */
  web_config_file: z.string().optional(),
  tokens: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        token: secret.optional(),
        token_file: z.string().optional(),
        /** The tenants it may name; `*` for all. */
        tenants: z.array(z.string()).min(1).default(['default']),
        permissions: z.array(z.enum(['read', 'write', 'admin'])).min(1),
      }),
    )
    .default([]),
  /** What the basic users of the web configuration file may do; one that isn't named may do everything for tenant `default`. */
  users: z
    .record(
      z.string(),
      z.strictObject({
        tenants: z.array(z.string()).min(1).default(['default']),
        permissions: z.array(z.enum(['read', 'write', 'admin'])).min(1),
      }),
    )
    .default({}),
  body_size_max: sizeBytes.default(32 * 1024 * 1024),
  requests_max: z.number().int().positive().default(256),
})

const tenantLimits = z.strictObject({
  series_max: z.number().int().nonnegative().default(10_000_000),
  streams_max: z.number().int().nonnegative().default(1_000_000),
  ingest_bytes_per_second: sizeBytes.default(0),
  query_range_max: durationMs.default(0),
  query_samples_max: z.number().int().positive().default(50_000_000),
  query_bytes_max: sizeBytes.default(1024 * 1024 * 1024),
  query_concurrency_max: z.number().int().positive().default(20),
  query_timeout: durationMs.default(120_000),
  /** Lines of one answer. */
  log_entries_max: z.number().int().positive().default(5_000),
  /** Series of one LogQL metric query. */
  log_series_max: z.number().int().positive().default(500),
  /** Values a LogQL metric query keeps in a worker or at the front, 8 bytes each. */
  log_cells_max: z.number().int().positive().default(20_000_000),
  /** Steps of a range query, of LogQL. */
  log_steps_max: z.number().int().positive().default(11_000),
  /** Live tails at once. */
  log_tails_max: z.number().int().nonnegative().default(10),
})

/** Defaults of a section that may be left out as a whole. */
function section<T extends z.ZodType>(schema: T): z.ZodDefault<T> {
  return schema.prefault({} as never) as unknown as z.ZodDefault<T>
}

export const configSchema = z.strictObject({
  /** Added as label `cluster` to every record of all three signals. */
  cluster: z.string().optional(),
  /** This process among others: the producer of its records, its member in Kafka's group, its name in answers. Default: the host's name. */
  node: z
    .string()
    .regex(/^[\w.-]{1,100}$/)
    .optional(),
  global: section(globalConfig),
  scrape_configs: z.array(scrapeConfig).default([]),
  rule_files: z.array(z.string()).default([]),
  alerting: section(
    z.strictObject({ alert_relabel_configs: z.array(relabelConfig).default([]), alertmanagers: z.array(alertmanagersConfig).default([]) }),
  ),
  remote_write: z.array(remoteWriteConfig).default([]),
  /** Where a collector's journal goes. */
  ship: z.array(shipConfig).default([]),
  kafka: kafkaConfig.optional(),
  /** The query nodes that answer together. */
  query_cluster: section(clusterConfig),
  elasticsearch: elasticsearchConfig.optional(),
  /** Our Alertmanager: its configuration in place, or the name of a file with it. */
  alertmanager: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  tail: z.array(tailConfig).default([]),
  server: section(serverConfig),
  self: section(
    z.strictObject({
      scrape: z.boolean().default(true),
      scrape_interval: durationMs.default(15_000),
      traces: z.boolean().default(true),
    }),
  ),
  journal: section(
    z.strictObject({
      /** `kafka`: the topics of the section `kafka` are the journal of the role query. A collector's is always on its own disk. */
      type: z.enum(['file', 'kafka']).default('file'),
      partitions: z.number().int().min(1).max(1024).default(16),
      segment_size: sizeBytes.default(64 * 1024 * 1024),
      size_max: sizeBytes.default(8 * 1024 * 1024 * 1024),
      queue_size_max: sizeBytes.default(64 * 1024 * 1024),
      on_full: z.enum(['push_back', 'drop_oldest']).default('push_back'),
    }),
  ),
  shards: section(
    z.strictObject({
      /** 0 = cores − 1, at least 1. */
      workers: z.number().int().nonnegative().default(0),
      queue_size_max: sizeBytes.default(64 * 1024 * 1024),
      checkpoint_interval: durationMs.default(60_000),
      checkpoint_size: sizeBytes.default(64 * 1024 * 1024),
    }),
  ),
  retention: section(
    z.strictObject({
      metrics: durationMs.default(15 * 86_400_000),
      logs: durationMs.default(7 * 86_400_000),
      traces: durationMs.default(7 * 86_400_000),
      /** Share of the volume that may be used before the oldest blocks go. */
      volume_percent_max: z.number().min(1).max(100).default(80),
    }),
  ),
  limits: section(tenantLimits),
  tenant_limits: z.record(z.string(), tenantLimits.partial()).default({}),
  logs: section(
    z.strictObject({
      store: z.enum(['embedded', 'elasticsearch']).default('embedded'),
      repeat_window: durationMs.default(3_600_000),
      future_max: durationMs.default(600_000),
    }),
  ),
  rules: section(
    z.strictObject({
      /** How long an evaluation waits for data that is still on its way to the stores. */
      lag_max: durationMs.default(60_000),
    }),
  ),
})

export type Config = z.output<typeof configSchema>
export type TailConfig = z.output<typeof tailConfig>
export type RemoteWriteConfig = z.output<typeof remoteWriteConfig>
export type AlertmanagersConfig = z.output<typeof alertmanagersConfig>
export type ServerConfig = z.output<typeof serverConfig>
export type TenantLimits = z.output<typeof tenantLimits>

/** What a prometheus.yml may hold that has no meaning here: named in a warning, not refused. */
export const FOREIGN_SECTIONS: Readonly<Record<string, string>> = {
  storage: 'retention is under `retention`, out-of-order samples are always taken',
  tracing: 'our own traces are under `self.traces`',
  remote_read: 'reading from other servers is not built',
  runtime: 'it tunes the Go runtime',
  otlp: 'OTLP is translated with the default settings',
  scrape_config_files: 'name the scrape configurations in `scrape_configs`',
}
