/** PagerDuty's Events API v2. The group's key is the `dedup_key`: a repeat of an event is the same incident. Source: Alertmanager `notify/pagerduty`. */
import { createHash } from 'node:crypto'
import { revealSecret } from '../../../lib/config/index.ts'
import type { GlobalConfig, PagerdutyConfig } from '../config.ts'
import { postJson, type Integration, type IntegrationDeps } from './integration.ts'
import { cut } from './slack.ts'
import { statusOf, templateData } from './template-data.ts'

const SUMMARY_CHARS_MAX = 1024
/** PagerDuty refuses larger events; details then give way. */
const EVENT_BYTES_MAX = 512_000

const DEFAULT_DETAILS: Readonly<Record<string, string>> = {
  firing: '{{ template "pagerduty.default.instances" .Alerts.Firing }}',
  resolved: '{{ template "pagerduty.default.instances" .Alerts.Resolved }}',
  num_firing: '{{ .Alerts.Firing | len }}',
  num_resolved: '{{ .Alerts.Resolved | len }}',
}

export function pagerdutyIntegration(config: PagerdutyConfig, global: GlobalConfig, index: number, deps: IntegrationDeps): Integration {
  const url = config.url ?? global.pagerduty_url
  return {
    name: 'pagerduty',
    index,
    sendsResolved: config.send_resolved,
    notify(notification) {
      const data = templateData(notification)
      const expand = (text: string): string => deps.templates.expand(text, data)
      const details = Object.entries({ ...DEFAULT_DETAILS, ...config.details }).map(([name, text]) => [name, expand(text)] as const)
      const client = expand(config.client)
      const links = config.links.map(({ href, text }) => ({ href: expand(href), text: expand(text) }))
      const images = config.images.map(({ src, href, alt }) => ({ src: expand(src), href: expand(href), alt: expand(alt) }))
      const eventOf = (customDetails: object): object => ({
        client,
        client_url: expand(config.client_url),
        routing_key: revealSecret(config.routing_key, config.routing_key_file)!,
        event_action: statusOf(notification) === 'firing' ? 'trigger' : 'resolve',
        dedup_key: dedupKey(notification.groupKey),
        payload: {
          summary: cut(expand(config.description), SUMMARY_CHARS_MAX),
          source: config.source === undefined ? client : expand(config.source),
          severity: expand(config.severity),
          class: expand(config.class),
          component: expand(config.component),
          group: expand(config.group),
          custom_details: customDetails,
        },
        images: images.filter(({ src }) => src !== ''),
        links: links.filter(({ href }) => href !== ''),
      })
      const event = eventOf(Object.fromEntries(details))
      const fits = Buffer.byteLength(JSON.stringify(event)) <= EVENT_BYTES_MAX
      const sent = fits
        ? event
        : eventOf({ error: 'Custom details have been removed because the original event exceeds the maximum size of 512KB' })
      return postJson(deps, url, sent, config.timeout)
    },
  }
}

/** Keys are at most 255 characters there. */
export function dedupKey(groupKey: string): string {
  return createHash('sha256').update(groupKey).digest('hex')
}
