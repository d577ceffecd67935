/**
 * The role `all` as one object: builds the collector and the query program around one file journal, mounts their routes on one server, and takes
 * them down in order. `main.ts` starts it; tests may too.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import type { StartArgs } from './cli/index.ts'
import { buildCollector, externalLabelsOf } from './collector/program.ts'
import type { Listeners } from './collector/receive/index.ts'
import {
  listenAddress,
  loadConfig,
  scrapeConfig,
  type Config,
  type ListenAddress,
  type LoadedConfig,
  type ScrapeConfig,
} from './lib/config/index.ts'
import { createAuthenticator, loadWebConfig, startHttpServer, type HttpServer } from './lib/http/index.ts'
import { openFileJournal } from './lib/journal/index.ts'
import { BUILD } from './lib/runtime/build.ts'
import { systemClock } from './lib/runtime/clock.ts'
import { messageOf, SightlineError } from './lib/runtime/errors.ts'
import { collectProcessMetrics, createLog, gauge, registry, startTelemetry, type Telemetry } from './lib/telemetry/index.ts'
import { adminApi } from './query/api/admin/index.ts'
import { pageApi } from './query/api/page/index.ts'
import type { ReplayProgress } from './query/ingest/index.ts'
import { createPageView } from './query/page-view.ts'
import { buildQuery } from './query/program.ts'

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
  const log = createLog(args.logLevel)
  const startedMs = Date.now()
  let loaded = loadWithFlags(args)
  let reloaded = { success: true, timeMs: startedMs }
  let waiting: Waiting = 'opening'
  for (const warning of loaded.warnings) log.warn(warning)
  const dataDir = resolve(args.dataDir)
  mkdirSync(dataDir, { recursive: true })

  const { server } = loaded.config
  const producer = `${hostname()}`
  const journal = await openFileJournal({
    dir: join(dataDir, 'journal'),
    partitions: loaded.config.journal.partitions,
    segmentBytes: loaded.config.journal.segment_size,
    bytesMax: loaded.config.journal.size_max,
    queueBytesMax: loaded.config.journal.queue_size_max,
    onFull: loaded.config.journal.on_full,
    producer,
    onFatal,
  })
  collectProcessMetrics()
  gauge('sightline_journal_bytes', 'Bytes of journal segments on disk.', [], function () {
    this.set(journal.stats().bytes)
  })
  const query = await buildQuery({
    config: () => loaded.config,
    configText: () => loaded.text,
    reload: () => reloaded,
    dataDir,
    journal,
    producer,
    clock: systemClock,
    log,
    build: { ...BUILD, startedMs },
    targets: () => collector.scraper.targets(),
    droppedTargets: () => collector.scraper.droppedTargets(),
    scrapePools: () => collector.scraper.pools(),
    onFatal,
  })
  const collector = await buildCollector({
    appender: query.ingest,
    clock: systemClock,
    log,
    tenant: 'default',
    bodyBytesMax: server.body_size_max,
    journal,
    positionsPath: join(dataDir, 'positions.json'),
    shipDir: join(dataDir, 'ship'),
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
  const reload = async (): Promise<void> => {
    try {
      const next = loadWithFlags(args)
      const applyRules = query.rules.prepare(next.config, http.url)
      await collector.apply(withSelf(next.config, http, selfToken))
      await applyRules()
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
  const isWaiting = (): string => describe(waiting, query.ingest.progress)
  const page = createPageView({
    query,
    journal,
    clock: systemClock,
    build: { ...BUILD, startedMs },
    waiting: isWaiting,
    targets: () => collector.scraper.targets(),
    tails: () => collector.tails(),
    addresses: () => addressesOf(http.url, listeners),
  })
  let telemetry: Telemetry | undefined
  const metricsText = async (): Promise<string> => `${await registry.metrics()}${(await telemetry?.metricsText()) ?? ''}`
  const onError = (error: unknown, where: string): void => log.error({ where, error: messageOf(error) }, 'a request failed')
  const http: HttpServer = await startHttpServer({
    listen: server.listen,
    web,
    authenticator,
    raw: collector.receivers.raw,
    plugins: [
      ...query.plugins,
      {
        prefix: '/',
        plugin: adminApi({ waiting: isWaiting, reload, metrics: metricsText }),
      },
      { prefix: '/', plugin: pageApi(page.view) },
    ],
    bodyBytesMax: server.body_size_max,
    requestsMax: server.requests_max,
    onError,
    telemetry: () => telemetry?.requests,
  })
  const opened = await collector.receivers.startListeners({
    grpc: server.otlp_grpc,
    http: server.otlp_http,
    web,
    authenticator,
    bodyBytesMax: server.body_size_max,
    requestsMax: server.requests_max,
    onError,
  })
  listeners = opened

  const applyRules = query.rules.prepare(loaded.config, http.url)
  waiting = 'replay'
  await query.start()
  await applyRules()
  await query.rules.start()
  waiting = 'collectors'
  await collector.apply(withSelf(loaded.config, http, selfToken))
  waiting = ''
  // Behind TLS we would have to trust a certificate that is for another name: then there are no traces of our own.
  const traces = loaded.config.self.traces && web.tls === undefined ? { url: `${http.url}/otlp/v1/traces`, token: selfToken } : undefined
  telemetry = startTelemetry({ version: BUILD.version, instance: new URL(http.url).host, traces })
  log.info({ url: http.url, data: dataDir, externalLabels: externalLabelsOf(loaded.config) }, 'ready')

  return {
    url: http.url,
    banner: bannerOf(http.url, opened, dataDir),
    reload,
    async stop() {
      waiting = 'collectors'
      await query.rules.stop()
      page.stop()
      await telemetry?.stop()
      await opened.close()
      await collector.stop()
      await http.close()
      await query.close()
      await journal.close()
    },
  }
}

function loadWithFlags(args: StartArgs): LoadedConfig {
  const loaded = loadConfig(args.configPath)
  const listen = (flag: string | undefined, configured: ListenAddress): ListenAddress =>
    flag === undefined ? configured : parseListen(flag)
  const server = {
    ...loaded.config.server,
    listen: listen(args.listen, loaded.config.server.listen),
    otlp_grpc: listen(args.otlpGrpc, loaded.config.server.otlp_grpc),
    otlp_http: listen(args.otlpHttp, loaded.config.server.otlp_http),
  }
  return { ...loaded, config: { ...loaded.config, server } }
}

/** The configuration with a job that scrapes ourselves, unless there is one of that name or it is switched off. */
function withSelf(config: Config, http: HttpServer, token: string): Config {
  if (!config.self.scrape || config.scrape_configs.some((job) => job.job_name === 'sightline')) return config
  return { ...config, scrape_configs: [selfScrapeConfig(http.url, config.self.scrape_interval, token), ...config.scrape_configs] }
}

