/** Slack's incoming webhooks: one message with one attachment a notification. Source: Alertmanager `notify/slack`. */
import { revealSecret } from '../../../lib/config/index.ts'
import type { GlobalConfig, SlackConfig } from '../config.ts'
import { postJson, type Integration, type IntegrationDeps } from './integration.ts'
import { templateData } from './template-data.ts'

/** Slack's own limit of a title. */
const TITLE_CHARS_MAX = 1024

export function slackIntegration(config: SlackConfig, global: GlobalConfig, index: number, deps: IntegrationDeps): Integration {
  const isOwn = config.api_url !== undefined || config.api_url_file !== undefined
  const urlOf = (): string =>
    (isOwn ? revealSecret(config.api_url, config.api_url_file) : revealSecret(global.slack_api_url, global.slack_api_url_file))!
  return {
    name: 'slack',
    index,
    sendsResolved: config.send_resolved,
    notify(notification) {
      const data = templateData(notification)
      const expand = (text: string): string => deps.templates.expand(text, data)
      const fields = config.fields.map(({ title, value, short }) => ({
        title: expand(title),
        value: expand(value),
        short: short ?? config.short_fields,
      }))
      const message = {
        channel: optional(expand(config.channel)),
        username: optional(expand(config.username)),
        icon_emoji: optional(expand(config.icon_emoji)),
        icon_url: optional(expand(config.icon_url)),
        link_names: config.link_names ? true : undefined,
        attachments: [
          {
            title: cut(expand(config.title), TITLE_CHARS_MAX),
            title_link: optional(expand(config.title_link)),
            pretext: optional(expand(config.pretext)),
            text: expand(config.text),
            fallback: expand(config.fallback),
            callback_id: expand(config.callback_id),
            fields: fields.length === 0 ? undefined : fields,
            image_url: optional(expand(config.image_url)),
            thumb_url: optional(expand(config.thumb_url)),
            footer: expand(config.footer),
            color: optional(expand(config.color)),
            mrkdwn_in: config.mrkdwn_in,
          },
        ],
      }
      return postJson(deps, urlOf(), message, config.timeout)
    },
  }
}

/** Left out of the message where empty. */
function optional(text: string): string | undefined {
  return text === '' ? undefined : text
}

export function cut(text: string, charsMax: number): string {
  const chars = Array.from(text)
  return chars.length <= charsMax ? text : `${chars.slice(0, charsMax - 1).join('')}…`
}
