/** The job that scrapes this process itself. */
import { scrapeConfig, type Config, type ScrapeConfig } from '../lib/config/index.ts'

/** The configuration with that job, unless there is one of its name or it is switched off. */
export function withSelf(config: Config, url: string, token: string): Config {
  if (!config.self.scrape || config.scrape_configs.some((job) => job.job_name === 'sightline')) return config
  return { ...config, scrape_configs: [selfScrapeConfig(url, config.self.scrape_interval, token), ...config.scrape_configs] }
}

function selfScrapeConfig(url: string, intervalMs: number, token: string): ScrapeConfig {
  const { host, protocol } = new URL(url)
  return scrapeConfig.parse({
    job_name: 'sightline',
    scrape_interval: `${intervalMs}ms`,
    scheme: protocol.slice(0, -1),
    static_configs: [{ targets: [host] }],
    authorization: { credentials: token },
    // Our own certificate needn't be for the address we listen on.
    tls_config: { insecure_skip_verify: true },
  })
}
