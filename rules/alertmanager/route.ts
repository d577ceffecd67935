/** The tree of routes: which receivers an alert goes to, and how it is grouped there. Source: Alertmanager `dispatch/route.go`. */
import { formatLabels, labelsKeep, matchesAll, type Labels, type Matcher } from '../../lib/model/index.ts'
import type { RouteConfig } from './config.ts'
import { matchersOf, printMatchers } from './matchers.ts'

export interface Route {
  /** Names the route among all: its matchers and those of the routes above it. */
  readonly key: string
  readonly receiver: string
  readonly matchers: readonly Matcher[]
  readonly continues: boolean
  /** 'all': by every label (`group_by: ['...']`). */
  readonly groupBy: ReadonlySet<string> | 'all'
  readonly groupWaitMs: number
  readonly groupIntervalMs: number
  readonly repeatIntervalMs: number
  readonly routes: readonly Route[]
}

const DEFAULTS = {
  receiver: '',
  groupBy: new Set<string>(),
  groupWaitMs: 30_000,
  groupIntervalMs: 300_000,
  repeatIntervalMs: 4 * 3_600_000,
}
/** Deeper trees are cut: nobody writes them. */
const DEPTH_MAX = 50

type Inherited = Pick<Route, 'receiver' | 'groupBy' | 'groupWaitMs' | 'groupIntervalMs' | 'repeatIntervalMs'>

export function buildRoute(config: RouteConfig, parent?: Inherited & { readonly key: string }, depth = 0): Route {
  const from: Inherited = parent ?? DEFAULTS
  const matchers = matchersOf({ match: config.match, matchRe: config.match_re, matchers: config.matchers })
  const own = {
    key: parent === undefined ? printMatchers(matchers) : `${parent.key}/${printMatchers(matchers)}`,
    receiver: config.receiver ?? from.receiver,
    groupBy: config.group_by === undefined ? from.groupBy : config.group_by.includes('...') ? ('all' as const) : new Set(config.group_by),
    groupWaitMs: config.group_wait ?? from.groupWaitMs,
    groupIntervalMs: config.group_interval ?? from.groupIntervalMs,
    repeatIntervalMs: config.repeat_interval ?? from.repeatIntervalMs,
  }
  const routes = depth >= DEPTH_MAX ? [] : config.routes.map((child) => buildRoute(child, own, depth + 1))
  return { ...own, matchers, continues: config.continue, routes }
}

/** The deepest routes that match; siblings after a match count only where it says `continue`. */
export function routesFor(route: Route, labels: Labels): Route[] {
  if (!matchesAll(route.matchers, labels)) return []
  const out: Route[] = []
  for (const child of route.routes) {
    const found = routesFor(child, labels)
    out.push(...found)
    if (found.length > 0 && !child.continues) break
  }
  return out.length > 0 ? out : [route]
}

export function groupLabelsOf(route: Route, labels: Labels): Labels {
  return route.groupBy === 'all' ? labels : labelsKeep(labels, route.groupBy)
}

/** What receivers know the group by: PagerDuty's `dedup_key` is its hash. */
export function groupKeyOf(route: Route, groupLabels: Labels): string {
  return `${route.key}:${formatLabels(groupLabels)}`
}
