import { describe, expect, test } from 'vitest'
import { loadConfig, parseConfig } from './index.ts'

function problemsOf(text: string): string {
  try {
    parseConfig(text, 'f.yml', {})
  } catch (error) {
    return (error as Error).message
  }
  return 'no problem'
}

describe('configuration', () => {
  test('no file is needed', () => {
    const { config } = loadConfig(undefined)
    expect(config.journal.partitions).toBe(16)
    expect(config.retention.metrics).toBe(15 * 86_400_000)
    expect(config.server.listen).toEqual({ host: '127.0.0.1', port: 9428 })
  })

  test('an unknown key is an error with its path and a suggestion', () => {
    expect(problemsOf('global:\n  scrape_intervall: 15s\n')).toBe(
      'f.yml: global.scrape_intervall: unknown key, did you mean scrape_interval?',
    )
    expect(problemsOf('scrape_configs:\n- job_name: a\n  static_config: []\n')).toBe(
      'f.yml: scrape_configs[0].static_config: unknown key, did you mean static_configs?',
    )
  })

  test('a prometheus.yml is accepted, and what has no effect is named', () => {
    const { config, warnings } = parseConfig(
      `
global: { scrape_interval: 15s, external_labels: { region: eu } }
storage: { tsdb: { out_of_order_time_window: 30m } }
scrape_configs:
  - job_name: node
    static_configs: [{ targets: ['localhost:9100'] }]
    relabel_configs: [{ source_labels: [__address__], regex: '(.*):\\d+', target_label: host, replacement: '\${1}' }]
`,
      'p.yml',
      {},
    )
    expect(config.scrape_configs[0]!.relabel_configs[0]!.replacement).toBe('${1}')
    expect(config.global.external_labels).toEqual({ region: 'eu' })
    expect(warnings).toEqual(['storage: has no effect here: retention is under `retention`, out-of-order samples are always taken'])
  })

  test('keys that are read and change nothing are named', () => {
    const { warnings } = parseConfig(
      'global: { query_log_file: q }\nscrape_configs: [{ job_name: a, track_timestamps_staleness: true }]',
      'f.yml',
      {},
    )
    expect(warnings.map((warning) => warning.split(':')[0])).toEqual([
      'global.query_log_file',
      'scrape_configs[0].track_timestamps_staleness',
    ])
  })

  test('only ${env:NAME} is expanded', () => {
    const { config } = parseConfig("cluster: '${env:CLUSTER}-$1-${1}-$labels'", 'f.yml', { CLUSTER: 'eu1' })
    expect(config.cluster).toBe('eu1-$1-${1}-$labels')
    expect(problemsOf("cluster: '${env:NOT_SET}'")).toContain('cluster: environment variable NOT_SET is not set')
  })

  test('a discovery that is not built is named', () => {
    expect(problemsOf('scrape_configs:\n- job_name: a\n  kubernetes_sd_configs: []\n')).toContain('kubernetes_sd_configs is not built yet')
  })

  test('secrets never show', () => {
    const loaded = parseConfig('scrape_configs:\n- job_name: a\n  basic_auth: { username: u, password: hunter2 }\n', 'f.yml', {})
    expect(loaded.text).not.toContain('hunter2')
    expect(loaded.config.scrape_configs[0]!.basic_auth!.password!.reveal()).toBe('hunter2')
  })

  test('nor do those of the Alertmanager section', () => {
    const receiver =
      "{ name: r, slack_configs: [{ api_url: 'http://hooks/T0/s3cret', channel: c }], pagerduty_configs: [{ routing_key: s3cret }] }"
    const { text, config } = parseConfig(`alertmanager: { route: { receiver: r }, receivers: [${receiver}] }`, 'f.yml', {})
    expect(text).not.toContain('s3cret')
    expect(text).toContain('"channel": "c"')
    expect(JSON.stringify(config.alertmanager)).toContain('s3cret')
  })

  test('bad values are named with what was given', () => {
    expect(problemsOf('global: { scrape_interval: often }')).toContain('global.scrape_interval: not a valid duration string: "often"')
    expect(problemsOf('a: [')).toContain('f.yml: ')
    expect(problemsOf('scrape_configs: [{ job_name: a }, { job_name: a }]')).toContain('multiple scrape configs with job name "a"')
  })
})
