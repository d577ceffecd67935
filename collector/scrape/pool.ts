/**
 * The targets of one scrape configuration: what discovery says now, by difference to what runs.
 */
import type { GlobalConfig, ScrapeConfig } from '../../lib/config/index.ts'
import { createHttpClient, type HttpClient } from '../../lib/http/index.ts'
import { labelsKey, type Labels } from '../../lib/model/index.ts'
import type { RowsAppender } from '../../lib/producer/index.ts'
import { createRelabeler, type Relabeler } from '../../lib/relabel/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { messageOf } from '../../lib/runtime/errors.ts'
import type { Log } from '../../lib/telemetry/index.ts'
import { discover, type TargetGroup } from '../discovery/index.ts'
import type { BodyPool } from './bodies.ts'
import { ScrapeLoop } from './loop.ts'
import { TargetSamples } from './samples.ts'
import { targetOf, type Target } from './target.ts'

export interface PoolDeps {
  readonly tenant: string
  readonly externalLabels: Labels
  readonly appender: RowsAppender
  readonly clock: Clock
  readonly log: Log
}

/** Dropped targets remembered for display where `keep_dropped_targets` doesn't say. */
const DROPPED_MAX = 1000

export class ScrapePool {
  readonly config: ScrapeConfig
  readonly #global: GlobalConfig
  readonly #deps: PoolDeps
  readonly #bodies: BodyPool
  readonly #relabeler: Relabeler
  readonly #metricRelabeler: Relabeler
  readonly #client: HttpClient
  readonly #stop = new AbortController()
  readonly #loops = new Map<string, ScrapeLoop>()
  /** One change of the target list at a time: a target that goes is stale before it may come again. */
  #changing: Promise<void> = Promise.resolve()
  dropped: Readonly<Record<string, string>>[] = []
  lastError = ''

  constructor(config: ScrapeConfig, global: GlobalConfig, deps: PoolDeps, bodies: BodyPool) {
    this.config = config
    this.#global = global
    this.#deps = deps
    this.#bodies = bodies
    this.#relabeler = createRelabeler(config.relabel_configs)
    this.#metricRelabeler = createRelabeler(config.metric_relabel_configs)
    this.#client = createHttpClient(config)
  }

  start(): void {
    const { clock, log } = this.#deps
    discover(this.config, { clock, log, signal: this.#stop.signal }, (groups) => {
      this.#changing = this.#changing.then(() => this.#sync(groups))
    })
  }

  get loops(): readonly ScrapeLoop[] {
    return [...this.#loops.values()]
  }

  /** Starts what is new, stops what is gone, leaves the rest alone. */
  async #sync(groups: readonly TargetGroup[]): Promise<void> {
    if (this.#stop.signal.aborted) return
    const wanted = this.#targetsOf(groups)
    const gone = [...this.#loops].filter(([key]) => !wanted.has(key))
    for (const [key] of gone) this.#loops.delete(key)
    await Promise.all(gone.map(([, loop]) => loop.stop(true)))
    for (const [key, target] of wanted) {
      if (this.#loops.has(key)) continue
      const { externalLabels, tenant, appender, clock } = this.#deps
      const samples = new TargetSamples({
        config: this.config,
        targetLabels: target.labels,
        externalLabels,
        metricRelabeler: this.#metricRelabeler,
      })
      const deps = { config: this.config, tenant, appender, client: this.#client, bodies: this.#bodies, clock }
      const loop = new ScrapeLoop(target, samples, deps)
      this.#loops.set(key, loop)
      loop.start()
    }
  }

  #targetsOf(groups: readonly TargetGroup[]): Map<string, Target> {
    const wanted = new Map<string, Target>()
    const dropped: Readonly<Record<string, string>>[] = []
    this.lastError = ''
    for (const group of groups) {
      for (const address of group.targets) {
        try {
          const target = targetOf(address, group, this.config, this.#global, this.#relabeler)
          if (target !== undefined) wanted.set(`${target.url} ${labelsKey(target.labels)}`, target)
          else if (dropped.length < (this.config.keep_dropped_targets ?? DROPPED_MAX))
            dropped.push({ ...group.labels, __address__: address, job: this.config.job_name })
        } catch (error) {
          this.lastError = `${address}: ${messageOf(error)}`
          this.#deps.log.warn({ job: this.config.job_name, address, error: messageOf(error) }, 'cannot make a target')
        }
      }
    }
    this.dropped = dropped
    const limit = this.config.target_limit ?? 0
    if (limit > 0 && wanted.size > limit) {
      this.lastError = `target_limit exceeded: ${wanted.size} targets, at most ${limit} are allowed`
      this.#deps.log.error({ job: this.config.job_name }, this.lastError)
      return new Map()
    }
    return wanted
  }

  async stop(markStale: boolean): Promise<void> {
    this.#stop.abort()
    await this.#changing
    await Promise.all(this.loops.map((loop) => loop.stop(markStale)))
    this.#client.close()
  }
}
