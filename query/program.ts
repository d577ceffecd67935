/**
 * The query program: journal to shards, and the APIs over them. `main.ts` builds one and connects it; there is no other logic about how
 * the parts of `query/` fit together.
 */
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { FastifyPluginAsync } from 'fastify'
import type { Config, TenantLimits } from '../lib/config/index.ts'
import type { Journal, PartitionGroup } from '../lib/journal/index.ts'
import { formatDuration } from '../lib/model/index.ts'
import type { Clock } from '../lib/runtime/clock.ts'
import { messageOf, type SightlineError } from '../lib/runtime/errors.ts'
import { counter, type Log } from '../lib/telemetry/index.ts'
import type { ElasticSettings } from './elastic/index.ts'
import { QueryGate } from './api/gate.ts'
import { jaegerApi } from './api/jaeger/index.ts'
import { lokiApi } from './api/loki/index.ts'
import { prometheusApi, type TargetView } from './api/prometheus/index.ts'
import { tempoApi } from './api/tempo/index.ts'
import { shardApi } from './api/shard/index.ts'
import { Cluster, SHARD_PATH, type NodeStatus } from './cluster/index.ts'
import { registerLedgerMetrics } from './ledger-metrics.ts'
import { cutoffsOf, GroupIngest, Ingest, nextKeptShare, volumeUse, type QueryIngest, type SharedJournal } from './ingest/index.ts'
import { createLogEngine } from './logql/index.ts'
import { createEngine } from './promql/index.ts'
import { buildRules, type RulesProgram } from './rules-program.ts'
import { createLogsReader, type LogsReader } from './shard/logs/index.ts'
import { createMetricsReader } from './shard/metrics/index.ts'
import { createTracesReader } from './shard/traces/index.ts'
import { Shards } from './shard/index.ts'

/** Around a journal that nodes share. */
export interface SharedOptions {
  readonly journal: SharedJournal
  readonly group: PartitionGroup
}

export interface QueryOptions {
  readonly config: () => Config
  readonly configText: () => string
  readonly reload: () => { readonly success: boolean; readonly timeMs: number }
  readonly dataDir: string
  readonly journal: Journal
  /** Present where other nodes apply partitions of the same journal. */
  readonly shared: SharedOptions | undefined
  /** How this process is called: the producer of its records. */
  readonly node: string
  readonly clock: Clock
  readonly log: Log
  readonly build: { readonly version: string; readonly revision: string; readonly startedMs: number }
  readonly targets: () => readonly TargetView[]
  readonly droppedTargets: () => readonly Readonly<Record<string, string>>[]
  readonly scrapePools: () => readonly string[]
  /** Something that can't go on: a shard's thread died. */
  readonly onFatal: (error: SightlineError) => void
}

export interface QueryProgram {
  readonly ingest: QueryIngest
  readonly cluster: Cluster
  readonly shards: Shards
  readonly rules: RulesProgram
  readonly plugins: readonly { readonly prefix: string; readonly plugin: FastifyPluginAsync }[]
  /** Takes up what the journal holds beyond the checkpoints, and rules where they are this node's; starts the housekeeping. */
  start(): Promise<void>
  /** Applies and evaluates nothing more; still answers. */
  stop(): Promise<void>
  /** Takes the last checkpoints and closes. */
  close(): Promise<void>
}

const troubles = counter(
  'sightline_shard_troubles_total',
  'Records, checkpoints or compactions of a shard that failed; the log has the cause.',
)
const retentionBytes = counter(
  'sightline_retention_dropped_bytes_total',
  'Bytes of data that went by retention or because the volume ran low.',
)

const HOUSEKEEPING_MS = 10_000
const RETENTION_ROUNDS = 6

