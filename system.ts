/**
 * One process of whatever role as one object: builds the collector and the query program around a journal, mounts their routes on one server, and takes
 * them down in order. `main.ts` starts it; tests may too.
 *
 *   all        collector and query program around one journal on local disk
 *   collector  the collector, and a journal on local disk that is shipped from
 *   query      the query program, and the receivers of the collector; it scrapes nothing but itself
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { loadWithFlags, type Role, type StartArgs } from './cli/index.ts'
import { JournalAppender } from './collector/journal-appender.ts'
import { buildCollector, externalLabelsOf, type CollectorProgram } from './collector/program.ts'
import type { Listeners } from './collector/receive/index.ts'
import { withSelf } from './collector/self.ts'
import type { Config, LoadedConfig } from './lib/config/index.ts'
import { createAuthenticator, loadWebConfig, startHttpServer, type HttpServer } from './lib/http/index.ts'
import {
  openFileJournal,
  openKafkaGroup,
  openKafkaInputs,
  openKafkaJournal,
  registerInputMetrics,
  registerKafkaMetrics,
  type Journal,
  type KafkaInputs,
  type KafkaJournal,
  type PartitionGroup,
} from './lib/journal/index.ts'
import { registerAppendMetrics } from './lib/producer/index.ts'
import { BUILD } from './lib/runtime/build.ts'
import { systemClock } from './lib/runtime/clock.ts'
import { messageOf } from './lib/runtime/errors.ts'
import { collectProcessMetrics, createLog, gauge, registry, startTelemetry, type Log, type Telemetry } from './lib/telemetry/index.ts'
import { ledgerOf, type Ledger } from './ledger.ts'
import { adminApi } from './query/api/admin/index.ts'
import { ledgerApi } from './query/api/ledger/index.ts'
import { pageApi } from './query/api/page/index.ts'
import { createPageView } from './query/page-view.ts'
import { buildQuery, type QueryProgram } from './query/program.ts'

export interface System {
  readonly url: string
  /** What to print: where everything is. */
  readonly banner: string
  reload(): Promise<void>
  /** Takes nothing more in, makes everything durable in files, and closes. */
  stop(): Promise<void>
}

export interface SystemCallbacks {
  /** The process must end: its disk or a thread failed. */
  readonly onFatal: (error: unknown) => void
}

/** What the process waits for before it is ready; empty = ready. */
type Waiting = 'opening' | 'replay' | 'collectors' | ''

