/**
 * The integrations: each turns a notification into one HTTP request and says whether a failure is worth another try. Addresses and keys are
 * revealed only for the request, and taken out of error messages.
 */
import { createHttpClient } from '../../../lib/http/index.ts'
import type { NotificationTemplates } from '../../template/index.ts'
import type { GlobalConfig, ReceiverConfig } from '../config.ts'
import type { Integration } from './integration.ts'
import { pagerdutyIntegration } from './pagerduty.ts'
import { slackIntegration } from './slack.ts'
import { webhookIntegration } from './webhook.ts'

export type { Integration } from './integration.ts'
export { dedupKey } from './pagerduty.ts'
export type { Notification, NotifiedAlert } from './template-data.ts'

export function integrationsOf(receiver: ReceiverConfig, global: GlobalConfig, templates: NotificationTemplates): Integration[] {
  const depsOf = (own: Parameters<typeof createHttpClient>[0]): Parameters<typeof slackIntegration>[3] => ({
    client: createHttpClient(own ?? global.http_config ?? {}),
    templates,
  })
  return [
    ...receiver.slack_configs.map((config, i) => slackIntegration(config, global, i, depsOf(config.http_config))),
    ...receiver.pagerduty_configs.map((config, i) => pagerdutyIntegration(config, global, i, depsOf(config.http_config))),
    ...receiver.webhook_configs.map((config, i) => webhookIntegration(config, i, depsOf(config.http_config))),
  ]
}
