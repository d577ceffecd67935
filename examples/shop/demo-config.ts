/** The configuration the demo starts Sightline with, and what it writes while it runs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SERVICES, type Shop } from './shop.ts'

export interface DemoFolder {
  readonly configPath: string
  readonly dataDir: string
  readonly podsDir: string
  readonly targetsPath: string
}

/** Writes the configuration into `dir`. */
export function writeDemoConfig(dir: string, webhookUrl: string): DemoFolder {
  const folder = {
    configPath: join(dir, 'sightline.yml'),
    dataDir: join(dir, 'data'),
    podsDir: join(dir, 'pods'),
    targetsPath: join(dir, 'shop-targets.json'),
  }
  writeFileSync(folder.targetsPath, '[]')
  writeFileSync(
    folder.configPath,
    `cluster: demo

global:
  scrape_interval: 2s
  evaluation_interval: 5s

self:
  scrape_interval: 5s

scrape_configs:
  - job_name: shop
    file_sd_configs:
      - files: [${JSON.stringify(folder.targetsPath)}]
        refresh_interval: 2s

tail:
  - name: containers
    include: [${JSON.stringify(join(folder.podsDir, '*/*/*.log'))}]

rule_files: [${JSON.stringify(join(import.meta.dirname, 'rules.yml'))}]

alertmanager:
  route:
    receiver: team
    group_by: [alertname]
    group_wait: 2s
    group_interval: 5s
    repeat_interval: 1h
  receivers:
    - name: team
      slack_configs:
        - api_url: ${webhookUrl}/slack
          channel: '#shop'
          send_resolved: true
          title: '[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }}'
          text: '{{ range .Alerts }}- {{ .Annotations.summary }} {{ end }}'
`,
  )
  return folder
}

/** Names the shop's processes as scrape targets, with the labels their logs have. */
export function writeTargets(path: string, shop: Shop): void {
  const groups = SERVICES.map((service) => ({
    targets: [new URL(shop.urls[service]).host],
    labels: { service, namespace: 'shop', pod: shop.pods[service], container: service },
  }))
  writeFileSync(path, JSON.stringify(groups, null, 2))
}
