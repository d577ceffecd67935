/** Alertmanager's configuration file: strict keys; what isn't built is an error that names it. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { durationMs, httpClientConfig, secret } from '../../lib/config/index.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { NotificationTemplates } from '../template/index.ts'
import { DEFAULT_TEMPLATES } from './notify/default-templates.ts'
import { parseMatcher } from './matchers.ts'

const matcherText = z.string().superRefine((text, context) => {
  try {
    parseMatcher(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) })
  }
})
const texts = z.record(z.string(), z.string())
const notBuilt = (what: string): z.ZodType =>
  z
    .array(z.unknown())
    .max(0, { error: `${what} is not built yet` })
    .optional()

const pairs = z.array(z.strictObject({ title: z.string(), value: z.string(), short: z.boolean().optional() }))

const slackConfig = z.strictObject({
  send_resolved: z.boolean().default(false),
  http_config: httpClientConfig.optional(),
  api_url: secret.optional(),
  api_url_file: z.string().optional(),
  channel: z.string().default(''),
  username: z.string().default('{{ template "slack.default.username" . }}'),
  color: z.string().default('{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'),
  title: z.string().default('{{ template "slack.default.title" . }}'),
  title_link: z.string().default('{{ template "slack.default.titlelink" . }}'),
  pretext: z.string().default('{{ template "slack.default.pretext" . }}'),
  text: z.string().default('{{ template "slack.default.text" . }}'),
  fields: pairs.default([]),
  short_fields: z.boolean().default(false),
  footer: z.string().default('{{ template "slack.default.footer" . }}'),
  fallback: z.string().default('{{ template "slack.default.fallback" . }}'),
  callback_id: z.string().default('{{ template "slack.default.callbackid" . }}'),
  icon_emoji: z.string().default('{{ template "slack.default.iconemoji" . }}'),
  icon_url: z.string().default('{{ template "slack.default.iconurl" . }}'),
  image_url: z.string().default(''),
  thumb_url: z.string().default(''),
  link_names: z.boolean().default(false),
  mrkdwn_in: z.array(z.string()).default(['fallback', 'pretext', 'text']),
  actions: z.array(z.record(z.string(), z.unknown())).max(0, { error: 'slack actions are not built yet' }).default([]),
  timeout: durationMs.default(0),
})

const pagerdutyConfig = z.strictObject({
  send_resolved: z.boolean().default(true),
  http_config: httpClientConfig.optional(),
  routing_key: secret.optional(),
  routing_key_file: z.string().optional(),
  service_key: z.never({ error: 'service_key (Events API v1) is not built: use routing_key' }).optional(),
  url: z.string().optional(),
  client: z.string().default('{{ template "pagerduty.default.client" . }}'),
  client_url: z.string().default('{{ template "pagerduty.default.clientURL" . }}'),
  description: z.string().default('{{ template "pagerduty.default.description" . }}'),
  severity: z.string().default('error'),
  source: z.string().optional(),
  class: z.string().default(''),
  component: z.string().default(''),
  group: z.string().default(''),
  details: texts.default({}),
  images: z.array(z.strictObject({ src: z.string().default(''), href: z.string().default(''), alt: z.string().default('') })).default([]),
  links: z.array(z.strictObject({ href: z.string().default(''), text: z.string().default('') })).default([]),
  timeout: durationMs.default(0),
})

const webhookConfig = z.strictObject({
  send_resolved: z.boolean().default(true),
  http_config: httpClientConfig.optional(),
  url: secret.optional(),
  url_file: z.string().optional(),
  max_alerts: z.number().int().nonnegative().default(0),
  timeout: durationMs.default(0),
})

const UNBUILT = [
  'discord', 'email', 'incidentio', 'jira', 'mattermost', 'msteams', 'msteamsv2', 'opsgenie', 'pushover', 'rocketchat', 'sns', 'telegram', 'victorops', 'webex', 'wechat',
] // prettier-ignore
const unbuilt = Object.fromEntries(
  UNBUILT.map((name) => [`${name}_configs`, notBuilt(`the integration ${name} (slack, pagerduty and webhook are); it`)]),
)

const receiver = z.strictObject({
  name: z.string().min(1),
  slack_configs: z.array(slackConfig).default([]),
  pagerduty_configs: z.array(pagerdutyConfig).default([]),
  webhook_configs: z.array(webhookConfig).default([]),
  ...unbuilt,
})

const routeShape = {
  receiver: z.string().optional(),
  group_by: z.array(z.string()).optional(),
  continue: z.boolean().default(false),
  match: texts.default({}),
  match_re: texts.default({}),
  matchers: z.array(matcherText).default([]),
  group_wait: durationMs.optional(),
  group_interval: durationMs.refine((ms) => ms > 0, 'group_interval cannot be zero').optional(),
  repeat_interval: durationMs.refine((ms) => ms > 0, 'repeat_interval cannot be zero').optional(),
  mute_time_intervals: notBuilt('muting by time intervals'),
  active_time_intervals: notBuilt('muting by time intervals'),
}

export interface RouteConfig extends z.output<z.ZodObject<typeof routeShape>> {
  readonly routes: readonly RouteConfig[]
}

const route: z.ZodType<RouteConfig> = z.strictObject({
  ...routeShape,
  get routes() {
    return z.array(route).default([])
  },
}) as unknown as z.ZodType<RouteConfig>

const inhibitRule = z.strictObject({
  source_match: texts.default({}),
  source_match_re: texts.default({}),
  source_matchers: z.array(matcherText).default([]),
  target_match: texts.default({}),
  target_match_re: texts.default({}),
  target_matchers: z.array(matcherText).default([]),
  equal: z.array(z.string()).default([]),
})

const globalConfig = z
  .strictObject({
    resolve_timeout: durationMs.default(300_000),
    http_config: httpClientConfig.optional(),
    slack_api_url: secret.optional(),
    slack_api_url_file: z.string().optional(),
    pagerduty_url: z.string().default('https://events.pagerduty.com/v2/enqueue'),
  })
  .prefault({})

const schema = z.strictObject({
  global: globalConfig,
  templates: z.array(z.string()).default([]),
  route: route.optional(),
  receivers: z.array(receiver).default([]),
  inhibit_rules: z.array(inhibitRule).default([]),
  time_intervals: notBuilt('time_intervals'),
  mute_time_intervals: notBuilt('mute_time_intervals'),
})

export type SlackConfig = z.output<typeof slackConfig>
export type PagerdutyConfig = z.output<typeof pagerdutyConfig>
export type WebhookConfig = z.output<typeof webhookConfig>
export type ReceiverConfig = z.output<typeof receiver>
export type InhibitRuleConfig = z.output<typeof inhibitRule>
export type GlobalConfig = z.output<typeof globalConfig>

export interface AlertmanagerConfig {
  readonly global: GlobalConfig
  readonly route: RouteConfig
  readonly receivers: readonly ReceiverConfig[]
  readonly inhibitRules: readonly InhibitRuleConfig[]
  readonly templates: NotificationTemplates
}

/**
 * @param given the section itself, the name of a file with it, or nothing: then alerts are only seen
 * Errors: bad_data with every problem on a line of its own.
 */
