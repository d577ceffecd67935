/** The `prometheus` program of the machine as a peer: started for each row, with remote write switched on. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../test/harness/sightline.ts'
import { bytesIn, cpuSecondsOf, rssBytesOf } from '../measure/process.ts'
import { Program } from './program.ts'
import { scrapeConfig } from './sightline-program.ts'
import { metricIn, quiet, textOf, type StartSubject } from './subject.ts'

/** undefined where it isn't installed. */
export function installedPrometheus(): { readonly version: string } | undefined {
  const { stdout, stderr, status } = spawnSync('prometheus', ['--version'], { encoding: 'utf8' })
  return status === 0 ? { version: /version ([^\s,]+)/.exec(stdout + stderr)?.[1] ?? 'unknown' } : undefined
}

export function prometheusOf(version: string): StartSubject {
  return async ({ scrape }) => {
    const folder = mkdtempSync(join(tmpdir(), 'sightline-bench-prometheus-'))
    const [port] = await freePorts(1)
    const url = `http://127.0.0.1:${port}`
    writeFileSync(join(folder, 'prometheus.yml'), scrape === undefined ? '' : scrapeConfig(scrape))
    const program = new Program('prometheus', 'prometheus', [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--web.enable-admin-api',
      '--log.level=error',
    ])
    await program.ready(`${url}/-/ready`)
    const cpuSeconds = (): number => cpuSecondsOf(program.pid)
    return {
      name: 'prometheus',
      version,
      places: { 'remote-write': `${url}/api/v1/write`, promql: url, ...(scrape === undefined ? {} : { scrape: '' }) },
      parts: [],
      cpuSeconds,
      rssBytes: () => rssBytesOf(program.pid),
      storedItems: async (signal) =>
        signal === 'metrics' ? metricIn(await textOf(`${url}/metrics`), 'prometheus_tsdb_head_samples_appended_total') : undefined,
      settle: () => quiet({ cpuSeconds }),
      // Its head is written as a block by a snapshot, which is what it would keep for good.
      async finish() {
        const answer = await fetch(`${url}/api/v1/admin/tsdb/snapshot`, { method: 'POST' })
        const bytes = answer.ok ? bytesIn(join(folder, 'data/snapshots')) : undefined
        await program.end('SIGTERM')
        rmSync(folder, { recursive: true, force: true })
        return bytes === undefined ? undefined : { storeBytes: bytes, journalBytes: {} }
      },
    }
  }
}
