/**
 * The group protocol's requests, to the broker that keeps the group. Members speak Kafka's consumer protocol, so that its tools can show the group; the protocol's name is ours, so
 * that no foreign consumer with another idea of assignment gets in.
 *
 * Join and heartbeat have a connection of their own: a join waits at the broker for the other members, and commits must not wait behind it.
 */
import {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  joinGroupV7,
  leaveGroupV4,
  offsetCommitV8,
  offsetFetchV8,
  syncGroupV5,
  type Broker,
  type Connection,
  type GroupAssignment,
} from '@platformatic/kafka'
import { SightlineError } from '../../runtime/errors.ts'
import type { AssignableMember } from './assign.ts'
import type { Cluster } from './cluster.ts'
import type { Connections } from './connections.ts'
import { answerOf, CODE, codeError, offsetOf } from './errors.ts'
import type { TopicPartition } from './offsets.ts'

export interface Identity {
  readonly memberId: string
  readonly generation: number
}

export interface Joined extends Identity {
  readonly code: number
  /** Of the leader only: it deals the units out. */
  readonly members: readonly AssignableMember[] | undefined
}

export interface CommittedOffset {
  readonly offset: number
  readonly metadata: string
}

const PROTOCOL_TYPE = 'consumer'
const PROTOCOL = 'sightline-copartition'
const SUBSCRIPTION_VERSION = 3
/** A join is answered at the latest when the rebalance times out. */
const JOIN_SLACK_MS = 10_000

export class Coordinator {
  readonly #cluster: Cluster
  readonly #groupId: string
  readonly #node: string
  readonly #units: readonly (readonly TopicPartition[])[]
  readonly #unitOf = new Map<string, number>()
  readonly #topics: string[]
  readonly #membership: Connections
  readonly #requests: Connections
  #broker: Broker | undefined

  /** @param units the partitions that go together; every member must be given the same */
  constructor(cluster: Cluster, groupId: string, node: string, units: readonly (readonly TopicPartition[])[]) {
    const { rebalance_timeout: rebalanceMs, request_timeout: requestMs } = cluster.config
    this.#cluster = cluster
    this.#groupId = groupId
    this.#node = node
    this.#units = units
    this.#topics = [...new Set(units.flat().map(({ topic }) => topic))]
    for (const [unit, partitions] of units.entries()) {
      for (const { topic, partition } of partitions) this.#unitOf.set(`${topic}/${partition}`, unit)
    }
    this.#membership = cluster.connections(rebalanceMs + JOIN_SLACK_MS)
    this.#requests = cluster.connections(requestMs)
  }

  get groupId(): string {
    return this.#groupId
  }

  get unitCount(): number {
    return this.#units.length
  }

  /** The group may have moved: its broker is looked for again before the next request. */
  forget(): void {
    this.#broker = undefined
  }

  /** `forget`, and a join or heartbeat that hangs is broken off. */
  async reset(): Promise<void> {
    this.forget()
    await this.#membership.reset()
  }

  async #connect(connections: Connections): Promise<Connection> {
    this.#broker ??= await this.#cluster.coordinatorOf(this.#groupId)
    return connections.get(this.#broker)
  }

