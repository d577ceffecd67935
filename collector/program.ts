/** The collector program: what it reads, appended through the `Appender` it is given. */
import { createReceivers, type Receivers } from './receive/index.ts'
import { createScraper, type Scraper } from './scrape/index.ts'
import type { Config } from '../lib/config/index.ts'
import { labelsOf, type Labels } from '../lib/model/index.ts'
import { createRowsAppender, type Appender } from '../lib/producer/index.ts'
import type { Clock } from '../lib/runtime/clock.ts'
import type { Log } from '../lib/telemetry/index.ts'

export interface CollectorOptions {
  readonly appender: Appender
  readonly clock: Clock
  readonly log: Log
  readonly tenant: string
  /** Largest body a receiver takes, decompressed. */
  readonly bodyBytesMax: number
}

export interface CollectorProgram {
  readonly scraper: Scraper
  readonly receivers: Receivers
  /** Starts, or goes over to another configuration. Errors: bad_data; then nothing changed. */
  apply(config: Config): Promise<void>
  stop(): Promise<void>
}

/** What every record of this process carries where it has no such label. */
export function externalLabelsOf(config: Config): Labels {
  return labelsOf({ ...(config.cluster === undefined ? {} : { cluster: config.cluster }), ...config.global.external_labels })
}

export function buildCollector({ appender, clock, log, tenant, bodyBytesMax }: CollectorOptions): CollectorProgram {
  const scraper = createScraper()
  const rows = createRowsAppender(appender, clock)
  let externalLabels: Labels = []
  const receivers = createReceivers({ appender, rows, externalLabels: () => externalLabels, clock, bodyBytesMax })
  return {
    scraper,
    receivers,
    async apply(config) {
      const labels = externalLabelsOf(config)
      await scraper.apply(config.global, config.scrape_configs, { tenant, externalLabels: labels, appender: rows, clock, log })
      externalLabels = labels
    },
    stop: () => scraper.stop(),
  }
}
