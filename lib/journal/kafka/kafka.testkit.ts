/** What the Kafka tests share: a broker, a configuration for it, and a topic prefix of each test's own. */
import { randomBytes } from 'node:crypto'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { parseConfig, type KafkaConfig } from '../../config/index.ts'
import { eventually as untilItHolds } from '../../../test/harness/eventually.ts'
import { KafkaServer } from '../../../test/harness/kafka.ts'
import { openKafkaJournal, type KafkaJournal, type KafkaJournalOptions } from '../index.ts'

export { KafkaServer, whyNoKafka } from '../../../test/harness/kafka.ts'

/** Of a test or a hook: starting brokers and waiting for sessions to end takes long on a machine that does much else. */
export const PATIENCE_MS = 120_000

export function eventually<T>(check: () => T | Promise<T>, deadlineMs = PATIENCE_MS / 3): Promise<T> {
  return untilItHolds(check, deadlineMs)
}

export function newPrefix(): string {
  return `t${randomBytes(5).toString('hex')}`
}

/** The section `kafka` as it would be loaded, with `more` of its keys. */
export function kafkaConfigOf(server: KafkaServer, prefix: string, more: Record<string, unknown> = {}): KafkaConfig {
  const section = { brokers: server.brokers, topic_prefix: prefix, group_id: prefix, ...more }
  return parseConfig(JSON.stringify({ kafka: section }), 'test').config.kafka!
}

export function openJournal(server: KafkaServer, prefix: string, more: Partial<KafkaJournalOptions> = {}): Promise<KafkaJournal> {
  return openKafkaJournal({ config: kafkaConfigOf(server, prefix), partitions: 4, producer: 'test', ...more })
}

/** An independent client: kafkajs. It warns about itself on new Node versions, which is not what is tested. */
export function kafkajsOf(server: KafkaServer): Kafka {
  return new Kafka({ brokers: server.brokers, logLevel: logLevel.NOTHING })
}

export async function withAdmin<T>(server: KafkaServer, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkajsOf(server).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Deletes what lies before `offset`, as retention would. */
export async function deleteBefore(server: KafkaServer, topic: string, partition: number, offset: number): Promise<void> {
  await withAdmin(server, async (admin) => {
    // It is this call that makes the client learn the topic.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
  })
}

/** Made as somebody else would, before us. */
export async function createTopic(
  server: KafkaServer,
  topic: string,
  numPartitions: number,
  settings: Record<string, string> = {},
): Promise<void> {
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  await withAdmin(server, async (admin) => {
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] })
    await eventually(() => admin.fetchTopicMetadata({ topics: [topic] }))
  })
}