export async function buildQuery(options: QueryOptions): Promise<QueryProgram> {
  const { config, dataDir, journal, shared, node, clock, log } = options
  const first = config()
  const instance = randomUUID()
  const elastic = await openElastic(first)
  const shards = await Shards.open(
    {
      dir: join(dataDir, 'store'),
      journal: journal.epoch,
      partitionCount: journal.partitions.metrics,
      workers: first.shards.workers > 0 ? first.shards.workers : Math.max(1, availableParallelism() - 1),
      node: shared === undefined ? undefined : node,
      queueBytesMax: first.shards.queue_size_max,
      checkpointIntervalMs: first.shards.checkpoint_interval,
      checkpointBytes: first.shards.checkpoint_size,
      limits: {
        seriesMax: first.limits.series_max,
        streamsMax: first.limits.streams_max,
        futureMaxMs: first.logs.future_max,
        repeatWindowMs: first.logs.repeat_window,
        queryBytesMax: first.limits.query_bytes_max,
      },
      elastic: elastic?.settings,
    },
    {
      onCheckpoint: (key, offset) => alone?.checkpointed(key, offset),
      commit: (key, mark) => grouped?.commit(key, mark) ?? Promise.resolve(false),
      onTrouble: (message, where) => {
        troubles.inc()
        log.error({ where, error: message }, 'a shard has trouble')
      },
      onDeath: options.onFatal,
    },
  )
  const limitsOf = (tenant: string): TenantLimits => ({ ...config().limits, ...config().tenant_limits[tenant] }) as TenantLimits
  // Nodes share the work evenly, so each allows its share.
  const shareOf = (limit: number): number => (limit === 0 ? 0 : Math.max(1, Math.ceil(limit / cluster.size)))
  const bytesPerSecond = (tenant: string): number => shareOf(limitsOf(tenant).ingest_bytes_per_second)
  const onControl = async (isOurs: boolean): Promise<void> => (isOurs ? rules.start() : rules.stop())
  const grouped =
    shared === undefined
      ? undefined
      : new GroupIngest({ ...shared, node, shards, clock, log, bytesPerSecond, onControl, onFatal: options.onFatal })
  const alone = shared === undefined ? new Ingest({ journal, shards, clock, producer: node, bytesPerSecond }) : undefined
  const ingest: QueryIngest = (grouped ?? alone)!
  const status = (): NodeStatus => ({ node, instance, version: 1, owned: ingest.owned(), rules: rules.view.isHere() })
  const cluster = new Cluster({
    config: first.query_cluster,
    shards,
    ingest,
    partitionCount: journal.partitions.metrics,
    self: status,
    clock,
    log,
  })
  const gate = new QueryGate((tenant) => shareOf(limitsOf(tenant).query_concurrency_max))
  const engine = createEngine({ samplesMax: first.limits.query_samples_max, timeoutMs: first.limits.query_timeout })
  const rules = buildRules({
    engine,
    readerOf: (tenant) => createMetricsReader(cluster, tenant),
    caughtUp: () => cluster.caughtUp(config().rules.lag_max),
    ingest,
    journal,
    clock,
    log,
  })
  const prometheus = prometheusApi({
    engine,
    rules: rules.view,
    rulesNode: () => cluster.rulesNode(),
    readerOf: (tenant) => createMetricsReader(cluster, tenant),
    limitsOf,
    gate,
    clock,
    targets: options.targets,
    droppedTargets: options.droppedTargets,
    scrapePools: options.scrapePools,
    build: { ...options.build, retention: formatDuration(first.retention.metrics) },
    configText: options.configText,
    reload: options.reload,
    replay: () => ingest.progress,
    onError: (error, where) => log.error({ where, error: messageOf(error) }, 'a request failed'),
  })
  const loki = lokiApi({
    engine: createLogEngine(),
    readerOf: elastic?.readerOf ?? ((tenant) => createLogsReader(cluster, tenant)),
    limitsOf,
    gate,
    clock,
    build: options.build,
    retentionMs: () => config().retention.logs,
    onError: (error, where) => log.error({ where, error: messageOf(error) }, 'a request failed'),
  })
  const traces = {
    readerOf: (tenant: string) => createTracesReader(cluster, tenant),
    limitsOf,
    gate,
    clock,
    build: options.build,
    onError: (error: unknown, where: string) => log.error({ where, error: messageOf(error) }, 'a request failed'),
  }
  let timer: NodeJS.Timeout | undefined
  return {
    ingest,
    cluster,
    shards,
    rules,
    plugins: [
      { prefix: '/', plugin: prometheus },
      { prefix: '/prometheus', plugin: prometheus },
      { prefix: '/loki/api/v1', plugin: loki },
      { prefix: '/tempo', plugin: tempoApi(traces) },
      { prefix: '/jaeger', plugin: jaegerApi(traces) },
      { prefix: SHARD_PATH, plugin: shardApi({ shards, ingest, status, onError: traces.onError }) },
    ],
    async start() {
      await cluster.start()
      await ingest.start()
      if (alone !== undefined) await rules.start()
      registerLedgerMetrics(shards)
      elastic?.registerMetrics(shards)
      timer = startHousekeeping(options, shards)
    },
    async stop() {
      await ingest.stopReading()
      await rules.stop()
    },
    async close() {
      clearInterval(timer)
      cluster.stop()
      await shards.close()
      await ingest.close()
      await elastic?.close()
    },
  }
}

/** Where logs are kept in Elasticsearch: what the workers write with, and the front reads with. Its client is loaded only then. */
async function openElastic({ logs, elasticsearch }: Config): Promise<
  | {
      readonly settings: ElasticSettings
      readonly readerOf: (tenant: string) => LogsReader
      registerMetrics(shards: Shards): void
      close(): Promise<void>
    }
  | undefined
> {
  if (logs.store !== 'elasticsearch' || elasticsearch === undefined) return undefined
  const { ElasticConnection, createElasticLogsReader, dataStreamsOf, elasticSettings, registerElasticMetrics } =
    await import('./elastic/index.ts')
  const settings = elasticSettings(elasticsearch)
  const connection = new ElasticConnection(settings)
  const index = dataStreamsOf(settings).logs
  return {
    settings,
    readerOf: (tenant) => createElasticLogsReader(connection, index, tenant),
    registerMetrics: (shards) => registerElasticMetrics(() => shards.counters()),
    close: () => connection.close(),
  }
}

/** Deletes journal segments that every cursor has passed, and data past its retention. */
function startHousekeeping({ config, dataDir, journal, clock, log }: QueryOptions, shards: Shards): NodeJS.Timeout {
  let round = 0
  let keptShare = 1
  const keep = async (): Promise<void> => {
    await journal.deletePassed()
    if (round++ % RETENTION_ROUNDS !== 0) return
    const { metrics, logs, traces, volume_percent_max } = config().retention
    keptShare = nextKeptShare(keptShare, volumeUse(dataDir), volume_percent_max)
    if (keptShare < 1) log.warn({ keptShare }, 'the volume runs low: the oldest data goes before its time')
    const policy = { metricsMs: metrics, logsMs: logs, tracesMs: traces, volumePercentMax: volume_percent_max }
    const cutoffs = cutoffsOf(policy, clock.now(), keptShare)
    // What is in Elasticsearch takes no room here.
    const isElsewhere = config().logs.store === 'elasticsearch'
    retentionBytes.inc(await shards.retain(isElsewhere ? { ...cutoffs, logs: clock.now() - logs } : cutoffs))
  }
  const timer = setInterval(() => {
    keep().catch((error: unknown) => log.error({ error: messageOf(error) }, 'housekeeping failed; it is tried again'))
  }, HOUSEKEEPING_MS)
  timer.unref()
  return timer
}
