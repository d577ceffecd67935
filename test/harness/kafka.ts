/** A real Apache Kafka (one KRaft node, or a second one beside it) on a port of its own, which tests kill and start again on the same data. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { JavaProcess, resolveMaven, whyNoJava } from './java-server.ts'
import { freePorts } from './sightline.ts'

const VERSION = '4.4.0'
const DEPENDENCIES = `
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version>
<exclusions><exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId></exclusion></exclusions></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.5</version></dependency>`
const LOG4J = `<Configuration status="WARN"><Appenders><Console name="c"><PatternLayout pattern="%d{ISO8601} %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="c"/></Root></Loggers></Configuration>`
const JAVA = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export interface KafkaServerOptions {
  /** Broker properties beside or instead of ours; gets a second free port for `extra.listener`, which is added to the listeners. */
  readonly properties?: (folder: string, secondPort: number) => Readonly<Record<string, string>>
  /** The node whose cluster this one joins, as a broker only: it may be killed and leaves its partitions to the other. */
  readonly peer?: KafkaServer
  /** More arguments of the storage tool's `format`: SCRAM users. */
  readonly format?: readonly string[]
}

/** Why tests that need Kafka can't run here; undefined where they can. */
export const whyNoKafka = whyNoJava

export class KafkaServer {
  readonly #folder: string
  readonly #ports: readonly number[]
  readonly #process: JavaProcess

  private constructor(folder: string, ports: readonly number[], java: JavaProcess) {
    this.#folder = folder
    this.#ports = ports
    this.#process = java
  }

  static async start(options: KafkaServerOptions = {}): Promise<KafkaServer> {
    const classPath = await resolveMaven(`kafka-${VERSION}`, DEPENDENCIES)
    const folder = mkdtempSync(join(tmpdir(), 'sightline-kafka-'))
    const ports = await freePorts(3)
    const properties = join(folder, 'server.properties')
    const { 'extra.listener': extra, ...more } = options.properties?.(folder, ports[2]!) ?? {}
    const joining = options.peer === undefined ? {} : secondNodeProperties(ports, options.peer.#ports)
    const all = { ...basicProperties(folder, ports, extra), ...joining, ...more }
    writeFileSync(
      properties,
      Object.entries(all)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    writeFileSync(join(folder, 'log4j2.xml'), LOG4J)
    const java = [...JAVA, '-cp', classPath, `-Dlog4j2.configurationFile=${join(folder, 'log4j2.xml')}`]
    const format = ['kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', properties, ...(options.format ?? [])]
    const formatted = spawnSync('java', ['-Xmx128m', ...java, ...format], { encoding: 'utf8' })
    if (formatted.status !== 0) throw new Error(`cannot format Kafka's storage: ${formatted.stdout}${formatted.stderr}`)
    const server = new KafkaServer(folder, ports, new JavaProcess(folder, ['-Xmx512m', ...java, 'kafka.Kafka', properties]))
    await server.restart()
    return server
  }

  get brokers(): string[] {
    return [`127.0.0.1:${this.#ports[0]}`]
  }

  /** Of the listener that `properties` added. */
  get secondBroker(): string {
    return `127.0.0.1:${this.#ports[2]}`
  }

  /** What the broker wrote, for the message of a failed test. */
  get log(): string {
    return this.#process.log
  }

  /** Of the process that runs now. */
  get pid(): number {
    return this.#process.pid
  }

  /** A folder `<topic>-<partition>` for each. */
  get dataFolder(): string {
    return join(this.#folder, 'data')
  }

  /** Starts it again after `kill`. */
  async restart(): Promise<void> {
    await this.#process.start(this.#ports[0]!)
  }

  /** SIGKILL; its data stay. */
  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  /** The end: data are deleted. */
  async stop(): Promise<void> {
    await this.#process.end('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function basicProperties(folder: string, [port, controllerPort]: readonly number[], extraListener?: string): Record<string, string> {
  const advertised = [`PLAINTEXT://127.0.0.1:${port}`, ...(extraListener === undefined ? [] : [extraListener])]
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: [...advertised, `CONTROLLER://127.0.0.1:${controllerPort}`].join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': join(folder, 'data'),
    // After a kill the old registration has to run out before the new process is let in.
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '300',
    'num.network.threads': '2',
    'num.io.threads': '2',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '3',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    'auto.create.topics.enable': 'false',
  }
}

function secondNodeProperties([port]: readonly number[], [, controllerPort]: readonly number[]): Record<string, string> {
  return {
    'process.roles': 'broker',
    'node.id': '2',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port}`,
  }
}
