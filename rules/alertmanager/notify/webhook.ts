/** The generic webhook: Alertmanager's payload, version 4. */
import { revealSecret } from '../../../lib/config/index.ts'
import { labelsToObject } from '../../../lib/model/index.ts'
import type { WebhookConfig } from '../config.ts'
import { postJson, type Integration, type IntegrationDeps } from './integration.ts'
import { commonOf, statusOf, type Notification, type NotifiedAlert } from './template-data.ts'

export function webhookIntegration(config: WebhookConfig, index: number, deps: IntegrationDeps): Integration {
  return {
    name: 'webhook',
    index,
    sendsResolved: config.send_resolved,
    notify: (notification) =>
      postJson(deps, revealSecret(config.url, config.url_file)!, webhookPayload(notification, config.max_alerts), config.timeout),
  }
}

export function webhookPayload(notification: Notification, alertsMax: number): object {
  const { receiver, groupKey, groupLabels, externalUrl, alerts } = notification
  const shown = alertsMax > 0 ? alerts.slice(0, alertsMax) : alerts
  return {
    receiver,
    status: statusOf(notification),
    alerts: shown.map(writeAlert),
    groupLabels: labelsToObject(groupLabels),
    commonLabels: commonOf(shown.map(({ labels }) => labelsToObject(labels))),
    commonAnnotations: commonOf(shown.map(({ annotations }) => annotations)),
    externalURL: externalUrl,
    version: '4',
    groupKey,
    truncatedAlerts: alerts.length - shown.length,
  }
}

function writeAlert({ isResolved, labels, annotations, startsAtMs, endsAtMs, generatorUrl, fingerprint }: NotifiedAlert): object {
  return {
    status: isResolved ? 'resolved' : 'firing',
    labels: labelsToObject(labels),
    annotations,
    startsAt: new Date(startsAtMs).toISOString(),
    endsAt: isResolved ? new Date(endsAtMs).toISOString() : '0001-01-01T00:00:00Z',
    generatorURL: generatorUrl,
    fingerprint,
  }
}
