/** The collector program: what it reads, appended through the `Appender` it is given. */
import { createInputHandler, createReceivers, journalPlugin, journalRoutes, type Receivers } from './receive/index.ts'
import { createScraper, type Scraper } from './scrape/index.ts'
import { openForwarders, openShippers, type ForwardStatus, type ShipJournal } from './ship/index.ts'
import { Positions, Tailer, type PositionJournal, type TailStatus } from './tail/index.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../lib/config/index.ts'
import type { RawRoute } from '../lib/http/index.ts'
import { labelsOf, type Labels } from '../lib/model/index.ts'
import type { Journal } from '../lib/journal/index.ts'
import { createRowsAppender, type Appender, type MarkedAppender } from '../lib/producer/index.ts'
import type { Clock } from '../lib/runtime/clock.ts'
import { messageOf, SightlineError } from '../lib/runtime/errors.ts'
import { gauge, type Log } from '../lib/telemetry/index.ts'

export interface CollectorOptions {
  readonly appender: Appender & MarkedAppender
  /** How this process is called. */
  readonly node: string
  readonly clock: Clock
  readonly log: Log
  readonly tenant: string
  /** Largest body a receiver takes, decompressed. */
  readonly bodyBytesMax: number
  /**
   * On this process's disk: where positions of tailed files are found again, and what is shipped. Absent where appends go to topics: then
   * nothing is tailed and nothing shipped on.
   */
  readonly journal: (PositionJournal & ShipJournal) | undefined
  /** Spares reading the journal from its start. */
  readonly positionsPath: string
  /** How far each remote is. */
  readonly shipDir: string
  /** Where destinations of type kafka write to. */
  readonly kafka: Journal | undefined
}

/** Positions are saved this often; until then the journal keeps what a start would read. */
const SAVE_POSITIONS_MS = 5000

export interface CollectorProgram {
  readonly scraper: Scraper
  /** Raw routes of everything that is pushed to us, and what they need beside. */
  readonly raw: readonly RawRoute[]
  readonly plugins: readonly { readonly prefix: string; readonly plugin: FastifyPluginAsync }[]
  readonly startListeners: Receivers['startListeners']
  /** Takes records of Kafka's input topics. @param epoch the life of those topics */
  inputHandler(epoch: string): ReturnType<typeof createInputHandler>
  /** Starts, or goes over to another configuration. Errors: bad_data; then nothing changed. */
  apply(config: Config): Promise<void>
  tails(): readonly TailStatus[]
  destinations(): readonly ForwardStatus[]
  stop(): Promise<void>
}

/** What every record of this process carries where it has no such label. */
export function externalLabelsOf(config: Config): Labels {
  return labelsOf({ ...(config.cluster === undefined ? {} : { cluster: config.cluster }), ...config.global.external_labels })
}

export async function buildCollector({
  appender,
  node,
  kafka,
  clock,
  log,
  tenant,
  bodyBytesMax,
  journal,
  positionsPath,
  shipDir,
}: CollectorOptions): Promise<CollectorProgram> {
  const scraper = createScraper()
  const rows = createRowsAppender(appender, clock)
  let externalLabels: Labels | undefined
  const labelsOrWait = (): Labels => {
    if (externalLabels !== undefined) return externalLabels
    throw new SightlineError('unavailable', 'cannot take data yet: the process is starting', { retryAfterMs: 1000 })
  }
  const receivers = createReceivers({ appender, rows, externalLabels: labelsOrWait, clock, bodyBytesMax })
  const shippers = journal === undefined ? undefined : openShippers({ dir: shipDir, journal, clock, log })
  const forwarders = journal === undefined ? undefined : openForwarders({ dir: shipDir, journal, kafka, clock, log })
  const positions = journal === undefined ? undefined : await Positions.open(positionsPath, journal)
  let tailers = new Map<string, { text: string; tailer: Tailer }>()
  gauge('sightline_tail_lag_bytes', 'Bytes of log files that are not in the journal yet.', ['source'], function () {
    for (const { source, lagBytes } of tails()) this.set({ source }, lagBytes)
  })
  const tails = (): TailStatus[] => [...tailers.values()].map(({ tailer }) => tailer.status())
  const save = setInterval(() => {
    positions
      ?.save(clock.now())
      .catch((error: unknown) => log.error({ error: messageOf(error) }, 'cannot save positions; the journal has them'))
  }, SAVE_POSITIONS_MS)
  save.unref()

  const applyTails = async (config: Config, labels: Labels): Promise<void> => {
    if (positions === undefined) return
    const next = new Map<string, { text: string; tailer: Tailer }>()
    const fresh: Tailer[] = []
    for (const tail of config.tail) {
      const text = JSON.stringify([tail, labels])
      const running = tailers.get(tail.name)
      const tailer =
        running?.text === text ? running.tailer : new Tailer({ config: tail, externalLabels: labels, appender, positions, clock, log })
      if (tailer !== running?.tailer) fresh.push(tailer)
      next.set(tail.name, { text, tailer })
    }
    const gone = [...tailers.values()].filter(({ tailer }) => ![...next.values()].some((one) => one.tailer === tailer))
    tailers = next
    await Promise.all(gone.map(({ tailer }) => tailer.stop()))
    for (const tailer of fresh) tailer.start()
  }

  return {
    scraper,
    raw: [...receivers.raw, ...journalRoutes(appender)],
    plugins: [{ prefix: '/', plugin: journalPlugin(appender, node) }],
    startListeners: (options) => receivers.startListeners(options),
    inputHandler: (epoch) => createInputHandler({ appender, externalLabels: labelsOrWait, clock, bodyBytesMax, epoch, log }),
    tails,
    destinations: () => forwarders?.status() ?? [],
    async apply(config) {
      const labels = externalLabelsOf(config)
      const applyShippers = shippers?.prepare(config)
      const applyForwarders = forwarders?.prepare(config)
      await scraper.apply(config.global, config.scrape_configs, { tenant, externalLabels: labels, appender: rows, clock, log })
      await applyTails(config, labels)
      await applyShippers?.()
      await applyForwarders?.()
      externalLabels = labels
    },
    async stop() {
      clearInterval(save)
      await Promise.all([scraper.stop(), ...[...tailers.values()].map(({ tailer }) => tailer.stop())])
      await Promise.all([shippers?.stop(), forwarders?.stop()])
      await positions?.save(clock.now())
    },
  }
}
