/** One process of Sightline on a folder of its own: what all layouts are made of. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../test/harness/sightline.ts'
import { bytesIn, cpuSecondsOf, rssBytesOf } from '../measure/process.ts'
import { Program } from './program.ts'
import { metricIn, textOf, type Signal, type StartOptions } from './subject.ts'

export interface SightlineProgramOptions {
  /** For messages. */
  readonly name: string
  readonly checkout: string
  readonly role: 'all' | 'collector' | 'query'
  readonly profileFolder: string | undefined
}

export class SightlineProgram {
  readonly #options: SightlineProgramOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'sightline-bench-'))
  readonly #ports: readonly number[]
  #program: Program | undefined

  private constructor(options: SightlineProgramOptions, ports: readonly number[]) {
    this.#options = options
    this.#ports = ports
  }

  /** Its addresses are known before it starts: others name them in their configuration. */
  static async create(options: SightlineProgramOptions): Promise<SightlineProgram> {
    return new SightlineProgram(options, await freePorts(3))
  }

  get url(): string {
    return `http://127.0.0.1:${this.#ports[0]}`
  }

  get otlpUrl(): string {
    return `http://127.0.0.1:${this.#ports[2]}`
  }

  /** Resolves when it is ready. It doesn't look at itself: that would be measured, too. */
  async start(sections: readonly string[]): Promise<void> {
    const { name, checkout, role, profileFolder } = this.#options
    const config = join(this.#folder, 'sightline.yml')
    writeFileSync(config, `${['self: { scrape: false, traces: false }', ...sections].join('\n')}\n`)
    const [http, grpc, otlpHttp] = this.#ports.map((port) => `127.0.0.1:${port}`)
    const listeners = ['--listen', http!, '--otlp-grpc', grpc!, '--otlp-http', otlpHttp!]
    if (profileFolder !== undefined) mkdirSync(profileFolder, { recursive: true })
    const profile = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
    const args = [...profile, join(checkout, 'main.ts'), role, '--config', config, '--data', join(this.#folder, 'data'), ...listeners]
    this.#program = new Program(name, process.execPath, args)
    await this.#program.ready(`${this.url}/-/ready`)
  }

  cpuSeconds(): number {
    return cpuSecondsOf(this.#program!.pid)
  }

  rssBytes(): number {
    return rssBytesOf(this.#program!.pid)
  }

  /** Items in its store; 0 where it has no partition of the signal. */
  async storedItems(signal: Signal): Promise<number> {
    return metricIn(await textOf(`${this.url}/metrics`), `sightline_store_items_total{signal="${signal}",result="stored"}`) ?? 0
  }

  /** JSON of a GET. */
  async get<T>(path: string): Promise<T> {
    return JSON.parse(await textOf(`${this.url}${path}`)) as T
  }

  async end(): Promise<void> {
    await this.#program?.end('SIGTERM')
  }

  storeBytes(signal: Signal): number {
    return bytesIn(join(this.#folder, 'data/store', signal))
  }

  journalBytes(): number {
    return bytesIn(join(this.#folder, 'data/journal'))
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The ways in of a process, by its addresses. */
export function placesOf(program: SightlineProgram, { scrape }: StartOptions, tailFolder: string | undefined): Record<string, string> {
  return {
    'remote-write': `${program.url}/api/v1/write`,
    'otlp-metrics': `${program.url}/otlp/v1/metrics`,
    'loki-push': `${program.url}/loki/api/v1/push`,
    'otlp-logs': `${program.otlpUrl}/v1/logs`,
    'otlp-traces': `${program.otlpUrl}/v1/traces`,
    ...(scrape === undefined ? {} : { scrape: '' }),
    ...(tailFolder === undefined ? {} : { tail: tailFolder }),
  }
}

/** Where its languages are asked. */
export function apisOf(program: SightlineProgram): Record<string, string> {
  return { promql: program.url, logql: program.url, traceql: `${program.url}/tempo` }
}

/** What a collector looks for itself, as sections of its configuration. */
export function sourcesOf({ scrape }: StartOptions, tailFolder: string | undefined): string[] {
  return [
    ...(scrape === undefined ? [] : [scrapeConfig(scrape)]),
    ...(tailFolder === undefined ? [] : [`tail: [{ include: ['${tailFolder}/*/*/*.log'] }]`]),
  ]
}

/** Below `tailRoot`, by the subject's name. */
export function tailFolderOf(name: string, { tailRoot }: StartOptions): string | undefined {
  return tailRoot === undefined ? undefined : join(tailRoot, name.replaceAll(' ', '-'))
}

/** Both programs read this section of prometheus.yml. */
export function scrapeConfig({ address, targets }: { readonly address: string; readonly targets: number }): string {
  const groups = Array.from(
    { length: targets },
    (_, i) => `      - { targets: ['${address}'], labels: { __metrics_path__: '/t${i}', instance: 'target-${i}', zone: 'eu-${i % 3}' } }`,
  )
  return `scrape_configs:\n  - job_name: bench\n    scrape_interval: 1s\n    scrape_timeout: 1s\n    static_configs:\n${groups.join('\n')}`
}
