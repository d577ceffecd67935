/** From discovered labels to a target: defaults, relabeling, the URL. Source: Prometheus `scrape/target.go` `PopulateLabels`; no known difference. */
import type { GlobalConfig, ScrapeConfig } from '../../lib/config/index.ts'
import {
  formatDuration,
  hasLabel,
  labelsOf,
  labelsToObject,
  labelsWith,
  labelValue,
  parseDuration,
  type Labels,
} from '../../lib/model/index.ts'
import type { Relabeler } from '../../lib/relabel/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { TargetGroup } from '../discovery/index.ts'

export interface Target {
  readonly discoveredLabels: Readonly<Record<string, string>>
  /** What every sample of the target gets: `job`, `instance` and whatever relabeling kept. */
  readonly labels: Labels
  readonly url: string
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** Prometheus' default where `scrape_timeout` is not given, and never more than the interval. */
const TIMEOUT_MS = 10_000

/** The target of one address, undefined where relabeling dropped it. Errors: bad_data where it has no address or a bad one. */
export function targetOf(
  address: string,
  group: TargetGroup,
  config: ScrapeConfig,
  global: GlobalConfig,
  relabeler: Relabeler,
): Target | undefined {
  const intervalMs = config.scrape_interval ?? global.scrape_interval
  const timeoutMs = config.scrape_timeout ?? Math.min(global.scrape_timeout ?? TIMEOUT_MS, intervalMs)
  const discoveredLabels: Record<string, string> = {
    job: config.job_name,
    __scrape_interval__: formatDuration(intervalMs),
    __scrape_timeout__: formatDuration(timeoutMs),
    __metrics_path__: config.metrics_path,
    __scheme__: config.scheme,
    ...Object.fromEntries(Object.entries(config.params).map(([name, values]) => [`__param_${name}`, values[0] ?? ''])),
    ...group.labels,
    __address__: address,
  }
  let labels = relabeler.apply(labelsOf(discoveredLabels))
  if (labels === undefined) return undefined
  const finalAddress = labelValue(labels, '__address__')
  if (finalAddress === '') throw new SightlineError('bad_data', 'no address')
  if (!hasLabel(labels, 'instance')) labels = labelsWith(labels, 'instance', finalAddress)
  return {
    discoveredLabels,
    labels: withoutInternal(labels),
    url: urlOf(labels, config),
    intervalMs: durationOf(labels, '__scrape_interval__'),
    timeoutMs: durationOf(labels, '__scrape_timeout__'),
  }
}

function durationOf(labels: Labels, name: string): number {
  const ms = parseDuration(labelValue(labels, name))
  if (ms === undefined || ms === 0)
    throw new SightlineError('bad_data', `error parsing ${name.includes('interval') ? 'scrape interval' : 'scrape timeout'}`)
  return ms
}

function urlOf(labels: Labels, config: ScrapeConfig): string {
  const params = new URLSearchParams()
  for (const [name, values] of Object.entries(config.params)) for (const value of values.slice(1)) params.append(name, value)
  const all = labelsToObject(labels)
  const first = new URLSearchParams()
  for (const [name, value] of Object.entries(all)) if (name.startsWith('__param_')) first.append(name.slice('__param_'.length), value)
  const query = [first.toString(), params.toString()].filter((part) => part !== '').join('&')
  const path = labelValue(labels, '__metrics_path__')
  const scheme = labelValue(labels, '__scheme__')
  try {
    return new URL(
      `${scheme}://${labelValue(labels, '__address__')}${path.startsWith('/') ? '' : '/'}${path}${query === '' ? '' : `?${query}`}`,
    ).href
  } catch {
    throw new SightlineError('bad_data', `"${labelValue(labels, '__address__')}" is not a valid hostname`)
  }
}

function withoutInternal(labels: Labels): Labels {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (!labels[i]!.startsWith('__')) out.push(labels[i]!, labels[i + 1]!)
  return out
}
