/** All scrape pools; reloads stop and start only those whose configuration changed. */
import type { GlobalConfig, ScrapeConfig } from '../../lib/config/index.ts'
import { labelsToObject } from '../../lib/model/index.ts'
import { BodyPool } from './bodies.ts'
import { ScrapePool, type PoolDeps } from './pool.ts'

/** As `/api/v1/targets` shows it. */
export interface TargetStatus {
  readonly discoveredLabels: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly scrapePool: string
  readonly scrapeUrl: string
  readonly lastError: string
  readonly lastScrapeMs: number
  readonly lastDurationSeconds: number
  readonly health: 'unknown' | 'up' | 'down'
  readonly intervalMs: number
  readonly timeoutMs: number
}

export interface Scraper {
  /** Errors: bad_data where a configuration can't be used; then nothing changed. */
  apply(global: GlobalConfig, configs: readonly ScrapeConfig[], deps: PoolDeps): Promise<void>
  targets(): TargetStatus[]
  droppedTargets(): Readonly<Record<string, string>>[]
  pools(): string[]
  stop(): Promise<void>
}

export function createScraper(): Scraper {
  const bodies = new BodyPool()
  let pools = new Map<string, { text: string; pool: ScrapePool }>()
  return {
    async apply(global, configs, deps) {
      const next = new Map<string, { text: string; pool: ScrapePool }>()
      const fresh: ScrapePool[] = []
      for (const config of configs) {
        // Secrets print alike, so they are part of the comparison by value.
        const text = JSON.stringify([config, global, deps.externalLabels, deps.tenant, revealed(config)])
        const running = pools.get(config.job_name)
        if (running?.text === text) next.set(config.job_name, running)
        else {
          const pool = new ScrapePool(config, global, deps, bodies)
          fresh.push(pool)
          next.set(config.job_name, { text, pool })
        }
      }
      const gone = [...pools].filter(([name, { pool }]) => next.get(name)?.pool !== pool)
      pools = next
      await Promise.all(gone.map(([, { pool }]) => pool.stop(true)))
      for (const pool of fresh) pool.start()
    },
    targets: () =>
      [...pools.values()].flatMap(({ pool }) =>
        pool.loops.map(({ target, state }) => ({
          discoveredLabels: target.discoveredLabels,
          labels: labelsToObject(target.labels),
          scrapePool: pool.config.job_name,
          scrapeUrl: target.url,
          lastError: state.lastError,
          lastScrapeMs: state.lastScrapeMs,
          lastDurationSeconds: state.lastDurationSeconds,
          health: state.health,
          intervalMs: target.intervalMs,
          timeoutMs: target.timeoutMs,
        })),
      ),
    droppedTargets: () => [...pools.values()].flatMap(({ pool }) => pool.dropped),
    pools: () => [...pools.keys()],
    async stop() {
      // Not stale: after a restart the same targets go on.
      await Promise.all([...pools.values()].map(({ pool }) => pool.stop(false)))
      pools = new Map()
    },
  }
}

function revealed({ basic_auth, authorization, bearer_token }: ScrapeConfig): (string | undefined)[] {
  return [basic_auth?.password?.reveal(), authorization?.credentials?.reveal(), bearer_token?.reveal()]
}
