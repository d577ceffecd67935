/**
 * What is known of the cluster: its brokers, and which of them leads which partition. Learnt from any broker that answers, asked for again whenever an answer shows
 * that it has changed.
 */
import { findCoordinatorV4, metadataV12, type Broker, type Connection } from '@platformatic/kafka'
import type { KafkaConfig } from '../../config/index.ts'
import { SightlineError } from '../../runtime/errors.ts'
import { Connections } from './connections.ts'
import { answerOf, CODE, codeError, requestError } from './errors.ts'

export interface TopicView {
  /** Of this life of the topic: a topic of the same name made anew has another. */
  readonly id: string
  /** Node ids by partition; −1 where there is none at present. */
  readonly leaders: readonly number[]
  /** Replicas of the first partition: how often a record is stored. */
  readonly replicas: number
}

const GROUP_KEY = 0

export class Cluster {
  readonly config: KafkaConfig
  readonly clientId: string
  readonly #connections: Connections
  #clusterId = ''
  #controllerId = -1
  #brokers = new Map<number, Broker>()
  #topics = new Map<string, TopicView>()
  #watched = new Set<string>()
  #refreshing: Promise<void> | undefined
  #turn = 0

  constructor(config: KafkaConfig, clientId: string) {
    this.config = config
    this.clientId = clientId
    this.#connections = new Connections(clientId, config, config.request_timeout)
  }

  get clusterId(): string {
    return this.#clusterId
  }

  topic(name: string): TopicView | undefined {
    return this.#topics.get(name)
  }

  broker(nodeId: number): Broker | undefined {
    return this.#brokers.get(nodeId)
  }

  /** The node that leads a partition; undefined while nobody does, or it isn't known. */
  leaderOf(topic: string, partition: number): number | undefined {
    const leader = this.#topics.get(topic)?.leaders[partition]
    return leader === undefined || leader < 0 || !this.#brokers.has(leader) ? undefined : leader
  }

  /** Topics that `refresh` asks for from now on. */
  watch(topics: readonly string[]): void {
    for (const topic of topics) this.#watched.add(topic)
  }

  /** Connections for one part; `requestTimeoutMs` beyond what its requests wait at the broker. */
  connections(requestTimeoutMs: number): Connections {
    return new Connections(this.clientId, this.config, requestTimeoutMs)
  }

  /** Asks again. Calls at the same time share one request. Errors: unavailable, unauthenticated. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#ask().finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  async #ask(): Promise<void> {
    const connection = await this.any()
    try {
      const answer = await answerOf(metadataV12.api.async(connection, [...this.#watched], false, false))
      this.#clusterId = answer.clusterId ?? ''
      this.#controllerId = answer.controllerId
      this.#brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
      for (const { name, errorCode, topicId, partitions } of answer.topics) {
        if (name === null || name === undefined) continue
        if (errorCode === CODE.unknownTopicOrPartition) this.#topics.delete(name)
        if (errorCode !== CODE.none) continue
        const leaders: number[] = []
        for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId
        this.#topics.set(name, { id: topicId, leaders, replicas: partitions[0]?.replicaNodes.length ?? 0 })
      }
    } catch (error) {
      throw requestError('learn the state of the Kafka cluster', error)
    }
  }

  /** A connection to the first broker that can be reached. Errors: unavailable, unauthenticated. */
  async any(): Promise<Connection> {
    const addresses = [...this.#brokers.values(), ...this.config.brokers.map(brokerOf)]
    let last: unknown = new Error('no broker')
    for (let i = 0; i < addresses.length; i++) {
      try {
        return await this.#connections.get(addresses[(this.#turn + i) % addresses.length]!)
      } catch (error) {
        last = error
      }
    }
    this.#turn++
    throw requestError(`connect to Kafka (${this.config.brokers.join(', ')})`, last)
  }

  /** A connection to who changes topics. */
  async controller(): Promise<Connection> {
    const broker = this.#brokers.get(this.#controllerId)
    return broker === undefined ? this.any() : this.#connections.get(broker)
  }

  /** The broker that keeps a group. Errors: unavailable, forbidden. */
  async coordinatorOf(groupId: string): Promise<Broker> {
    const what = `find the coordinator of group ${groupId}`
    const connection = await this.any()
    try {
      const { coordinators } = await answerOf(findCoordinatorV4.api.async(connection, GROUP_KEY, [groupId]))
      const found = coordinators[0]
      if (found === undefined) throw new SightlineError('unavailable', `cannot ${what}: none was named`)
      if (found.errorCode !== CODE.none) throw codeError(what, found.errorCode, found.errorMessage)
      return { host: found.host, port: found.port }
    } catch (error) {
      throw requestError(what, error)
    }
  }

  async close(): Promise<void> {
    await this.#connections.close()
  }
}

function brokerOf(address: string): Broker {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}
