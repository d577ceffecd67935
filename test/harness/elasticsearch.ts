/**
 * A real Elasticsearch on a port of its own, which tests kill, and start again on the same data.
 *
 * Maven Central has Elastic's own distribution with few modules; `ElasticsearchExtras.java`, compiled here, adds the two REST paths that a client needs and that lie in modules which are
 * missing. Resolved once into `SIGHTLINE_TEST_SERVERS` (default `/var/tmp/sightline-test-servers`). The server refuses to run as root: then it runs as nobody.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './sightline.ts'

const VERSION = '9.5.3'
const GROUP = 'org.elasticsearch.distribution.integ-test-zip'
const JVMS = '/usr/lib/jvm'
const JAVA_MIN = 21
const HEAP = '768m'
const READY_MS = 120_000
const NOBODY = 65_534

const jdk = findJdk()

/** Whether tests that need Elasticsearch can run here; says why where they can't. In CI they run, and fail where something is missing. */
export function canRunElasticsearch(): boolean {
  const missing = process.env['CI'] === undefined ? missingTool() : undefined
  if (missing !== undefined) console.warn(`skipped: ${missing} to start Elasticsearch with`)
  return missing === undefined
}

function missingTool(): string | undefined {
  if (jdk === undefined) return `no JDK of version ${JAVA_MIN} or later in JAVA_HOME or ${JVMS}`
  if (spawnSync('mvn', ['--version']).status !== 0) return 'no Maven on the PATH'
  return undefined
}

function findJdk(): string | undefined {
  const installed = existsSync(JVMS) ? readdirSync(JVMS).map((name) => join(JVMS, name)) : []
  return [process.env['JAVA_HOME'], ...installed].find((home) => home !== undefined && versionOf(home) >= JAVA_MIN)
}

