/**
 * One target's loop: at its own instant of each interval it gets the text, makes a row of it and appends it. A scrape that failed is a row
 * too (`up` 0, everything stale); a scrape that the journal did not take is counted and gone.
 */
import type { ScrapeConfig } from '../../lib/config/index.ts'
import type { BodyBuffer, HttpClient } from '../../lib/http/index.ts'
import { hashText } from '../../lib/model/index.ts'
import type { RowsAppender } from '../../lib/producer/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter } from '../../lib/telemetry/index.ts'
import type { Row, RowBatch } from '../../lib/wire/rows/index.ts'
import type { BodyPool } from './bodies.ts'
import type { TargetSamples } from './samples.ts'
import type { Target } from './target.ts'

const scrapes = counter('sightline_scrapes_total', 'Scrapes by how they ended.', ['result'])
const samplesRead = counter('sightline_scrape_samples_total', 'Samples read from targets, before metric relabeling.')
const refused = counter('sightline_scrape_samples_dropped_total', 'Samples of scrapes that were not appended.', ['reason'])
const skipped = counter('sightline_scrapes_skipped_total', 'Scrapes not made because the one before still ran or the process lagged.')

/** A body larger than this is never read, whatever the configuration says. */
const BODY_BYTES_MAX = 256 * 1024 * 1024
/** Timestamps this close to the plan are put on it: aligned timestamps compress to nothing. Prometheus' tolerance. */
const TOLERANCE_MS = 2

const ACCEPT_OPENMETRICS =
  'application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.7,text/plain;version=0.0.4;q=0.6,*/*;q=0.1'
const ACCEPT_TEXT = 'text/plain;version=0.0.4;q=0.6,*/*;q=0.1'

export interface LoopState {
  readonly health: 'unknown' | 'up' | 'down'
  readonly lastError: string
  readonly lastScrapeMs: number
  readonly lastDurationSeconds: number
}

export interface LoopDeps {
  readonly config: ScrapeConfig
  readonly tenant: string
  readonly appender: RowsAppender
  readonly client: HttpClient
  readonly bodies: BodyPool
  readonly clock: Clock
}

export class ScrapeLoop {
  readonly target: Target
  state: LoopState = { health: 'unknown', lastError: '', lastScrapeMs: 0, lastDurationSeconds: 0 }
  readonly #samples: TargetSamples
  readonly #deps: LoopDeps
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  constructor(target: Target, samples: TargetSamples, deps: LoopDeps) {
    this.target = target
    this.#samples = samples
    this.#deps = deps
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Ends the loop; `markStale` where the target is gone for good, not where we only shut down. */
  async stop(markStale: boolean): Promise<void> {
    this.#stop.abort()
    await this.#running
    if (markStale && this.state.health !== 'unknown') await this.#append([this.#samples.ended(this.#deps.clock.now())], [])
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps
    const { intervalMs } = this.target
    const { signal } = this.#stop
    // Spread over the interval by what the target is, the same after every restart.
    const phaseMs = hashText(this.target.url, ...this.target.labels) % intervalMs
    let plannedMs = nextInstant(clock.now(), intervalMs, phaseMs)
    while (!signal.aborted) {
      await clock.sleep(plannedMs - clock.now(), signal)
      if (signal.aborted) return
      await this.scrape(plannedMs)
      const nextMs = nextInstant(clock.now(), intervalMs, phaseMs)
      const missed = (nextMs - plannedMs) / intervalMs - 1
      if (missed > 0) skipped.inc(missed)
      plannedMs = nextMs
    }
  }

  /** One scrape for the instant `plannedMs`. Never throws. */
  async scrape(plannedMs: number): Promise<void> {
    const { clock, bodies } = this.#deps
    const startMs = clock.now()
    const timestampMs = Math.abs(startMs - plannedMs) <= TOLERANCE_MS ? plannedMs : startMs
    const seconds = (): number => (clock.now() - startMs) / 1000
    let rows: readonly Row[]
    let metadata: RowBatch['metadata'] = []
    let error = ''
    try {
      const into = bodies.take()
      const { format, body } = await this.#get(into)
      const exposition = this.#samples.parse(format, body)
      bodies.give(into)
      metadata = exposition.metadata
      const result = this.#samples.succeeded(exposition, timestampMs, seconds())
      samplesRead.inc(result.scraped)
      rows = result.rows
      scrapes.inc({ result: 'success' })
    } catch (e) {
      error = messageOf(e)
      rows = [this.#samples.failed(timestampMs, seconds())]
      scrapes.inc({ result: e instanceof SightlineError ? e.kind : 'internal' })
    }
    this.state = { health: error === '' ? 'up' : 'down', lastError: error, lastScrapeMs: startMs, lastDurationSeconds: seconds() }
    await this.#append(rows, metadata)
  }

  async #get(bodyInto: BodyBuffer): Promise<{ format: 'text' | 'openmetrics'; body: Buffer }> {
    const { client, config } = this.#deps
    const wantsText =
      config.scrape_protocols !== undefined && !config.scrape_protocols.some((protocol) => protocol.startsWith('OpenMetrics'))
    const limitBytes = config.body_size_limit ?? 0
    const answer = await client.request(this.target.url, {
      headers: {
        accept: wantsText ? ACCEPT_TEXT : ACCEPT_OPENMETRICS,
        'accept-encoding': config.enable_compression ? 'gzip' : 'identity',
        'x-prometheus-scrape-timeout-seconds': String(this.target.timeoutMs / 1000),
      },
      timeoutMs: this.target.timeoutMs,
      bodyBytesMax: limitBytes > 0 ? limitBytes : BODY_BYTES_MAX,
      bodyInto,
    })
    if (answer.status !== 200) throw new SightlineError('unavailable', `server returned HTTP status ${answer.status}`)
    const contentType = answer.headers['content-type'] ?? ''
    return { format: contentType.startsWith('application/openmetrics-text') ? 'openmetrics' : 'text', body: answer.body }
  }

  async #append(rows: readonly Row[], metadata: RowBatch['metadata']): Promise<void> {
    try {
      await this.#deps.appender.append(this.#deps.tenant, { rows, metadata })
    } catch (error) {
      const samples = rows.reduce((sum, row) => sum + row.values.length, 0)
      refused.inc({ reason: error instanceof SightlineError ? error.kind : 'internal' }, samples)
    }
  }
}

/** The first instant after `nowMs` that lies on the target's phase. */
export function nextInstant(nowMs: number, intervalMs: number, phaseMs: number): number {
  return Math.floor((nowMs - phaseMs) / intervalMs) * intervalMs + phaseMs + intervalMs
}
