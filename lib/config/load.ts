/**
 * From a file's text to a configuration: YAML, `${env:NAME}`, schema, problems with their paths.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import { SightlineError } from '../runtime/errors.ts'
import { configSchema, FOREIGN_SECTIONS, type Config } from './schema.ts'

export interface LoadedConfig {
  readonly config: Config
  /** Things that were accepted and have no effect, by path. */
  readonly warnings: readonly string[]
  /** The text as it was given, for `/api/v1/status/config`; secrets in it are replaced. */
  readonly text: string
  readonly path: string | undefined
}

/** Reads and checks a file; without a path, the defaults. Errors: bad_data with every problem on a line of its own. */
export function loadConfig(path: string | undefined, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  if (path === undefined) return { config: configSchema.parse({}), warnings: [], text: '', path }
  if (!existsSync(path)) throw new SightlineError('bad_data', `cannot read configuration ${path}: no such file`)
  const loaded = parseConfig(readFileSync(path, 'utf8'), path, env)
  return { ...loaded, config: withAbsolutePaths(loaded.config, dirname(resolve(path))) }
}

export function parseConfig(text: string, path: string, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  const document = parseDocument(text, { prettyErrors: true })
  if (document.errors.length > 0) {
    throw new SightlineError('bad_data', document.errors.map((error) => `${path}: ${error.message.split('\n')[0]}`).join('\n'))
  }
  const problems: string[] = []
  const raw = (expandEnv(document.toJS(), env, '', problems) ?? {}) as Record<string, unknown>
  const warnings: string[] = []
  for (const [key, why] of Object.entries(FOREIGN_SECTIONS)) {
    if (typeof raw === 'object' && key in raw) {
      warnings.push(`${key}: has no effect here: ${why}`)
      delete raw[key]
    }
  }
  warnings.push(...withoutEffect(raw))
  const parsed = configSchema.safeParse(raw)
  if (!parsed.success) problems.push(...parsed.error.issues.flatMap((issue) => describeIssue(issue, raw)))
  if (parsed.success) problems.push(...crossChecks(parsed.data))
  if (problems.length > 0 || !parsed.success) {
    throw new SightlineError('bad_data', problems.map((problem) => `${path}: ${problem}`).join('\n'))
  }
  return { config: parsed.data, warnings, text: JSON.stringify(withoutSecrets(parsed.data), null, 2), path }
}

/** Keys of prometheus.yml that are read and change nothing yet: said, so that nobody relies on them. */
const NO_EFFECT: Readonly<Record<string, string>> = {
  track_timestamps_staleness: 'series with timestamps of their own get no stale markers',
  fallback_scrape_protocol: 'a target that names no content type is read as text 0.0.4',
  always_scrape_classic_histograms: 'classic histograms are always scraped',
  convert_classic_histograms_to_nhcb: 'classic histograms stay classic',
  scrape_native_histograms: 'the protobuf format of scraping is not built yet',
  native_histogram_bucket_limit: 'the protobuf format of scraping is not built yet',
  native_histogram_min_bucket_factor: 'the protobuf format of scraping is not built yet',
  scrape_failure_log_file: 'failed scrapes are in the log and in /api/v1/targets',
  query_log_file: 'queries are not logged to a file',
}

function withoutEffect(raw: Record<string, unknown>): string[] {
  const sections = [
    ['global', raw['global']] as const,
    ...asList(raw['scrape_configs']).map((job, i) => [`scrape_configs[${i}]`, job] as const),
  ]
  return sections.flatMap(([path, section]) =>
    section === null || typeof section !== 'object'
      ? []
      : Object.keys(section)
          .filter((key) => Object.hasOwn(NO_EFFECT, key))
          .map((key) => `${path}.${key}: has no effect here: ${NO_EFFECT[key]}`),
  )
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** Replaces `${env:NAME}` in every text; `$1`, `${1}` and `$labels` are other people's and stay. */
function expandEnv(value: unknown, env: NodeJS.ProcessEnv, at: string, problems: string[]): unknown {
  if (typeof value === 'string') {
    return value.replaceAll(/\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
      const found = env[name]
      if (found === undefined) problems.push(`${at}: environment variable ${name} is not set`)
      return found ?? ''
    })
  }
  if (Array.isArray(value)) return value.map((item, i) => expandEnv(item, env, `${at}[${i}]`, problems))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, expandEnv(item, env, at === '' ? key : `${at}.${key}`, problems)]),
    )
  }
  return value
}

