/** First and next offset of partitions, asked of their leaders. */
import { listOffsetsV7 } from '@platformatic/kafka'
import type { Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import type { Cluster } from './cluster.ts'
import type { Connections } from './connections.ts'
import { answerOf, CODE, codeError, isRetriable, offsetOf, requestError } from './errors.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface OffsetRange {
  /** The lowest offset that is still there. */
  readonly start: number
  /** The one that the next record gets, durable records only. */
  readonly end: number
}

const EARLIEST = -2n
const LATEST = -1n
const RETRY_MS = 200

/** Ranges in the order of `partitions`. Tried again for `request_timeout` while leaders change. Errors: unavailable, forbidden. */
export async function listOffsets(
  cluster: Cluster,
  connections: Connections,
  partitions: readonly TopicPartition[],
  clock: Clock,
): Promise<OffsetRange[]> {
  const endMs = clock.now() + cluster.config.request_timeout
  for (;;) {
    try {
      const starts = await ask(cluster, connections, partitions, EARLIEST)
      const ends = await ask(cluster, connections, partitions, LATEST)
      return partitions.map((_, i) => ({ start: starts[i]!, end: ends[i]! }))
    } catch (error) {
      if (!(error instanceof SightlineError && error.retriable) || clock.now() >= endMs) throw error
      await clock.sleep(RETRY_MS)
      await cluster.refresh().catch(() => undefined)
    }
  }
}

async function ask(
  cluster: Cluster,
  connections: Connections,
  partitions: readonly TopicPartition[],
  timestamp: bigint,
): Promise<number[]> {
  const byNode = new Map<number, number[]>()
  for (const [i, { topic, partition }] of partitions.entries()) {
    const leader = cluster.leaderOf(topic, partition)
    if (leader === undefined) throw new SightlineError('unavailable', `cannot read offsets of ${topic}/${partition}: it has no leader`)
    byNode.set(leader, [...(byNode.get(leader) ?? []), i])
  }
  const out: number[] = []
  await Promise.all(
    [...byNode].map(async ([node, indexes]) => {
      const byTopic = Map.groupBy(indexes, (i) => partitions[i]!.topic)
      const topics = [...byTopic].map(([name, ofTopic]) => ({
        name,
        partitions: ofTopic.map((i) => ({ partitionIndex: partitions[i]!.partition, currentLeaderEpoch: -1, timestamp })),
      }))
      try {
        const connection = await connections.get(cluster.broker(node)!)
        const answer = await answerOf(listOffsetsV7.api.async(connection, -1, 0, topics))
        const found = new Map(answer.topics.flatMap((topic) => topic.partitions.map((one) => [`${topic.name}/${one.partitionIndex}`, one])))
        for (const i of indexes) {
          const key = `${partitions[i]!.topic}/${partitions[i]!.partition}`
          const one = found.get(key)
          if (one === undefined) throw new SightlineError('unavailable', `cannot read offsets of ${key}: the broker did not answer for it`)
          if (one.errorCode !== CODE.none) throw offsetsError(`read offsets of ${key}`, one.errorCode)
          out[i] = offsetOf(one.offset)
        }
      } catch (error) {
        throw requestError('read offsets', error)
      }
    }),
  )
  return out
}

function offsetsError(what: string, code: number): SightlineError {
  const error = codeError(what, code)
  return isRetriable(code) || error.kind === 'forbidden' ? error : new SightlineError('internal', error.message)
}
