/**
 * Where targets come from. A discovery tells its whole present list of target groups, at first and whenever it changed; a list it can't get leaves
 * the last one in force.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { labelSet, type FileSdConfig, type HttpSdConfig, type ScrapeConfig } from '../../lib/config/index.ts'
import { createHttpClient } from '../../lib/http/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter, type Log } from '../../lib/telemetry/index.ts'

export interface TargetGroup {
  /** Names the group within its discovery: `0` of a static list, `<file>:<n>`, `<url>:<n>`. */
  readonly source: string
  readonly targets: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}

export interface DiscoveryContext {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

const failures = counter('sightline_discovery_failures_total', 'Refreshes of a discovery that failed and left the last list in force.', [
  'kind',
])

/** The body of a discovery answer, at most. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
/** How often files are looked at for changes; their `refresh_interval` is the longest time until a change shows. */
const FILE_POLL_MS = 1000

const groupsSchema = z.array(z.object({ targets: z.array(z.string()), labels: labelSet.nullish() }))

/** Runs all discoveries of a scrape configuration until the signal aborts; `onGroups` gets the union each time a part of it changed. */
export function discover(config: ScrapeConfig, context: DiscoveryContext, onGroups: (groups: readonly TargetGroup[]) => void): void {
  const parts = new Map<string, readonly TargetGroup[]>()
  const publish = (part: string, groups: readonly TargetGroup[]): void => {
    parts.set(part, groups)
    onGroups([...parts.values()].flat())
  }
  publish(
    'static',
    config.static_configs.map(({ targets, labels }, i) => ({ source: String(i), targets, labels })),
  )
  for (const [i, sd] of config.file_sd_configs.entries()) void watchFiles(sd, context, (groups) => publish(`file ${i}`, groups))
  for (const [i, sd] of config.http_sd_configs.entries()) void pollHttp(sd, context, (groups) => publish(`http ${i}`, groups))
}

async function watchFiles(
  sd: FileSdConfig,
  { clock, log, signal }: DiscoveryContext,
  publish: (groups: readonly TargetGroup[]) => void,
): Promise<void> {
  const known = new Map<string, { stamp: string; groups: readonly TargetGroup[] }>()
  while (!signal.aborted) {
    let changed = false
    const present = new Set(sd.files.flatMap(expandFiles))
    for (const path of known.keys()) if (!present.has(path)) changed = known.delete(path) || changed
    for (const path of present) {
      try {
        const { mtimeMs, size, ino } = statSync(path)
        const stamp = `${mtimeMs} ${size} ${ino}`
        if (known.get(path)?.stamp === stamp) continue
        known.set(path, { stamp, groups: readGroups(readFileSync(path, 'utf8'), path, known.get(path)?.groups) })
        changed = true
      } catch (error) {
        failures.inc({ kind: 'file' })
        log.warn({ path, error: messageOf(error) }, 'cannot read target file; its last targets stay')
      }
    }
    if (changed) publish([...known.values()].flatMap((file) => file.groups))
    await clock.sleep(Math.min(FILE_POLL_MS, sd.refresh_interval), signal)
  }
}

function readGroups(text: string, source: string, last: readonly TargetGroup[] | undefined): readonly TargetGroup[] {
  const parsed = groupsSchema.safeParse(parse(text) ?? [])
  if (parsed.success) return toGroups(parsed.data, source)
  failures.inc({ kind: 'file' })
  if (last === undefined)
    throw new SightlineError('bad_data', `${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`)
  return last
}

function toGroups(raw: z.output<typeof groupsSchema>, source: string): TargetGroup[] {
  return raw.map(({ targets, labels }, i) => ({
    source: `${source}:${i}`,
    targets,
    labels: { ...labels, ...(source.startsWith('http') ? { __meta_url: source } : { __meta_filepath: source }) },
  }))
}

/** Files of a pattern; `*` is allowed in the last part only, as in Prometheus. */
function expandFiles(pattern: string): string[] {
  if (!pattern.includes('*')) return existsSync(pattern) ? [pattern] : []
  const dir = dirname(pattern)
  if (!existsSync(dir)) return []
  const [before, after] = basename(pattern).split('*') as [string, string]
  return readdirSync(dir)
    .filter((name) => name.startsWith(before) && name.endsWith(after) && name.length >= before.length + after.length)
    .sort()
    .map((name) => join(dir, name))
}

async function pollHttp(
  sd: HttpSdConfig,
  { clock, log, signal }: DiscoveryContext,
  publish: (groups: readonly TargetGroup[]) => void,
): Promise<void> {
  const client = createHttpClient(sd)
  let last = ''
  while (!signal.aborted) {
    try {
      const headers = { accept: 'application/json', 'x-prometheus-refresh-interval-seconds': String(sd.refresh_interval / 1000) }
      const answer = await client.request(sd.url, { headers, timeoutMs: sd.refresh_interval, bodyBytesMax: ANSWER_BYTES_MAX, signal })
      if (answer.status !== 200) throw new SightlineError('unavailable', `server returned HTTP status ${answer.status}`)
      const text = answer.body.toString()
      if (text !== last) {
        publish(toGroups(groupsSchema.parse(JSON.parse(text)), sd.url))
        last = text
      }
    } catch (error) {
      failures.inc({ kind: 'http' })
      log.warn({ url: sd.url, error: messageOf(error) }, 'cannot refresh targets; the last ones stay')
    }
    await clock.sleep(sd.refresh_interval, signal)
  }
  client.close()
}
