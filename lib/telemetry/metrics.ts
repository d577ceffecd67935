/**
 * Sightline's own metrics: one registry, the only module-level state of the program. A metric is declared beside the code that moves it; names are
 * `sightline_<noun>_<unit>`, counters end in `_total`, every drop and refusal has a `reason`.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

export const registry = new Registry()

/** CPU, memory, open files and event-loop lag of the process, under prom-client's names. Once, by the program. */
export function collectProcessMetrics(): void {
  collectDefaultMetrics({ register: registry })
}

export function counter<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
  return new Counter({ name, help, labelNames: [...labelNames], registers: [registry] })
}

/** A counter whose values are kept elsewhere: `read` tells all of them at each scrape of /metrics. */
export function observedCounter<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[],
  read: () => Promise<readonly { readonly labels: Record<L, string>; readonly value: number }[]>,
): Counter<L> {
  return new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    async collect() {
      this.reset()
      for (const { labels, value } of await read()) this.inc(labels as Parameters<Counter<L>['inc']>[0] & object, value)
    },
  })
}

/** `collect` runs at each scrape of /metrics and sets the value then. */
export function gauge<L extends string = never>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  collect?: (this: Gauge<L>) => void | Promise<void>,
): Gauge<L> {
  return new Gauge({ name, help, labelNames: [...labelNames], registers: [registry], ...(collect === undefined ? {} : { collect }) })
}

export function histogram<L extends string = never>(
  name: string,
  help: string,
  buckets: readonly number[],
  labelNames: readonly L[] = [],
): Histogram<L> {
  return new Histogram({ name, help, labelNames: [...labelNames], buckets: [...buckets], registers: [registry] })
}
