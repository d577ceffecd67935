/** The sections of a fleet: how processes reach each other, Kafka, and Elasticsearch. */
import { z } from 'zod'
import { httpClientConfig, httpClientShape, tlsConfig } from './http-client.ts'
import { durationMs, secret, sizeBytes } from './values.ts'

const kafkaSasl = z.strictObject({
  mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
  username: z.string(),
  password: secret.optional(),
  password_file: z.string().optional(),
})

export const kafkaConfig = z.strictObject({
  /** `host:port`, any of the cluster's. */
  brokers: z.array(z.string().regex(/^.+:\d+$/, 'not a broker address (like kafka:9092)')).min(1),
  /** Topics are `<prefix>.metrics`, `.logs`, `.traces`, `.control`, `.checkpoints`, and for others' records `<prefix>.in.<signal>`. */
  topic_prefix: z
    .string()
    .regex(/^[\w.-]{1,100}$/)
    .default('sightline'),
  /** Missing topics are made; those that exist are checked either way. */
  create_topics: z.boolean().default(true),
  /** Of topics that are made; −1 = the broker's default. */
  replication_factor: z.number().int().min(-1).default(-1),
  /** Of topics that are made: how long records stay. */
  retention: durationMs.default(7 * 86_400_000),
  /** Whether records of others are read from `<prefix>.in.<signal>`. */
  input_topics: z.boolean().default(true),
  group_id: z.string().min(1).default('sightline'),
  session_timeout: durationMs.default(30_000),
  rebalance_timeout: durationMs.default(60_000),
  heartbeat_interval: durationMs.default(3_000),
  /** For one request; a produce that took longer is tried again until `delivery_timeout`. */
  request_timeout: durationMs.default(30_000),
  delivery_timeout: durationMs.default(120_000),
  fetch_size_max: sizeBytes.default(8 * 1024 * 1024),
  /** Payload bytes that wait for the broker; more is pushed back. */
  queue_size_max: sizeBytes.default(64 * 1024 * 1024),
  tls_config: tlsConfig.optional(),
  sasl: kafkaSasl.optional(),
})

const shipShape = {
  /** In metrics and in the file that says how far it is. */
  name: z.string().regex(/^[\w-]{1,64}$/, 'not a name (letters, digits, _ and -)'),
  /** What is sent. */
  signals: z
    .array(z.enum(['metrics', 'logs', 'traces']))
    .min(1)
    .default(['metrics', 'logs', 'traces']),
  min_backoff: durationMs.default(100),
  max_backoff: durationMs.default(30_000),
}

export const shipConfig = z.discriminatedUnion('type', [
  /** To another Sightline, over its journal protocol. */
  z.strictObject({
    type: z.literal('http'),
    url: z.url(),
    timeout: durationMs.default(30_000),
    /** Of one request, before compression. */
    batch_size_max: sizeBytes.default(4 * 1024 * 1024),
    ...shipShape,
    ...httpClientShape,
  }),
  /** Into the topics of the section `kafka`. */
  z.strictObject({ type: z.literal('kafka'), ...shipShape }),
  /** To anybody who takes OTLP over HTTP; logs and traces only (metrics go by `remote_write`). */
  z.strictObject({
    type: z.literal('otlp'),
    /** `/v1/logs` and `/v1/traces` are added. */
    url: z.url(),
    timeout: durationMs.default(30_000),
    headers: z.record(z.string(), z.string()).default({}),
    ...shipShape,
    signals: z
      .array(z.enum(['logs', 'traces']))
      .min(1)
      .default(['logs', 'traces']),
    ...httpClientShape,
  }),
])

export const clusterConfig = z.strictObject({
  /** Every query node, this one among them: `http://query-0.query:9428`. None: this node is alone. */
  nodes: z.array(z.url()).default([]),
  /** What a query waits for one node before it goes on without it. */
  timeout: durationMs.default(30_000),
  /** How we reach them: credentials of a token for all tenants with read. */
  client: httpClientConfig.prefault({}),
})

export const elasticsearchConfig = z.strictObject({
  nodes: z.array(z.url()).min(1),
  username: z.string().optional(),
  password: secret.optional(),
  password_file: z.string().optional(),
  api_key: secret.optional(),
  api_key_file: z.string().optional(),
  tls_config: tlsConfig.optional(),
  /** The data stream is `<prefix>-logs`, what a mapping refuses goes to `<prefix>-logs-refused`. */
  index_prefix: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,60}$/)
    .default('sightline'),
  shards: z.number().int().positive().default(1),
  replicas: z.number().int().nonnegative().default(1),
  /** A backing index older or larger than this is rolled over. */
  rollover_age: durationMs.default(86_400_000),
  rollover_size: sizeBytes.default(40 * 1024 * 1024 * 1024),
  bulk_size_max: sizeBytes.default(8 * 1024 * 1024),
  bulk_concurrency: z.number().int().positive().default(2),
  /** Bytes of lines that wait to be indexed; more is pushed back to the journal. */
  queue_size_max: sizeBytes.default(64 * 1024 * 1024),
  request_timeout: durationMs.default(30_000),
})

export type KafkaConfig = z.output<typeof kafkaConfig>
export type ShipConfig = z.output<typeof shipConfig>
export type ClusterConfig = z.output<typeof clusterConfig>
export type ElasticsearchConfig = z.output<typeof elasticsearchConfig>