function selfScrapeConfig(url: string, intervalMs: number, token: string): ScrapeConfig {
  const { host, protocol } = new URL(url)
  return scrapeConfig.parse({
    job_name: 'sightline',
    scrape_interval: `${intervalMs}ms`,
    scheme: protocol.slice(0, -1),
    static_configs: [{ targets: [host] }],
    authorization: { credentials: token },
    // Our own certificate needn't be for the address we listen on.
    tls_config: { insecure_skip_verify: true },
  })
}

function parseListen(text: string): ListenAddress {
  const parsed = listenAddress.safeParse(text)
  if (!parsed.success) throw new SightlineError('bad_data', `cannot use address: ${parsed.error.issues[0]?.message}`)
  return parsed.data
}

function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function describe(waiting: Waiting, { doneRecords, totalRecords }: ReplayProgress): string {
  if (waiting === 'replay') return `replaying the journal: ${doneRecords} of ${totalRecords} records`
  return waiting === '' ? '' : `waiting for ${waiting}`
}

/** Where everything is. The OTLP listeners come last at start. */
function addressesOf(url: string, otlp: Listeners | undefined): { name: string; url: string }[] {
  const { grpcUrl = '', httpUrl = '' } = otlp ?? {}
  return [
    { name: 'Prometheus datasource', url },
    { name: 'Loki datasource', url },
    { name: 'Tempo datasource', url: `${url}/tempo` },
    { name: 'Jaeger datasource', url: `${url}/jaeger` },
    { name: 'OTLP over gRPC', url: grpcUrl },
    { name: 'OTLP over HTTP', url: httpUrl },
    { name: 'remote write', url: `${url}/api/v1/write` },
    { name: 'Loki push', url: `${url}/loki/api/v1/push` },
  ].filter((address) => address.url !== '')
}

function bannerOf(url: string, otlp: Listeners, dataDir: string): string {
  const lines = [...addressesOf(url, otlp), { name: 'data', url: dataDir }].map((line) => `  ${line.name.padEnd(24)} ${line.url}\n`)
  return `Sightline is ready: ${url}\n${lines.join('')}`
}
