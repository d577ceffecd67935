/** A real Sightline process on ports of its own, which tests start, kill, and start again on the same folder. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:net'

const MAIN = join(import.meta.dirname, '../../main.ts')

export interface SightlineOptions {
  readonly role?: 'all' | 'collector' | 'query'
  /** YAML. */
  readonly config?: string
  readonly args?: readonly string[]
}

export class SightlineProcess {
  readonly folder: string
  readonly configPath: string
  readonly ports: { readonly http: number; readonly grpc: number; readonly otlpHttp: number }
  readonly role: 'all' | 'collector' | 'query'
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  /** Everything it wrote, for the message of a failed test. */
  output = ''

  private constructor(folder: string, ports: SightlineProcess['ports'], options: SightlineOptions) {
    this.folder = folder
    this.ports = ports
    this.configPath = join(folder, 'sightline.yml')
    this.role = options.role ?? 'all'
    this.#args = options.args ?? []
    writeFileSync(this.configPath, options.config ?? '{}')
  }

  static async create(options: SightlineOptions = {}): Promise<SightlineProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'sightline-test-'))
    mkdirSync(join(folder, 'data'))
    // Fixed over restarts, as a real installation's are: clients go on where they were.
    const [http, grpc, otlpHttp] = await freePorts(3)
    return new SightlineProcess(folder, { http: http!, grpc: grpc!, otlpHttp: otlpHttp! }, options)
  }

  /** For the next start. */
  configure(yaml: string): void {
    writeFileSync(this.configPath, yaml)
  }

  get url(): string {
    return `http://127.0.0.1:${this.ports.http}`
  }

  /** Resolves when it says that it is ready. */
  async start(deadlineMs = 30_000): Promise<this> {
    const address = (port: number): string => `127.0.0.1:${port}`
    const { http, grpc, otlpHttp } = this.ports
    const flags = [
      '--config',
      this.configPath,
      '--data',
      join(this.folder, 'data'),
      '--listen',
      address(http),
      '--otlp-grpc',
      address(grpc),
      '--otlp-http',
      address(otlpHttp),
    ]
    const child = spawn(process.execPath, [MAIN, this.role, ...flags, ...this.#args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ready within ${deadlineMs} ms:\n${this.output}`)), deadlineMs)
      const collect = (chunk: Buffer): void => {
        this.output += chunk.toString()
        if (this.output.includes('Sightline is ready')) {
          clearTimeout(timer)
          resolve()
        }
      }
      child.stdout.on('data', collect)
      child.stderr.on('data', collect)
      child.on('exit', (code, signal) => {
        clearTimeout(timer)
        reject(new Error(`ended with ${code ?? signal} before it was ready:\n${this.output}`))
      })
    })
    this.output = ''
    await ready
    return this
  }

  /** Of the process that runs now. */
  get pid(): number {
    return this.#child!.pid!
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Sends a signal and waits for the end; returns the exit code, null after a kill. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#child
    if (child === undefined || !this.isRunning) return child?.exitCode ?? null
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    child.kill(signal)
    return ended
  }

  /** Ends it and, where the test passed, deletes its folder. */
  async dispose(keepFolder = false): Promise<void> {
    await this.end('SIGKILL')
    if (!keepFolder) rmSync(this.folder, { recursive: true, force: true })
  }

  /** JSON of a GET, an error with status and body otherwise. */
  async get<T>(path: string, headers: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`${this.url}${path}`, { headers })
    const text = await response.text()
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${text.slice(0, 500)}`)
    return JSON.parse(text) as T
  }

  /** `data.result` of an instant query. */
  async query<T = { metric: Record<string, string>; value: [number, string] }[]>(query: string, timeSeconds?: number): Promise<T> {
    const time = timeSeconds === undefined ? '' : `&time=${timeSeconds}`
    const answer = await this.get<{ data: { result: T } }>(`/api/v1/query?query=${encodeURIComponent(query)}${time}`)
    return answer.data.result
  }
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer()
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
