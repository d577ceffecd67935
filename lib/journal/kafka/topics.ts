/**
 * The topics of a prefix: made where they are missing, checked where they are there. What would lose or refuse records is an error that says what to do; what is
 * merely unwise comes back as a warning.
 */
import { createTopicsV7, describeConfigsV4, ConfigResourceTypes } from '@platformatic/kafka'
import type { Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { SIGNALS, type Signal } from '../partition.ts'
import { RECORD_BYTES_MAX } from '../record.ts'
import type { Cluster } from './cluster.ts'
import { answerOf, CODE, codeError, requestError } from './errors.ts'

export const INPUT_SIGNALS = ['metrics', 'logs', 'traces'] as const
export type InputSignal = (typeof INPUT_SIGNALS)[number]

export function topicOf(prefix: string, signal: Signal): string {
  return `${prefix}.${signal}`
}

export function checkpointsTopicOf(prefix: string): string {
  return `${prefix}.checkpoints`
}

export function inputTopicOf(prefix: string, signal: InputSignal): string {
  return `${prefix}.in.${signal}`
}

interface WantedTopic {
  readonly name: string
  readonly partitions: number
  /** Another number is refused. */
  readonly isExact: boolean
  /** A topic that takes less is refused: its `max.message.bytes`. */
  readonly messageBytesMin: number
  readonly settings: Readonly<Record<string, string>>
}

/** Of topics that we make: a payload, its headers, and a position's worth of text. */
const MESSAGE_BYTES = 4 * 1024 * 1024
/** A payload and 100 KiB of headers: Kafka's own default is just above. */
const MESSAGE_BYTES_MIN = RECORD_BYTES_MAX + 100 * 1024
/** Small segments, so that old marks are compacted away soon. */
const CHECKPOINT_SEGMENT_BYTES = 64 * 1024 * 1024
const DURABLE_REPLICAS = 3
const LEADER_WAIT_MS = 200

function wantedTopics(cluster: Cluster, partitions: number): WantedTopic[] {
  const { topic_prefix: prefix, retention, input_topics: hasInputs } = cluster.config
  const bytes = { 'max.message.bytes': String(MESSAGE_BYTES) }
  const kept = { 'cleanup.policy': 'delete', 'retention.ms': String(retention) }
  const ours = { 'message.timestamp.type': 'LogAppendTime', ...bytes }
  const basic = { isExact: true, messageBytesMin: MESSAGE_BYTES_MIN }
  const data = SIGNALS.map((signal): WantedTopic => {
    const isControl = signal === 'control'
    const retained = isControl ? { ...kept, 'retention.ms': '-1' } : kept
    return { ...basic, name: topicOf(prefix, signal), partitions: isControl ? 1 : partitions, settings: { ...ours, ...retained } }
  })
  const compacted = { 'cleanup.policy': 'compact', 'segment.bytes': String(CHECKPOINT_SEGMENT_BYTES), 'min.cleanable.dirty.ratio': '0.1' }
  const checkpoints = { ...basic, name: checkpointsTopicOf(prefix), partitions: 1, settings: { ...compacted, ...bytes } }
  const inputs = INPUT_SIGNALS.map((signal): WantedTopic => {
    return { name: inputTopicOf(prefix, signal), partitions, isExact: false, messageBytesMin: 0, settings: { ...kept, ...bytes } }
  })
  return [...data, checkpoints, ...(hasInputs ? inputs : [])]
}

export interface TopicsFound {
  readonly warnings: readonly string[]
  /** `max.message.bytes` by topic. */
  readonly messageBytesMax: ReadonlyMap<string, number>
}

/**
 * After it `cluster` knows all topics and their leaders.
 * Errors: conflict (other partition count, too small a `max.message.bytes`), not_found (missing, and not to be made), unavailable, forbidden.
 */
export async function ensureTopics(cluster: Cluster, partitions: number, clock: Clock): Promise<TopicsFound> {
  const wanted = wantedTopics(cluster, partitions)
  cluster.watch(wanted.map(({ name }) => name))
  await cluster.refresh()
  const missing = wanted.filter(({ name }) => cluster.topic(name) === undefined)
  if (missing.length > 0) {
    if (!cluster.config.create_topics) {
      const names = missing.map(({ name }) => name).join(', ')
      throw new SightlineError('not_found', `cannot open the Kafka journal: topics ${names} do not exist, and kafka.create_topics is off`)
    }
    await createTopics(cluster, missing)
  }
  await leadersOf(cluster, wanted, clock)
  return checkTopics(cluster, wanted)
}

async function createTopics(cluster: Cluster, topics: readonly WantedTopic[]): Promise<void> {
  const replicationFactor = cluster.config.replication_factor
  const requests = topics.map(({ name, partitions, settings }) => {
    // With three copies and one broker away every acknowledged record is still on two.
    const durable = replicationFactor >= DURABLE_REPLICAS ? { 'min.insync.replicas': '2' } : {}
    const configs = Object.entries({ ...settings, ...durable }).map(([key, value]) => ({ name: key, value }))
    return { name, numPartitions: partitions, replicationFactor, assignments: [], configs }
  })
  try {
    const connection = await cluster.controller()
    const answer = await answerOf(createTopicsV7.api.async(connection, requests, cluster.config.request_timeout, false))
    for (const { name, errorCode, errorMessage } of answer.topics) {
      if (errorCode !== CODE.none && errorCode !== CODE.topicExists) throw codeError(`create topic ${name}`, errorCode, errorMessage)
    }
  } catch (error) {
    throw requestError('create topics', error)
  }
}

async function leadersOf(cluster: Cluster, wanted: readonly WantedTopic[], clock: Clock): Promise<void> {
  const endMs = clock.now() + cluster.config.request_timeout
  for (;;) {
    const without = wanted.find(({ name }) => {
      const topic = cluster.topic(name)
      return topic === undefined || topic.leaders.some((_, partition) => cluster.leaderOf(name, partition) === undefined)
    })
    if (without === undefined) return
    if (clock.now() >= endMs) throw new SightlineError('unavailable', `cannot open the Kafka journal: topic ${without.name} has no leader`)
    await clock.sleep(LEADER_WAIT_MS)
    await cluster.refresh()
  }
}

async function checkTopics(cluster: Cluster, wanted: readonly WantedTopic[]): Promise<TopicsFound> {
  const warnings: string[] = []
  const messageBytesMax = new Map<string, number>()
  for (const { name, partitions, isExact } of wanted) {
    const found = cluster.topic(name)!.leaders.length
    if (!isExact || found === partitions) continue
    const advice =
      partitions === 1
        ? 'delete it or use another kafka.topic_prefix'
        : `set journal.partitions to ${found}, or use another kafka.topic_prefix`
    throw new SightlineError('conflict', `cannot use topic ${name}: it has ${found} partitions, wanted are ${partitions}; ${advice}`)
  }
  const found = await describe(cluster, wanted, warnings)
  for (const topic of wanted) {
    const settings = found.get(topic.name)
    messageBytesMax.set(topic.name, Number(settings?.get('max.message.bytes') ?? MESSAGE_BYTES_MIN))
    if (settings !== undefined) checkSettings(cluster, topic, settings, warnings)
  }
  return { warnings, messageBytesMax }
}

async function describe(
  cluster: Cluster,
  wanted: readonly WantedTopic[],
  warnings: string[],
): Promise<Map<string, ReadonlyMap<string, string | undefined>>> {
  const resources = wanted.map(({ name }) => ({ resourceType: ConfigResourceTypes.TOPIC, resourceName: name, configurationKeys: null }))
  try {
    const answer = await answerOf(describeConfigsV4.api.async(await cluster.any(), resources, false, false))
    const out = new Map<string, ReadonlyMap<string, string | undefined>>()
    for (const { resourceName, errorCode, errorMessage, configs } of answer.results) {
      if (errorCode === CODE.none) out.set(resourceName, new Map(configs.map(({ name, value }) => [name, value ?? undefined])))
      else warnings.push(codeError(`check the settings of topic ${resourceName}`, errorCode, errorMessage).message)
    }
    return out
  } catch (error) {
    throw requestError('check the settings of topics', error)
  }
}

function checkSettings(cluster: Cluster, topic: WantedTopic, found: ReadonlyMap<string, string | undefined>, warnings: string[]): void {
  const say = (setting: string, wanted: string, why: string): void => {
    warnings.push(`topic ${topic.name} has ${setting}=${found.get(setting)}, wanted is ${wanted}: ${why}`)
  }
  const bytes = Number(found.get('max.message.bytes'))
  if (bytes < topic.messageBytesMin) {
    const what = `it has max.message.bytes=${bytes}, wanted are at least ${topic.messageBytesMin}`
    throw new SightlineError('conflict', `cannot use topic ${topic.name}: ${what}; raise it with kafka-configs.sh`)
  }
  const policy = topic.settings['cleanup.policy']!
  if (found.get('cleanup.policy') !== policy) {
    say('cleanup.policy', policy, policy === 'compact' ? 'old marks are kept, or marks are lost' : 'records can be lost')
  }
  const timestamps = topic.settings['message.timestamp.type']
  if (timestamps !== undefined && found.get('message.timestamp.type') !== timestamps) {
    say('message.timestamp.type', timestamps, 'readers may see different append times')
  }
  const retention = Number(topic.settings['retention.ms'])
  const foundRetention = Number(found.get('retention.ms'))
  const isShorter = foundRetention >= 0 && (retention < 0 || foundRetention < retention)
  if (policy === 'delete' && isShorter) say('retention.ms', String(retention), 'records go earlier than configured')
  if (found.get('unclean.leader.election.enable') === 'true') {
    say('unclean.leader.election.enable', 'false', 'acknowledged records can be lost when a leader fails')
  }
  if (cluster.topic(topic.name)!.replicas > 1 && found.get('min.insync.replicas') === '1') {
    say('min.insync.replicas', '2', 'what only one broker has is acknowledged')
  }
}
