/**
 * Java servers for tests, from Maven's registry: resolved once into a folder that all checkouts share (`SIGHTLINE_TEST_SERVERS`, else below /var/tmp), then started as
 * plain processes on ports of their own.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { lockFolder, type FolderLock } from '../../lib/runtime/lock.ts'
import { eventually } from './eventually.ts'

const SERVERS_DIR = process.env['SIGHTLINE_TEST_SERVERS'] ?? '/var/tmp/sightline-test-servers'
/** Another process may be fetching the same server over a slow line. */
const RESOLVE_DEADLINE_MS = 300_000

/** Why there is no Java server here, undefined where there can be one. In CI that is a failure, never a skip. */
export function whyNoJava(): string | undefined {
  const missing = [
    ['java', '-version'],
    ['mvn', '--version'],
  ].filter(([program, flag]) => spawnSync(program!, [flag!]).error !== undefined)
  if (missing.length === 0) return undefined
  const reason = `skipped: ${missing.map(([program]) => program).join(' and ')} missing`
  if (process.env['CI'] !== undefined) throw new Error(`${reason} in CI`)
  console.warn(reason)
  return reason
}

/**
 * The class path of a server, fetched the first time.
 *
 * @param name          folder in the cache: the server and its version
 * @param dependencies  `<dependency>` elements
 */
export async function resolveMaven(name: string, dependencies: string): Promise<string> {
  const dir = join(SERVERS_DIR, name)
  const done = join(dir, 'complete')
  if (!existsSync(done)) {
    mkdirSync(dir, { recursive: true })
    const lock = await eventually((): FolderLock => lockFolder(dir), RESOLVE_DEADLINE_MS)
    try {
      if (!existsSync(done)) await copyDependencies(dir, dependencies)
      writeFileSync(done, '')
    } finally {
      lock.release()
    }
  }
  return join(dir, 'lib', '*')
}

async function copyDependencies(dir: string, dependencies: string): Promise<void> {
  const project = `<modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>server</artifactId><version>1</version><packaging>pom</packaging>`
  writeFileSync(join(dir, 'pom.xml'), `<project>${project}<dependencies>${dependencies}</dependencies></project>`)
  const flags = ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${join(dir, 'lib')}`]
  const child = spawn('mvn', flags, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`mvn ended with ${code}:\n${output}`)
}

/** One Java process that writes its output to a file in its folder and dies with the test. */
export class JavaProcess {
  readonly #logPath: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  readonly #onExit = (): void => void this.#child?.kill('SIGKILL')

  constructor(dir: string, args: readonly string[]) {
    this.#logPath = join(dir, 'server.log')
    this.#args = args
  }

  get log(): string {
    return existsSync(this.#logPath) ? readFileSync(this.#logPath, 'utf8') : ''
  }

  /** Of the process that runs now. */
  get pid(): number {
    return this.#child!.pid!
  }

  /** Resolves once the port takes connections. */
  async start(port: number, deadlineMs = 90_000): Promise<void> {
    appendFileSync(this.#logPath, '')
    const log = openSync(this.#logPath, 'a')
    const child = spawn('java', this.#args, { stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    process.once('exit', this.#onExit)
    await eventually(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      await canConnect(port)
    }, deadlineMs)
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`server ended with ${child.exitCode ?? child.signalCode}:\n${this.log.slice(-4000)}`)
    }
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    process.removeListener('exit', this.#onExit)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }
}

function canConnect(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