export function loadAlertmanagerConfig(given: string | Readonly<Record<string, unknown>> | undefined): AlertmanagerConfig {
  if (given === undefined)
    return parseAlertmanagerConfig({ route: { receiver: 'none' }, receivers: [{ name: 'none' }] }, 'alertmanager', '.')
  if (typeof given !== 'string') return parseAlertmanagerConfig(given, 'alertmanager', '.')
  let text: string
  try {
    text = readFileSync(given, 'utf8')
  } catch (error) {
    throw new SightlineError('bad_data', `cannot read Alertmanager configuration ${given}: ${messageOf(error)}`)
  }
  const document = parseDocument(text)
  if (document.errors.length > 0) throw new SightlineError('bad_data', `${given}: ${document.errors[0]!.message.split('\n')[0]}`)
  return parseAlertmanagerConfig(document.toJS() ?? {}, given, dirname(resolve(given)))
}

export function parseAlertmanagerConfig(raw: unknown, file: string, base: string): AlertmanagerConfig {
  const parsed = schema.safeParse(raw)
  if (!parsed.success) {
    const lines = parsed.error.issues.flatMap((issue) => {
      const at = issue.path
        .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
        .join('')
        .replace(/^\./, '')
      return issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `${at === '' ? '' : `${at}.`}${key}: unknown key`)
        : [`${at}: ${issue.message}`]
    })
    throw new SightlineError('bad_data', lines.map((line) => `${file}: ${line}`).join('\n'))
  }
  const { global, route: root, receivers, inhibit_rules: inhibitRules } = parsed.data
  const problems = crossChecks(parsed.data)
  const templates = new NotificationTemplates()
  templates.add(DEFAULT_TEMPLATES, 'default')
  for (const pattern of parsed.data.templates) {
    for (const path of globSync(isAbsolute(pattern) ? pattern : resolve(base, pattern)).sort()) {
      try {
        templates.add(readFileSync(path, 'utf8'), path)
      } catch (error) {
        problems.push(messageOf(error))
      }
    }
  }
  for (const one of receivers) problems.push(...templateProblems(one, templates))
  if (problems.length > 0 || root === undefined) throw new SightlineError('bad_data', problems.map((line) => `${file}: ${line}`).join('\n'))
  return { global, route: root, receivers, inhibitRules, templates }
}

