/**
 * Alertmanager's routing half, in this process: a store of alerts, a tree of routes, groups that wait and repeat, inhibition, receivers (Slack,
 * PagerDuty, webhook), and a record of what each receiver was told. Alerts and record are durable (`StateLog`) before a sender is answered and
 * before and after each request, so that a restart loses no notification and repeats none whose outcome is known.
 */
export { Alertmanager, type AlertmanagerDeps } from './alertmanager.ts'
export { loadAlertmanagerConfig, parseAlertmanagerConfig, type AlertmanagerConfig } from './config.ts'
