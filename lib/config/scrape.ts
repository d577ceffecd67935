/** `scrape_configs`, as prometheus.yml has them. */
import { z } from 'zod'
import { httpClientConfig, httpClientShape } from './http-client.ts'
import { durationMs, labelName, labelSet, sizeBytes } from './values.ts'

export const relabelConfig = z
  .strictObject({
    source_labels: z.array(labelName).default([]),
    separator: z.string().default(';'),
    target_label: z.string().optional(),
    regex: z.union([z.string(), z.number(), z.boolean()]).transform(String).default('(.*)'),
    modulus: z.number().int().nonnegative().optional(),
    replacement: z.union([z.string(), z.number(), z.boolean()]).transform(String).default('$1'),
    action: z
      .string()
      .transform((action) => action.toLowerCase())
      .pipe(
        z.enum([
          'replace',
          'keep',
          'drop',
          'keepequal',
          'dropequal',
          'hashmod',
          'labelmap',
          'labeldrop',
          'labelkeep',
          'lowercase',
          'uppercase',
        ]),
      )
      .default('replace'),
  })
  .superRefine((rule, context) => {
    const needsTarget = ['replace', 'keepequal', 'dropequal', 'hashmod', 'lowercase', 'uppercase']
    if (needsTarget.includes(rule.action) && (rule.target_label ?? '') === '') {
      context.addIssue({ code: 'custom', message: `relabel configuration for ${rule.action} action requires 'target_label' value` })
    }
    if (rule.action === 'hashmod' && (rule.modulus ?? 0) === 0) {
      context.addIssue({ code: 'custom', message: 'relabel configuration for hashmod requires non-zero modulus' })
    }
  })

export type RelabelConfig = z.output<typeof relabelConfig>

const targetGroup = z.strictObject({ targets: z.array(z.string()).default([]), labels: labelSet.default({}) })
const fileSdConfig = z.strictObject({ files: z.array(z.string()).min(1), refresh_interval: durationMs.default(300_000) })
const httpSdConfig = httpClientConfig.extend({ url: z.string(), refresh_interval: durationMs.default(60_000) })

/** Discoveries Prometheus has and we have not: accepted by no one silently. */
const UNBUILT_SD = [
  'aws', 'azure', 'consul', 'digitalocean', 'dns', 'docker', 'dockerswarm', 'ec2', 'eureka', 'gce', 'hetzner', 'ionos', 'kubernetes', 'kuma', 'lightsail',
  'linode', 'marathon', 'nerve', 'nomad', 'openstack', 'ovhcloud', 'puppetdb', 'scaleway', 'serverset', 'stackit', 'triton', 'uyuni', 'vultr',
] // prettier-ignore
const unbuiltSd = Object.fromEntries(
  UNBUILT_SD.map((name) => [
    `${name}_sd_configs`,
    z.never({ error: `${name}_sd_configs is not built yet: static, file and http discovery are` }).optional(),
  ]),
)

const scrapeLimits = {
  body_size_limit: sizeBytes.optional(),
  sample_limit: z.number().int().nonnegative().optional(),
  label_limit: z.number().int().nonnegative().optional(),
  label_name_length_limit: z.number().int().nonnegative().optional(),
  label_value_length_limit: z.number().int().nonnegative().optional(),
  target_limit: z.number().int().nonnegative().optional(),
  keep_dropped_targets: z.number().int().nonnegative().optional(),
}

const scrapeProtocol = z.enum([
  'PrometheusProto',
  'OpenMetricsText0.0.1',
  'OpenMetricsText1.0.0',
  'PrometheusText0.0.4',
  'PrometheusText1.0.0',
])

export const globalConfig = z.strictObject({
  scrape_interval: durationMs.default(60_000),
  scrape_timeout: durationMs.optional(),
  scrape_protocols: z.array(scrapeProtocol).optional(),
  evaluation_interval: durationMs.default(60_000),
  rule_query_offset: durationMs.default(0),
  query_log_file: z.string().optional(),
  scrape_failure_log_file: z.string().optional(),
  external_labels: labelSet.default({}),
  metric_name_validation_scheme: z.string().optional(),
  metric_name_escaping_scheme: z.string().optional(),
  runtime: z.unknown().optional(),
  always_scrape_classic_histograms: z.boolean().optional(),
  convert_classic_histograms_to_nhcb: z.boolean().optional(),
  scrape_native_histograms: z.boolean().optional(),
  ...scrapeLimits,
})

export const scrapeConfig = z.strictObject({
  job_name: z.string().min(1),
  scrape_interval: durationMs.optional(),
  scrape_timeout: durationMs.optional(),
  scrape_protocols: z.array(scrapeProtocol).optional(),
  fallback_scrape_protocol: scrapeProtocol.optional(),
  metrics_path: z.string().default('/metrics'),
  scheme: z.enum(['http', 'https']).default('http'),
  params: z.record(z.string(), z.array(z.string())).default({}),
  honor_labels: z.boolean().default(false),
  honor_timestamps: z.boolean().default(true),
  track_timestamps_staleness: z.boolean().default(false),
  enable_compression: z.boolean().default(true),
  scrape_failure_log_file: z.string().optional(),
  metric_name_validation_scheme: z.string().optional(),
  metric_name_escaping_scheme: z.string().optional(),
  always_scrape_classic_histograms: z.boolean().optional(),
  convert_classic_histograms_to_nhcb: z.boolean().optional(),
  scrape_native_histograms: z.boolean().optional(),
  native_histogram_bucket_limit: z.number().optional(),
  native_histogram_min_bucket_factor: z.number().optional(),
  static_configs: z.array(targetGroup).default([]),
  file_sd_configs: z.array(fileSdConfig).default([]),
  http_sd_configs: z.array(httpSdConfig).default([]),
  relabel_configs: z.array(relabelConfig).default([]),
  metric_relabel_configs: z.array(relabelConfig).default([]),
  ...scrapeLimits,
  ...httpClientShape,
  ...unbuiltSd,
})

export type GlobalConfig = z.output<typeof globalConfig>
export type ScrapeConfig = z.output<typeof scrapeConfig>
export type TargetGroupConfig = z.output<typeof targetGroup>
export type FileSdConfig = z.output<typeof fileSdConfig>
export type HttpSdConfig = z.output<typeof httpSdConfig>
