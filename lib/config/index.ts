/**
 * The configuration: one YAML file, strict (unknown keys are errors with their path and a suggestion), every section with defaults.
 *
 * Names and meanings are prometheus.yml's where it has them, so a prometheus.yml is a configuration of ours; what has no meaning here is
 * named in a warning. The environment is read through `${env:NAME}` and `*_file` keys only. Secrets are objects that print as `<secret>`.
 * `loadConfig` is the only reader; the parts get the sections they need as arguments.
 */
export { loadConfig, parseConfig, type LoadedConfig } from './load.ts'
export type { AlertmanagersConfig, Config, RemoteWriteConfig, ServerConfig, TailConfig, TenantLimits } from './schema.ts'
export type { ClusterConfig, ElasticsearchConfig, KafkaConfig, ShipConfig } from './fleet.ts'
export { httpClientConfig, type HttpClientConfig, type TlsConfig } from './http-client.ts'
export {
  relabelConfig,
  scrapeConfig,
  type FileSdConfig,
  type GlobalConfig,
  type HttpSdConfig,
  type RelabelConfig,
  type ScrapeConfig,
  type TargetGroupConfig,
} from './scrape.ts'
export { tlsOptions } from './tls.ts'
export { durationMs, labelSet, listenAddress, revealSecret, Secret, secret, sizeBytes, type ListenAddress } from './values.ts'
