import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTopic, kafkaConfigOf, KafkaServer, newPrefix, PATIENCE_MS, openJournal, whyNoKafka, withAdmin } from './kafka.testkit.ts'

const reason = whyNoKafka()

describe.skipIf(reason !== undefined)('topics', { timeout: PATIENCE_MS }, () => {
  let server: KafkaServer

  beforeAll(async () => {
    server = await KafkaServer.start()
  }, PATIENCE_MS)

  afterAll(async () => {
    await server?.stop()
  })

  async function settingsOf(topic: string): Promise<Record<string, string>> {
    const { resources } = await withAdmin(server, (admin) =>
      admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] }),
    )
    return Object.fromEntries(resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]))
  }

  test('are made with the settings that the journal needs', async () => {
    const prefix = newPrefix()
    const journal = await openJournal(server, prefix, { config: kafkaConfigOf(server, prefix, { retention: '2h' }) })
    expect(journal.warnings).toEqual([])
    const { topics } = await withAdmin(server, (admin) => admin.fetchTopicMetadata())
    const counts = topics
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, partitions }) => [name.slice(prefix.length), partitions.length])
    expect(Object.fromEntries(counts)).toEqual({
      '.metrics': 4,
      '.logs': 4,
      '.traces': 4,
      '.control': 1,
      '.checkpoints': 1,
      '.in.metrics': 4,
      '.in.logs': 4,
      '.in.traces': 4,
    })
    const data = { 'message.timestamp.type': 'LogAppendTime', 'max.message.bytes': '4194304', 'cleanup.policy': 'delete' }
    expect(await settingsOf(`${prefix}.logs`)).toMatchObject({ ...data, 'retention.ms': '7200000' })
    expect(await settingsOf(`${prefix}.control`)).toMatchObject({ ...data, 'retention.ms': '-1' })
    expect(await settingsOf(`${prefix}.checkpoints`)).toMatchObject({ 'cleanup.policy': 'compact', 'max.message.bytes': '4194304' })
    expect(await settingsOf(`${prefix}.in.logs`)).toMatchObject({ 'retention.ms': '7200000', 'message.timestamp.type': 'CreateTime' })
    await journal.close()
  })

  test('two processes that make them at the same time agree', async () => {
    const prefix = newPrefix()
    const journals = await Promise.all([openJournal(server, prefix), openJournal(server, prefix)])
    expect(journals[0].epoch).toBe(journals[1].epoch)
    await Promise.all(journals.map((journal) => journal.close()))
  })

  test('without leave to make them, missing ones are named', async () => {
    const prefix = newPrefix()
    const config = kafkaConfigOf(server, prefix, { create_topics: false, input_topics: false })
    await createTopic(server, `${prefix}.logs`, 4)
    await expect(openJournal(server, prefix, { config })).rejects.toMatchObject({
      kind: 'not_found',
      message: `cannot open the Kafka journal: topics ${prefix}.metrics, ${prefix}.traces, ${prefix}.control, ${prefix}.checkpoints do not exist, and kafka.create_topics is off`,
    })
  })

  test('another partition count is refused and the way out is said', async () => {
    const prefix = newPrefix()
    await createTopic(server, `${prefix}.traces`, 7)
    await expect(openJournal(server, prefix)).rejects.toMatchObject({
      kind: 'conflict',
      message: `cannot use topic ${prefix}.traces: it has 7 partitions, wanted are 4; set journal.partitions to 7, or use another kafka.topic_prefix`,
    })
  })

  test('a topic that would refuse whole records is refused', async () => {
    const prefix = newPrefix()
    await createTopic(server, `${prefix}.metrics`, 4, { 'max.message.bytes': '500000' })
    await expect(openJournal(server, prefix)).rejects.toMatchObject({
      kind: 'conflict',
      message: `cannot use topic ${prefix}.metrics: it has max.message.bytes=500000, wanted are at least 1024000; raise it with kafka-configs.sh`,
    })
  })

  test('what is unwise is warned about, topic, setting, found and wanted; input topics may have any partition count', async () => {
    const prefix = newPrefix()
    await createTopic(server, `${prefix}.logs`, 4, { 'cleanup.policy': 'compact', 'unclean.leader.election.enable': 'true' })
    await createTopic(server, `${prefix}.control`, 1, { 'retention.ms': '60000', 'message.timestamp.type': 'LogAppendTime' })
    await createTopic(server, `${prefix}.checkpoints`, 1)
    await createTopic(server, `${prefix}.in.logs`, 2)
    const journal = await openJournal(server, prefix)
    expect(journal.warnings).toEqual([
      `topic ${prefix}.logs has cleanup.policy=compact, wanted is delete: records can be lost`,
      `topic ${prefix}.logs has message.timestamp.type=CreateTime, wanted is LogAppendTime: readers may see different append times`,
      `topic ${prefix}.logs has unclean.leader.election.enable=true, wanted is false: acknowledged records can be lost when a leader fails`,
      `topic ${prefix}.control has retention.ms=60000, wanted is -1: records go earlier than configured`,
      `topic ${prefix}.checkpoints has cleanup.policy=delete, wanted is compact: old marks are kept, or marks are lost`,
    ])
    await journal.close()
  })

  test('no broker: the error says whom we asked and why it failed', async () => {
    const config = kafkaConfigOf(server, 'x', { brokers: ['127.0.0.1:1'] })
    await expect(openJournal(server, 'x', { config })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/cannot connect to Kafka \(127\.0\.0\.1:1\): .*ECONNREFUSED/),
    })
  })
})