  async join({ memberId, generation }: Identity, owned: readonly number[]): Promise<Joined> {
    const { session_timeout: sessionMs, rebalance_timeout: rebalanceMs } = this.#cluster.config
    const ownedPartitions = this.#partitionsOf(owned)
    const metadata = encodeConsumerProtocolSubscription({
      version: SUBSCRIPTION_VERSION,
      topics: this.#topics,
      ownedPartitions,
      generationId: generation,
    })
    const connection = await this.#connect(this.#membership)
    const protocols = [{ name: PROTOCOL, metadata }]
    const answer = await answerOf(
      joinGroupV7.api.async(connection, this.#groupId, sessionMs, rebalanceMs, memberId, this.#node, PROTOCOL_TYPE, protocols),
    )
    const isLeader = answer.errorCode === CODE.none && answer.leader === answer.memberId && answer.members.length > 0
    const members = isLeader
      ? answer.members.map((member) => this.#memberOf(member.memberId, member.groupInstanceId, member.metadata))
      : undefined
    return { code: answer.errorCode, memberId: answer.memberId, generation: answer.generationId, members }
  }

  #memberOf(id: string, instanceId: string | null | undefined, metadata: Buffer): AssignableMember {
    const { ownedPartitions, generationId } = decodeConsumerProtocolSubscription(metadata)
    return { id, name: instanceId ?? id, owned: this.#unitsOf(ownedPartitions), generation: generationId }
  }

  /** @param assignments of the leader, by member id; empty from the others */
  async sync(
    { memberId, generation }: Identity,
    assignments: ReadonlyMap<string, readonly number[]>,
  ): Promise<{ code: number; units: number[] }> {
    const encoded = [...assignments].map(([id, units]) => ({
      memberId: id,
      assignment: encodeConsumerProtocolAssignment({ version: SUBSCRIPTION_VERSION, assignedPartitions: this.#partitionsOf(units) }),
    }))
    const connection = await this.#connect(this.#membership)
    const answer = await answerOf(
      syncGroupV5.api.async(connection, this.#groupId, generation, memberId, this.#node, PROTOCOL_TYPE, PROTOCOL, encoded),
    )
    if (answer.errorCode !== CODE.none) return { code: answer.errorCode, units: [] }
    return { code: CODE.none, units: this.#unitsOf(decodeConsumerProtocolAssignment(answer.assignment).assignedPartitions) }
  }

  async heartbeat({ memberId, generation }: Identity): Promise<number> {
    const connection = await this.#connect(this.#membership)
    return (await answerOf(heartbeatV4.api.async(connection, this.#groupId, generation, memberId, this.#node))).errorCode
  }

  async leave({ memberId }: Identity): Promise<void> {
    const connection = await this.#connect(this.#requests)
    await answerOf(leaveGroupV4.api.async(connection, this.#groupId, [{ memberId, groupInstanceId: this.#node }]))
  }

  /** The broker takes it only from a member of the present generation. */
  async commit(
    { memberId, generation }: Identity,
    { topic, partition }: TopicPartition,
    offset: number,
    metadata: string,
  ): Promise<number> {
    const partitions = [
      { partitionIndex: partition, committedOffset: BigInt(offset), committedLeaderEpoch: -1, committedMetadata: metadata },
    ]
    const connection = await this.#connect(this.#requests)
    const answer = await answerOf(
      offsetCommitV8.api.async(connection, this.#groupId, generation, memberId, this.#node, [{ name: topic, partitions }]),
    )
    return answer.topics[0]!.partitions[0]!.errorCode
  }

  /** By `topic/partition`; without a committed offset it is absent. Errors: unavailable, forbidden. */
  async committed(partitions: readonly TopicPartition[]): Promise<Map<string, CommittedOffset>> {
    const what = `read the offsets of group ${this.#groupId}`
    const byTopic = Map.groupBy(partitions, ({ topic }) => topic)
    const topics = [...byTopic].map(([name, of]) => ({ name, partitionIndexes: of.map(({ partition }) => partition) }))
    const connection = await this.#connect(this.#requests)
    const answer = await answerOf(offsetFetchV8.api.async(connection, [{ groupId: this.#groupId, memberEpoch: -1, topics }], false))
    const group = answer.groups[0]
    if (group === undefined) throw new SightlineError('unavailable', `cannot ${what}: the broker did not answer for it`)
    if (group.errorCode !== CODE.none) throw codeError(what, group.errorCode)
    const out = new Map<string, CommittedOffset>()
    for (const topic of group.topics) {
      for (const { partitionIndex, committedOffset, metadata, errorCode } of topic.partitions) {
        if (errorCode !== CODE.none) throw codeError(what, errorCode)
        const offset = offsetOf(committedOffset)
        if (offset >= 0) out.set(`${topic.name}/${partitionIndex}`, { offset, metadata: metadata ?? '' })
      }
    }
    return out
  }

  #partitionsOf(units: readonly number[]): GroupAssignment[] {
    const byTopic = Map.groupBy(
      units.flatMap((unit) => this.#units[unit]!),
      ({ topic }) => topic,
    )
    return [...byTopic].map(([topic, of]) => ({ topic, partitions: of.map(({ partition }) => partition) }))
  }

  #unitsOf(assignments: readonly GroupAssignment[]): number[] {
    const units = new Set<number>()
    for (const { topic, partitions } of assignments) {
      for (const partition of partitions) {
        const unit = this.#unitOf.get(`${topic}/${partition}`)
        if (unit !== undefined) units.add(unit)
      }
    }
    return [...units].sort((a, b) => a - b)
  }

  async close(): Promise<void> {
    await Promise.all([this.#membership.close(), this.#requests.close()])
  }
}
