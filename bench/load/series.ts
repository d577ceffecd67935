/**
 * The metrics of a fleet of services: instances of 100 series each, sixty of them histogram buckets, twenty counters, twenty gauges.
 *
 * Values move as those of services do: whole counters, counters of seconds with two decimals, whole gauges, memory in pages, walks with two decimals.
 * Names begin with `bench_`, so that what was stored can be counted by name. Labels: twelve a series over remote write, as a scraped pod has them.
 */
import type { Random } from './random.ts'

export const SERIES_PER_INSTANCE = 100

const ROUTES = ['/', '/cart', '/checkout', '/items', '/search']
const BUCKETS = ['0.005', '0.01', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '10', '+Inf']
const CODES = ['200', '404', '500', '503']

type Kind = 'bucket' | 'sum' | 'count' | 'requests' | 'seconds' | 'depth' | 'memory' | 'walk'

export interface SeriesShape {
  readonly name: string
  readonly family: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Its own labels, those a target exposes: names ascending, name and value in turn. */
  readonly labels: readonly string[]
  readonly kind: Kind
}

/** The 100 series of one instance, families in order. */
export function shapesOfInstance(): SeriesShape[] {
  const histogram = ROUTES.flatMap((route): SeriesShape[] => {
    const family = { family: 'bench_http_request_duration_seconds', type: 'histogram' } as const
    const of = (suffix: string, kind: Kind, ...more: string[]): SeriesShape => ({
      ...family,
      name: family.family + suffix,
      labels: [...more, 'method', 'GET', 'route', route],
      kind,
    })
    return [...BUCKETS.map((le) => of('_bucket', 'bucket', 'le', le)), of('_sum', 'sum'), of('_count', 'count')]
  })
  const counters = ROUTES.flatMap((route) =>
    CODES.slice(0, 3).map((code): SeriesShape => ({
      name: 'bench_http_requests_total',
      family: 'bench_http_requests',
      type: 'counter',
      labels: ['code', code, 'method', 'GET', 'route', route],
      kind: 'requests',
    })),
  )
  const numbered = (count: number, name: string, type: 'counter' | 'gauge', kind: Kind, label: string): SeriesShape[] =>
    Array.from({ length: count }, (_, i) => ({ name, family: name.replace(/_total$/, ''), type, labels: [label, `${label}-${i}`], kind }))
  return [
    ...histogram,
    ...counters,
    ...numbered(5, 'bench_cpu_seconds_total', 'counter', 'seconds', 'cpu'),
    ...numbered(8, 'bench_queue_depth', 'gauge', 'depth', 'queue'),
    ...numbered(6, 'bench_memory_bytes', 'gauge', 'memory', 'area'),
    ...numbered(6, 'bench_load_ratio', 'gauge', 'walk', 'device'),
  ]
}

/** The values of some instances at one time after another. Owns one array, which `step` changes in place. */
export class SeriesValues {
  readonly values: Float64Array
  readonly #shapes: readonly SeriesShape[]
  readonly #random: Random

  constructor(instances: number, random: Random) {
    this.#shapes = shapesOfInstance()
    this.values = new Float64Array(instances * SERIES_PER_INSTANCE)
    this.#random = random
    for (let i = 0; i < this.values.length; i++) this.values[i] = start(this.#shapes[i % SERIES_PER_INSTANCE]!.kind, random)
  }

  step(): void {
    let added = 0
    for (let i = 0; i < this.values.length; i++) {
      const shape = this.#shapes[i % SERIES_PER_INSTANCE]!
      const value = this.values[i]!
      if (shape.kind === 'bucket') {
        // Buckets are cumulative: each adds what the one below added, and some more.
        added = shape.labels[1] === BUCKETS[0] ? this.#random.below(3) : added + this.#random.below(3)
        this.values[i] = value + added
      } else {
        this.values[i] = shape.kind === 'count' ? value + added : moved(shape.kind, value, this.#random)
      }
    }
  }
}

function start(kind: Kind, random: Random): number {
  switch (kind) {
    case 'depth':
      return random.below(100)
    case 'memory':
      return (20_000 + random.below(100_000)) * 4096
    case 'walk':
      return random.below(10_000) / 100
    default:
      return 0
  }
}

function moved(kind: Kind, value: number, random: Random): number {
  switch (kind) {
    case 'sum':
      return Math.round((value + random.next() * 3) * 1e6) / 1e6
    case 'seconds':
      return Math.round((value + random.next() * 10) * 100) / 100
    case 'requests':
      return value + random.below(500)
    case 'depth':
      return random.below(100)
    case 'memory':
      return value + (random.below(65) - 32) * 4096
    default:
      return Math.round(value * 100 + random.below(41) - 20) / 100
  }
}

/** PromQL that counts the samples of a load, name by name: without their names, series of two families could be one. */
export function countQuery(kind: 'remote-write' | 'otlp-metrics', window: string): string {
  const names = shapesOfInstance().map(({ name, type }) =>
    kind === 'otlp-metrics' && type !== 'gauge' && !name.endsWith('_total') ? `${name}_total` : name,
  )
  return [...new Set(names)].map((name) => `sum(count_over_time(${name}[${window}]))`).join(' + ')
}

/** Labels of an instance beside the series' own, ascending by name, as relabeling of a pod's labels leaves them. */
export function instanceLabels(instance: number): Record<string, string> {
  const app = `app-${instance % 20}`
  return {
    cluster: 'bench',
    container: 'main',
    instance: `10.${Math.floor(instance / 250) % 250}.${instance % 250}.1:8080`,
    job: `bench/${app}`,
    namespace: `team-${instance % 7}`,
    node: `node-${instance % 40}`,
    pod: `${app}-5f7d8c9b4-${instance.toString(36).padStart(5, 'x')}`,
    service: app,
    zone: `eu-${instance % 3}`,
  }
}