function describeIssue(issue: z.core.$ZodIssue, raw: unknown): string[] {
  const at = formatPath(issue.path)
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path)
    return issue.keys.map((key) => {
      const near = nearest(key, known)
      return `${at === '' ? '' : `${at}.`}${key}: unknown key${near === undefined ? '' : `, did you mean ${near}?`}`
    })
  }
  const given = valueAt(raw, issue.path)
  const shown = given === undefined || typeof given === 'object' || isSecretPath(issue.path) ? '' : ` (given: ${JSON.stringify(given)})`
  return [`${at}: ${issue.message}${shown}`]
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`)).join('')
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const part of path) at = at === null || typeof at !== 'object' ? undefined : (at as Record<PropertyKey, unknown>)[part]
  return at
}

function isSecretPath(path: readonly PropertyKey[]): boolean {
  return path.some((part) => /password|token|credential|secret|key/i.test(String(part)))
}

interface SchemaNode {
  readonly _zod?: {
    readonly def?: {
      readonly shape?: Record<string, SchemaNode>
      readonly element?: SchemaNode
      readonly innerType?: SchemaNode
      readonly in?: SchemaNode
    }
  }
}

/** The keys the schema knows at a path, to suggest the one that was meant. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let node: SchemaNode | undefined = configSchema as unknown as SchemaNode
  for (const part of path) {
    node = unwrap(node)
    node = typeof part === 'number' ? node?._zod?.def?.element : node?._zod?.def?.shape?.[String(part)]
  }
  return Object.keys(unwrap(node)?._zod?.def?.shape ?? {})
}

function unwrap(node: SchemaNode | undefined): SchemaNode | undefined {
  let at = node
  for (;;) {
    const inner: SchemaNode | undefined = at?._zod?.def?.innerType ?? at?._zod?.def?.in
    if (inner === undefined) return at
    at = inner
  }
}

function nearest(key: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(key.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(key, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

/** What one section's schema can't see. */
function crossChecks(config: Config): string[] {
  const problems: string[] = []
  const jobs = new Set<string>()
  for (const [i, scrape] of config.scrape_configs.entries()) {
    if (jobs.has(scrape.job_name))
      problems.push(`scrape_configs[${i}].job_name: found multiple scrape configs with job name "${scrape.job_name}"`)
    jobs.add(scrape.job_name)
    const intervalMs = scrape.scrape_interval ?? config.global.scrape_interval
    const timeoutMs = scrape.scrape_timeout ?? config.global.scrape_timeout
    if (timeoutMs !== undefined && timeoutMs > intervalMs) {
      problems.push(
        `scrape_configs[${i}].scrape_timeout: scrape timeout greater than scrape interval for scrape config with job name "${scrape.job_name}"`,
      )
    }
  }
  const sources = new Set<string>()
  for (const [i, tail] of config.tail.entries()) {
    if (sources.has(tail.name)) problems.push(`tail[${i}].name: two tail sources are named "${tail.name}"`)
    sources.add(tail.name)
  }
  const destinations = new Set<string>()
  for (const [i, { name, type }] of config.ship.entries()) {
    if (destinations.has(name)) problems.push(`ship[${i}].name: two destinations are named "${name}"`)
    destinations.add(name)
    if (type === 'kafka' && config.kafka === undefined) problems.push(`ship[${i}].type: kafka needs the section kafka`)
  }
  if (config.journal.type === 'kafka' && config.kafka === undefined) problems.push('journal.type: kafka needs the section kafka')
  if (config.logs.store === 'elasticsearch' && config.elasticsearch === undefined) {
    problems.push('logs.store: elasticsearch needs the section elasticsearch')
  }
  return problems
}

/** Keys of the Alertmanager's own format that hold secrets; it is kept as it came, so they are plain texts. */
const ALERTMANAGER_SECRETS = /^(api_url|slack_api_url|url|routing_key|service_key|.*password|.*token|.*secret|credentials|api_key)$/

/** For printing. Everything but the Alertmanager's section has its secrets in objects that print as `<secret>`. */
function withoutSecrets(config: Config): unknown {
  const redacted = (value: unknown, key: string): unknown => {
    if (typeof value === 'string' && ALERTMANAGER_SECRETS.test(key)) return '<secret>'
    if (Array.isArray(value)) return value.map((item) => redacted(item, key))
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, redacted(item, name)]))
  }
  return typeof config.alertmanager === 'object' ? { ...config, alertmanager: redacted(config.alertmanager, '') } : config
}

/** Files are named relative to the configuration file, as in Prometheus. */
function withAbsolutePaths(config: Config, base: string): Config {
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(base, path))
  return {
    ...config,
    rule_files: config.rule_files.map(absolute),
    ...(typeof config.alertmanager === 'string' ? { alertmanager: absolute(config.alertmanager) } : {}),
    scrape_configs: config.scrape_configs.map((scrape) => ({
      ...scrape,
      file_sd_configs: scrape.file_sd_configs.map((sd) => ({ ...sd, files: sd.files.map(absolute) })),
    })),
    tail: config.tail.map((tail) => ({ ...tail, include: tail.include.map(absolute), exclude: tail.exclude.map(absolute) })),
    server:
      config.server.web_config_file === undefined
        ? config.server
        : { ...config.server, web_config_file: absolute(config.server.web_config_file) },
  }
}
