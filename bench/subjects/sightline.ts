/** Sightline in the layout `embedded`: one process, role `all`, on a data folder of its own. This checkout's, or another's as a peer. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../test/harness/sightline.ts'
import { bytesIn, cpuSecondsOf, rssBytesOf } from '../measure/process.ts'
import { Program } from './program.ts'
import { metricIn, pause, quiet, textOf, type StartSubject } from './subject.ts'

export function sightlineOf(name: string, checkout: string, version: string): StartSubject {
  return async ({ scrape, tailRoot, checkpointMs, profileFolder }) => {
    const tailFolder = tailRoot === undefined ? undefined : join(tailRoot, name.replaceAll(' ', '-'))
    const folder = mkdtempSync(join(tmpdir(), 'sightline-bench-'))
    const [http, grpc, otlpHttp] = await freePorts(3)
    const url = `http://127.0.0.1:${http}`
    writeFileSync(join(folder, 'sightline.yml'), configOf(checkpointMs, scrape, tailFolder))
    const flags = ['--config', join(folder, 'sightline.yml'), '--data', join(folder, 'data'), '--listen', `127.0.0.1:${http}`]
    const others = ['--otlp-grpc', `127.0.0.1:${grpc}`, '--otlp-http', `127.0.0.1:${otlpHttp}`]
    const profile = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
    const program = new Program(name, process.execPath, [...profile, join(checkout, 'main.ts'), 'all', ...flags, ...others])
    await program.ready(`${url}/-/ready`)
    return {
      name,
      version,
      places: {
        'remote-write': `${url}/api/v1/write`,
        'otlp-metrics': `${url}/otlp/v1/metrics`,
        'loki-push': `${url}/loki/api/v1/push`,
        'otlp-logs': `http://127.0.0.1:${otlpHttp}/v1/logs`,
        'otlp-traces': `http://127.0.0.1:${otlpHttp}/v1/traces`,
        promql: url,
        logql: url,
        traceql: `${url}/tempo`,
        ...(scrape === undefined ? {} : { scrape: '' }),
        ...(tailFolder === undefined ? {} : { tail: tailFolder }),
      },
      cpuSeconds: () => cpuSecondsOf(program.pid),
      rssBytes: () => rssBytesOf(program.pid),
      storedItems: async (signal) =>
        metricIn(await textOf(`${url}/metrics`), `sightline_store_items_total{signal="${signal}",result="stored"}`),
      async settle() {
        await pause(checkpointMs + 100)
        await quiet({ cpuSeconds: () => cpuSecondsOf(program.pid) })
      },
      async finish(signal) {
        await program.end('SIGTERM')
        const bytes = bytesIn(join(folder, 'data/store', signal))
        rmSync(folder, { recursive: true, force: true })
        return bytes
      },
    }
  }
}

/** It doesn't look at itself: that would be measured, too. */
function configOf(checkpointMs: number, scrape: { address: string; targets: number } | undefined, tailFolder: string | undefined): string {
  const sections = ['self: { scrape: false, traces: false }', `shards: { checkpoint_interval: ${checkpointMs}ms }`]
  if (scrape !== undefined) sections.push(scrapeConfig(scrape))
  if (tailFolder !== undefined) sections.push(`tail: [{ include: ['${tailFolder}/*/*/*.log'] }]`)
  return `${sections.join('\n')}\n`
}

/** Both programs read this section of prometheus.yml. */
export function scrapeConfig({ address, targets }: { readonly address: string; readonly targets: number }): string {
  const groups = Array.from(
    { length: targets },
    (_, i) => `      - { targets: ['${address}'], labels: { __metrics_path__: '/t${i}', instance: 'target-${i}', zone: 'eu-${i % 3}' } }`,
  )
  return `scrape_configs:\n  - job_name: bench\n    scrape_interval: 1s\n    scrape_timeout: 1s\n    static_configs:\n${groups.join('\n')}`
}