function versionOf(home: string): number {
  const release = join(home, 'release')
  if (!existsSync(release) || !existsSync(join(home, 'bin/javac'))) return 0
  return Number(/^JAVA_VERSION="(\d+)/m.exec(readFileSync(release, 'utf8'))?.[1] ?? 0)
}

/** The unpacked distribution with our plugin. Several processes may ask at once: each makes its own, the first that is complete is kept. */
function resolveDistribution(): string {
  const cache = process.env['SIGHTLINE_TEST_SERVERS'] ?? '/var/tmp/sightline-test-servers'
  const home = join(cache, `elasticsearch-${VERSION}`)
  if (existsSync(home)) return home
  mkdirSync(cache, { recursive: true })
  const making = mkdtempSync(join(cache, 'elasticsearch-making-'))
  try {
    run('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${GROUP}:elasticsearch:${VERSION}:zip`, `-DoutputDirectory=${making}`], making)
    run(join(jdk ?? '', 'bin/jar'), ['xf', join(making, `elasticsearch-${VERSION}.zip`)], making)
    const unpacked = join(making, `elasticsearch-${VERSION}`)
    for (const name of readdirSync(join(unpacked, 'bin'))) chmodSync(join(unpacked, 'bin', name), 0o755)
    buildExtras(unpacked, making)
    run('chmod', ['-R', 'a+rX', making], making)
    renameSync(unpacked, home)
  } catch (error) {
    if (!existsSync(home)) throw error
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
  return home
}

function buildExtras(home: string, scratch: string): void {
  const classes = join(scratch, 'classes')
  const plugin = join(home, 'plugins/sightline-test')
  for (const dir of [classes, plugin]) mkdirSync(dir, { recursive: true })
  const source = join(import.meta.dirname, 'ElasticsearchExtras.java')
  run(join(jdk ?? '', 'bin/javac'), ['-nowarn', '--release', String(JAVA_MIN), '-cp', join(home, 'lib/*'), '-d', classes, source], scratch)
  run(join(jdk ?? '', 'bin/jar'), ['cf', join(plugin, 'sightline-test.jar'), '-C', classes, '.'], scratch)
  writeFileSync(
    join(plugin, 'plugin-descriptor.properties'),
    `name=sightline-test\ndescription=REST paths for tests\nversion=1\nclassname=sightline.test.ElasticsearchExtras\njava.version=${JAVA_MIN}\nelasticsearch.version=${VERSION}\n`,
  )
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`)
}

export class ElasticsearchServer {
  readonly port: number
  readonly #home: string
  readonly #folder: string
  #child: ChildProcess | undefined
  /** What it wrote, for the message of a failed test. */
  output = ''

  private constructor(home: string, folder: string, port: number) {
    this.#home = home
    this.#folder = folder
    this.port = port
  }

  static async start(): Promise<ElasticsearchServer> {
    const home = resolveDistribution()
    const folder = mkdtempSync(join(tmpdir(), 'sightline-elasticsearch-'))
    const [port, transport] = await freePorts(2)
    const server = new ElasticsearchServer(home, folder, port!)
    server.#configure(transport!)
    await server.restart()
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  #configure(transportPort: number): void {
    const config = join(this.#folder, 'config')
    for (const dir of ['config/jvm.options.d', 'data', 'logs', 'tmp']) mkdirSync(join(this.#folder, dir), { recursive: true })
    cpSync(join(this.#home, 'config'), config, { recursive: true })
    const settings = {
      'cluster.name': 'sightline-test',
      'node.name': 'test',
      'discovery.type': 'single-node',
      'network.host': '127.0.0.1',
      'http.port': this.port,
      'transport.port': transportPort,
      'path.data': join(this.#folder, 'data'),
      'path.logs': join(this.#folder, 'logs'),
      'xpack.security.enabled': false,
      'cluster.routing.allocation.disk.threshold_enabled': false,
    }
    writeFileSync(
      join(config, 'elasticsearch.yml'),
      Object.entries(settings)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join(''),
    )
    const options = ['-Xms256m', `-Xmx${HEAP}`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
    writeFileSync(join(config, 'jvm.options.d/test.options'), `${options.join('\n')}\n`)
    const shipped = readFileSync(join(config, 'jvm.options'), 'utf8').split('\n')
    const kept = shipped.filter((line) => !/G1|Xlog|HeapDumpPath|ErrorFile/.test(line))
    writeFileSync(join(config, 'jvm.options'), kept.join('\n'))
    if (process.getuid?.() === 0) chownAll(this.#folder)
  }

  /** Starts it, again after `kill`. Resolves when it answers and has its shards. */
  async restart(): Promise<void> {
    this.output = ''
    const owner = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
    rmSync(join(this.#folder, 'pid'), { force: true })
    const child = spawn(join(this.#home, 'bin/elasticsearch'), ['-p', join(this.#folder, 'pid')], {
      cwd: this.#folder,
      env: {
        PATH: process.env['PATH'],
        HOME: this.#folder,
        ES_JAVA_HOME: jdk,
        ES_PATH_CONF: join(this.#folder, 'config'),
        ES_TMPDIR: join(this.#folder, 'tmp'),
        CLI_JAVA_OPTS: '-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...owner,
    })
    this.#child = child
    const collect = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString()).slice(-20_000)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    const endMs = Date.now() + READY_MS
    while (!(await this.#isReady())) {
      if (child.exitCode !== null || Date.now() > endMs) throw new Error(`Elasticsearch is not ready:\n${this.output}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  async #isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`${this.url}/_cluster/health?wait_for_status=yellow&wait_for_no_initializing_shards=true&timeout=1s`)
      return answer.ok && ((await answer.json()) as { timed_out: boolean }).timed_out === false
    } catch {
      return false
    }
  }

  /** SIGKILL; its data stay. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    const pidFile = join(this.#folder, 'pid')
    // The script's process is the launcher's; the server's is its child.
    if (existsSync(pidFile)) killIfThere(Number(readFileSync(pidFile, 'utf8')))
    child.kill('SIGKILL')
    await ended
  }

  /** The end: data are deleted. */
  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }

  /** JSON of a request; an error with status and body otherwise. */
  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const answer = await fetch(`${this.url}${path}`, { method, ...content })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`)
    return JSON.parse(text) as T
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function chownAll(dir: string): void {
  chownSync(dir, NOBODY, NOBODY)
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) chownAll(path)
    else chownSync(path, NOBODY, NOBODY)
  }
}