export async function startSystem(args: StartArgs, { onFatal }: SystemCallbacks): Promise<System> {
  const role = args.command
  const log = createLog(args.logLevel)
  const startedMs = Date.now()
  const build = { ...BUILD, startedMs }
  let loaded = loadWithFlags(args)
  let reloaded = { success: true, timeMs: startedMs }
  let waiting: Waiting = 'opening'
  for (const warning of loaded.warnings) log.warn(warning)
  const dataDir = resolve(args.dataDir)
  mkdirSync(dataDir, { recursive: true })

  const { server } = loaded.config
  const node = loaded.config.node!
  const { local, kafka, group } = await openJournals(role, loaded.config, dataDir, log, onFatal)
  const journal = local ?? kafka!
  collectProcessMetrics()
  const query =
    role === 'collector'
      ? undefined
      : await buildQuery({
          config: () => loaded.config,
          configText: () => loaded.text,
          reload: () => reloaded,
          dataDir,
          journal,
          shared: group === undefined || kafka === undefined ? undefined : { journal: kafka, group },
          node,
          clock: systemClock,
          log,
          build,
          targets: () => collector.scraper.targets(),
          droppedTargets: () => collector.scraper.droppedTargets(),
          scrapePools: () => collector.scraper.pools(),
          onFatal,
        })
  const appender = query?.ingest ?? new JournalAppender(journal)
  registerAppendMetrics(appender.counts)
  const collector = await buildCollector({
    appender,
    node,
    clock: systemClock,
    log,
    tenant: 'default',
    bodyBytesMax: server.body_size_max,
    journal: local,
    positionsPath: join(dataDir, 'positions.json'),
    shipDir: join(dataDir, 'ship'),
    kafka,
  })

  const web = loadWebConfig(server.web_config_file)
  const selfToken = randomUUID()
  const authenticator = createAuthenticator(server, web.basicUsers, selfToken)
  if (!authenticator.isRequired && !isLoopback(server.listen)) {
    log.warn(
      { listen: server.listen },
      'anybody who reaches this address may read and write everything: configure server.tokens or server.web_config_file',
    )
  }
  const gathered = (config: Config): Config => withSelf(role === 'query' ? withoutSources(config) : config, http.url, selfToken)
  const reload = async (): Promise<void> => {
    try {
      const next = loadWithFlags(args)
      const applyRules = query?.rules.prepare(next.config, http.url)
      await collector.apply(gathered(next.config))
      await applyRules?.()
      loaded = next
      reloaded = { success: true, timeMs: Date.now() }
      log.info({ path: next.path }, 'configuration reloaded')
    } catch (error) {
      reloaded = { ...reloaded, success: false }
      log.error({ error: messageOf(error) }, 'the configuration was not reloaded; the last one stays')
      throw error
    }
  }
  let listeners: Listeners | undefined
  const isWaiting = (): string => describe(waiting, query)
  const page =
    query === undefined ? undefined : pageOf(query, journal, collector, build, isWaiting, () => addressesOf(role, http.url, listeners))
  const ledger = (): Promise<Ledger> =>
    ledgerOf({ node, role, counts: appender.counts, journal, destinations: () => collector.destinations(), query })
  let telemetry: Telemetry | undefined
  const metricsText = async (): Promise<string> => `${await registry.metrics()}${(await telemetry?.metricsText()) ?? ''}`
  const onError = (error: unknown, where: string): void => log.error({ where, error: messageOf(error) }, 'a request failed')
  const http: HttpServer = await startHttpServer({
    listen: server.listen,
    web,
    authenticator,
    raw: collector.raw,
    plugins: [
      ...(query?.plugins ?? []),
      ...collector.plugins,
      { prefix: '/', plugin: ledgerApi(ledger) },
      { prefix: '/', plugin: adminApi({ waiting: isWaiting, reload, metrics: metricsText }) },
      ...(page === undefined ? [] : [{ prefix: '/', plugin: pageApi(page.view) }]),
    ],
    bodyBytesMax: server.body_size_max,
    requestsMax: server.requests_max,
    onError,
    telemetry: () => telemetry?.requests,
  })
  const opened = await collector.startListeners({
    grpc: server.otlp_grpc,
    http: server.otlp_http,
    web,
    authenticator,
    bodyBytesMax: server.body_size_max,
    requestsMax: server.requests_max,
    onError,
  })
  listeners = opened

  if (query !== undefined) {
    const applyRules = query.rules.prepare(loaded.config, http.url)
    await applyRules()
    waiting = 'replay'
    await query.start()
  }
  waiting = 'collectors'
  await collector.apply(gathered(loaded.config))
  const housekeeping = query === undefined ? startHousekeeping(journal, (error) => onError(error, 'housekeeping')) : undefined
  const inputs =
    group === undefined || kafka === undefined || loaded.config.kafka?.input_topics !== true
      ? undefined
      : await openInputs(loaded.config, collector.inputHandler(kafka.epoch), log, onFatal)
  waiting = ''
  // Behind TLS we would have to trust a certificate that is for another name: then there are no traces of our own.
  const traces = loaded.config.self.traces && web.tls === undefined ? { url: `${http.url}/otlp/v1/traces`, token: selfToken } : undefined
  telemetry = startTelemetry({ version: BUILD.version, instance: new URL(http.url).host, traces })
  log.info({ role, node, url: http.url, data: dataDir, externalLabels: externalLabelsOf(loaded.config) }, 'ready')

  return {
    url: http.url,
    banner: bannerOf(role, http.url, opened, dataDir),
    reload,
    async stop() {
      waiting = 'collectors'
      clearInterval(housekeeping)
      await query?.stop()
      page?.stop()
      await telemetry?.stop()
      await opened.close()
      await inputs?.close()
      await collector.stop()
      await http.close()
      await query?.close()
      await local?.close()
      await kafka?.close()
    },
  }
}

interface Journals {
  /** On this process's disk. */
  readonly local: Journal | undefined
  /** Kafka's topics: what a query node reads, or a collector ships to. */
  readonly kafka: KafkaJournal | undefined
  /** The query nodes that share the topics. */
  readonly group: PartitionGroup | undefined
}

