/**
 * The Kafka of a run: one real broker for all rows, as starting one for each would cost more than most rows, and every subject has topics of its own by their
 * prefix. What it costs is told beside our figures and is never in them.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { KafkaServer, whyNoKafka } from '../../test/harness/kafka.ts'
import { cpuSecondsOf, filesBelow, rssBytesOf } from '../measure/process.ts'
import type { Part } from './subject.ts'

export class Broker {
  readonly #server: KafkaServer
  #prefixes = 0

  private constructor(server: KafkaServer) {
    this.#server = server
  }

  /** Errors: there is no Java here. */
  static async start(): Promise<Broker> {
    const missing = whyNoKafka()
    if (missing !== undefined) throw new Error(`cannot start Kafka: ${missing}`)
    return new Broker(await KafkaServer.start())
  }

  get address(): string {
    return this.#server.brokers[0]!
  }

  /** Of the topics of one subject. */
  newPrefix(): string {
    return `bench-${++this.#prefixes}`
  }

  get part(): Part {
    const { pid } = this.#server
    return { role: 'kafka', isOurs: false, cpuSeconds: () => cpuSecondsOf(pid), rssBytes: () => rssBytesOf(pid) }
  }

  /** Of the records of a topic, as the broker keeps them; its indexes, which it makes larger than they are, aside. */
  topicBytes(topic: string): number {
    const partitions = readdirSync(this.#server.dataFolder).filter((name) => name.slice(0, name.lastIndexOf('-')) === topic)
    const segments = partitions.flatMap((name) => filesBelow(join(this.#server.dataFolder, name))).filter((path) => path.endsWith('.log'))
    return segments.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0)
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }
}
