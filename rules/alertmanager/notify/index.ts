/**
 * The integrations: each turns a notification into one HTTP request and says whether a failure is worth another try. Addresses and keys are
 * revealed only for the request, and taken out of error messages.
 */
import type { HttpClientConfig } from '../../../lib/config/index.ts'
import { createHttpClient } from '../../../lib/http/index.ts'
import type { NotificationTemplates } from '../../template/index.ts'
import type { GlobalConfig, ReceiverConfig } from '../config.ts'
import type { Integration, IntegrationDeps } from './integration.ts'
import { pagerdutyIntegration } from './pagerduty.ts'
import { slackIntegration } from './slack.ts'
import { webhookIntegration } from './webhook.ts'

export type { Integration } from './integration.ts'
export { dedupKey } from './pagerduty.ts'
export type { Notification, NotifiedAlert } from './template-data.ts'

/** An integration with its connections, which end when it is closed. */
export interface ReceiverIntegration extends Integration {
  close(): void
}

export function integrationsOf(receiver: ReceiverConfig, global: GlobalConfig, templates: NotificationTemplates): ReceiverIntegration[] {
  const build = (own: HttpClientConfig | undefined, make: (deps: IntegrationDeps) => Integration): ReceiverIntegration => {
    const client = createHttpClient(own ?? global.http_config ?? {})
    return { ...make({ client, templates }), close: () => client.close() }
  }
  return [
    ...receiver.slack_configs.map((config, i) => build(config.http_config, (deps) => slackIntegration(config, global, i, deps))),
    ...receiver.pagerduty_configs.map((config, i) => build(config.http_config, (deps) => pagerdutyIntegration(config, global, i, deps))),
    ...receiver.webhook_configs.map((config, i) => build(config.http_config, (deps) => webhookIntegration(config, i, deps))),
  ]
}