async function openJournals(role: Role, config: Config, dataDir: string, log: Log, onFatal: SystemCallbacks['onFatal']): Promise<Journals> {
  const isShared = role === 'query' && config.journal.type === 'kafka'
  const local = isShared ? undefined : await openLocal(config, dataDir, onFatal)
  if (config.kafka === undefined || (!isShared && !config.ship.some(({ type }) => type === 'kafka'))) {
    return { local, kafka: undefined, group: undefined }
  }
  const { partitions } = config.journal
  const node = config.node!
  const kafka = await openKafkaJournal({
    config: config.kafka,
    partitions,
    producer: node,
    onForeign: (topic, partition, offset, why) => log.warn({ topic, partition, offset, why }, 'a record that is not ours is passed over'),
  })
  for (const warning of kafka.warnings) log.warn(warning)
  registerKafkaMetrics(kafka)
  const group = isShared ? await openKafkaGroup({ config: config.kafka, partitions, node, onFatal }) : undefined
  return { local, kafka, group }
}

async function openInputs(
  config: Config,
  handle: ReturnType<CollectorProgram['inputHandler']>,
  log: Log,
  onFatal: SystemCallbacks['onFatal'],
): Promise<KafkaInputs> {
  const inputs = await openKafkaInputs({
    config: config.kafka!,
    partitions: config.journal.partitions,
    node: config.node!,
    handle,
    onLost: (lost) => log.error({ ...lost }, 'records of an input topic are gone before they were read'),
    onFatal,
  })
  registerInputMetrics(inputs)
  return inputs
}

async function openLocal(config: Config, dataDir: string, onFatal: SystemCallbacks['onFatal']): Promise<Journal> {
  const journal = await openFileJournal({
    dir: join(dataDir, 'journal'),
    partitions: config.journal.partitions,
    segmentBytes: config.journal.segment_size,
    bytesMax: config.journal.size_max,
    queueBytesMax: config.journal.queue_size_max,
    onFull: config.journal.on_full,
    producer: config.node!,
    onFatal,
  })
  gauge('sightline_journal_bytes', 'Bytes of journal segments on disk.', [], function () {
    this.set(journal.stats().bytes)
  })
  return journal
}

/** How often a collector's journal forgets what every destination has. */
const HOUSEKEEPING_MS = 10_000

function startHousekeeping(journal: Journal, onError: (error: unknown) => void): NodeJS.Timeout {
  const timer = setInterval(() => void journal.deletePassed().catch(onError), HOUSEKEEPING_MS)
  timer.unref()
  return timer
}

/** A query node gathers nothing: its receivers take what is sent. */
function withoutSources(config: Config): Config {
  return { ...config, scrape_configs: [], tail: [] }
}

function pageOf(
  query: QueryProgram,
  journal: Journal,
  collector: CollectorProgram,
  build: { readonly version: string; readonly startedMs: number },
  waiting: () => string,
  addresses: () => { name: string; url: string }[],
): ReturnType<typeof createPageView> {
  return createPageView({
    query,
    journal,
    clock: systemClock,
    build,
    waiting,
    targets: () => collector.scraper.targets(),
    tails: () => collector.tails(),
    addresses,
  })
}

function isLoopback({ host }: LoadedConfig['config']['server']['listen']): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function describe(waiting: Waiting, query: QueryProgram | undefined): string {
  if (waiting !== 'replay' || query === undefined) return waiting === '' ? '' : `waiting for ${waiting}`
  const { doneRecords, totalRecords } = query.ingest.progress
  return `replaying the journal: ${doneRecords} of ${totalRecords} records`
}

/** Where everything is. The OTLP listeners come last at start. */
function addressesOf(role: Role, url: string, otlp: Listeners | undefined): { name: string; url: string }[] {
  const { grpcUrl = '', httpUrl = '' } = otlp ?? {}
  const datasources = [
    { name: 'Prometheus datasource', url },
    { name: 'Loki datasource', url },
    { name: 'Tempo datasource', url: `${url}/tempo` },
    { name: 'Jaeger datasource', url: `${url}/jaeger` },
  ]
  return [
    ...(role === 'collector' ? [] : datasources),
    { name: 'OTLP over gRPC', url: grpcUrl },
    { name: 'OTLP over HTTP', url: httpUrl },
    { name: 'remote write', url: `${url}/api/v1/write` },
    { name: 'Loki push', url: `${url}/loki/api/v1/push` },
  ].filter((address) => address.url !== '')
}

function bannerOf(role: Role, url: string, otlp: Listeners, dataDir: string): string {
  const lines = [...addressesOf(role, url, otlp), { name: 'data', url: dataDir }].map((line) => `  ${line.name.padEnd(24)} ${line.url}\n`)
  return `Sightline is ready: ${url}\n${lines.join('')}`
}