function crossChecks({ global, route: root, receivers }: z.output<typeof schema>): string[] {
  const problems: string[] = []
  const names = new Set<string>()
  for (const { name, slack_configs, pagerduty_configs, webhook_configs } of receivers) {
    if (names.has(name)) problems.push(`notification config name "${name}" is not unique`)
    names.add(name)
    for (const slack of slack_configs) {
      if ([slack.api_url, slack.api_url_file, global.slack_api_url, global.slack_api_url_file].every((one) => one === undefined)) {
        problems.push(`receiver "${name}": no global Slack API URL set either inline or in a file`)
      }
    }
    for (const pager of pagerduty_configs) {
      if ((pager.routing_key === undefined) === (pager.routing_key_file === undefined)) {
        problems.push(`receiver "${name}": at most and at least one of routing_key & routing_key_file must be configured`)
      }
    }
    for (const hook of webhook_configs) {
      if ((hook.url === undefined) === (hook.url_file === undefined))
        problems.push(`receiver "${name}": one of url or url_file must be configured`)
    }
  }
  if (root === undefined) return [...problems, 'no routes provided']
  if (root.receiver === undefined) problems.push('root route must specify a default receiver')
  if (Object.keys(root.match).length + Object.keys(root.match_re).length + root.matchers.length > 0)
    problems.push('root route must not have any matchers')
  const walk = (one: RouteConfig): void => {
    if (one.receiver !== undefined && !names.has(one.receiver)) problems.push(`undefined receiver "${one.receiver}" used in route`)
    if (one.group_by?.includes('...') === true && one.group_by.length > 1)
      problems.push('cannot have wildcard group_by (`...`) and other labels at the same time')
    for (const child of one.routes) walk(child)
  }
  walk(root)
  return problems
}

/** Texts of a receiver's integrations that don't parse as templates. */
function templateProblems(one: ReceiverConfig, templates: NotificationTemplates): string[] {
  const problems: string[] = []
  const walk = (value: unknown, at: string): void => {
    if (typeof value === 'string') {
      try {
        templates.check(value)
      } catch (error) {
        problems.push(`receiver "${one.name}": ${at}: ${messageOf(error)}`)
      }
    } else if (Array.isArray(value)) value.forEach((item, i) => walk(item, `${at}[${i}]`))
    else if (value !== null && typeof value === 'object') for (const [key, item] of Object.entries(value)) walk(item, `${at}.${key}`)
  }
  walk(one.slack_configs, 'slack_configs')
  walk(one.pagerduty_configs, 'pagerduty_configs')
  return problems
}
