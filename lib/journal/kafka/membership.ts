/**
 * Being a member of a group: join, heartbeats, giving up and getting units, and commits that only the present owner gets through.
 *
 * Rebalancing is cooperative. A round takes away what another is to have; the member hands that over while it stays a member in good standing (heartbeats go on), and only then
 * joins again, without it: so nobody can be given a unit before `revoked` resolved. A hand-over that takes longer than the rebalance timeout is broken off: the unit is
 * `lost`, and from then on this member refuses to commit it itself. A member that the group threw out (it was silent for the session timeout) learns so from the next answer,
 * and its commits are refused by the broker, because they carry the generation in which it was a member.
 *
 * Membership is static: the node's name is the member's, so a process that restarts within the session timeout finds its units as it left them.
 */
import type { Clock } from '../../runtime/clock.ts'
import { SightlineError } from '../../runtime/errors.ts'
import type { GroupHandlers } from '../group.ts'
import { assignUnits } from './assign.ts'
import type { Cluster } from './cluster.ts'
import { Coordinator, type CommittedOffset, type Identity } from './coordinator.ts'
import { CODE, codeError, isCoordinatorElsewhere, isRetriable, nameOfCode, requestError } from './errors.ts'
import type { TopicPartition } from './offsets.ts'

export interface MembershipOptions {
  readonly cluster: Cluster
  readonly groupId: string
  readonly node: string
  readonly units: readonly (readonly TopicPartition[])[]
  readonly clock: Clock
  /** Membership ended for good: another process has this node's name, or the group refuses us. Units are `lost` already. */
  readonly onFatal: (error: SightlineError) => void
}

interface HandOver {
  readonly units: ReadonlyMap<number, number>
  readonly ended: Promise<void>
  isEnded: boolean
}

const RETRY_MS = 200
/** Of the rebalance timeout: a member must have joined again before it is over. */
const HAND_OVER_SHARE = 0.9

export class Membership {
  readonly #options: MembershipOptions
  readonly #clock: Clock
  readonly #coordinator: Coordinator
  /** Each unit with the number of its tenure: had, lost and had again is another tenure. */
  readonly #owned = new Map<number, number>()
  #tenures = 0
  #identity: Identity = { memberId: '', generation: -1 }
  #handlers: GroupHandlers | undefined
  #handOver: HandOver | undefined
  #first: PromiseWithResolvers<void> | undefined
  #running: Promise<void> | undefined
  #wake = new AbortController()
  #isJoined = false
  #isLeaving = false
  #isClosed = false

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#coordinator = new Coordinator(options.cluster, options.groupId, options.node, options.units)
  }

  /** Resolves with the first assignment. Errors: unavailable, forbidden, conflict. */
  join(handlers: GroupHandlers): Promise<void> {
    if (this.#running !== undefined) throw new SightlineError('internal', `BUG: group ${this.#options.groupId} is joined twice`)
    this.#handlers = handlers
    this.#first = Promise.withResolvers()
    this.#running = this.#run()
    return this.#first.promise
  }

  /** The number of this member's present time with a unit; undefined where it hasn't got it. */
  tenureOf(unit: number): number | undefined {
    return this.#owned.get(unit)
  }

  async #run(): Promise<void> {
    const sinceMs = this.#clock.now()
    let isMember = true
    while (isMember && !this.#isClosed) {
      try {
        const units = await this.#rejoin()
        if (units === undefined) continue
        this.#take(units)
        this.#isJoined = true
        this.#first!.resolve()
        isMember = await this.#stay()
      } catch (error) {
        if (this.#isClosed) return
        const failure = requestError(`take part in group ${this.#options.groupId}`, error)
        const isTooLate = !this.#isJoined && this.#clock.now() - sinceMs > this.#options.cluster.config.request_timeout
        if (!failure.retriable || isTooLate) isMember = this.#end(failure)
        else await this.#pause()
      }
    }
  }

  /** @returns false: no member any longer */
  #end(error: SightlineError): false {
    this.#expelled()
    if (this.#isJoined) this.#options.onFatal(error)
    else this.#first!.reject(error)
    return false
  }

  async #pause(): Promise<void> {
    await this.#coordinator.reset()
    await this.#clock.sleep(RETRY_MS)
  }

  /** One round. undefined: not settled, to be tried again. Errors: conflict and forbidden are for good. */
  async #rejoin(): Promise<number[] | undefined> {
    const joined = await this.#coordinator.join(this.#identity, [...this.#owned.keys()])
    if (joined.code !== CODE.none) {
      await this.#refused(joined.code)
      return undefined
    }
    const present = { memberId: joined.memberId, generation: joined.generation }
    // The generation is ours only once we know what it gives us; the member id at once.
    this.#identity = { memberId: joined.memberId, generation: this.#identity.generation }
    const dealt = joined.members === undefined ? new Map<string, number[]>() : assignUnits(joined.members, this.#coordinator.unitCount)
    const { code, units } = await this.#coordinator.sync(present, dealt)
    if (code === CODE.rebalanceInProgress) return undefined
    if (code !== CODE.none) {
      await this.#refused(code)
      return undefined
    }
    this.#identity = present
    return units
  }

  async #refused(code: number): Promise<void> {
    if (code === CODE.unknownMember || code === CODE.illegalGeneration) return this.#thrownOut(code)
    if (code === CODE.fencedInstance) {
      const what = `cannot take part in group ${this.#options.groupId} as ${this.#options.node}`
      throw new SightlineError('conflict', `${what}: another process joined with this name; give each node its own`)
    }
    if (!isCoordinatorElsewhere(code) && code !== CODE.rebalanceInProgress && !isRetriable(code)) {
      const error = codeError(`take part in group ${this.#options.groupId}`, code)
      throw error.kind === 'forbidden' ? error : new SightlineError('conflict', error.message)
    }
    await this.#pause()
  }

  /** The group went on without us. A member that it no longer knows begins anew. */
  #thrownOut(code: number): void {
    const memberId = code === CODE.unknownMember ? '' : this.#identity.memberId
    this.#expelled()
    this.#identity = { memberId, generation: -1 }
  }

  #expelled(): void {
    const units = [...this.#owned.keys()]
    this.#owned.clear()
    this.#handOver = undefined
    if (units.length > 0) this.#handlers!.lost(units)
  }

  #take(units: readonly number[]): void {
    const added = units.filter((unit) => !this.#owned.has(unit))
    for (const unit of added) this.#owned.set(unit, ++this.#tenures)
    const revoked = [...this.#owned.keys()].filter((unit) => !units.includes(unit))
    if (added.length > 0) this.#handlers!.assigned(added)
    if (revoked.length > 0) this.#handOver = this.#startHandOver(revoked)
  }

  #startHandOver(revoked: readonly number[]): HandOver {
    const units = new Map(revoked.map((unit) => [unit, this.#owned.get(unit)!]))
    const isHeld = ([unit, tenure]: [number, number]): boolean => this.#owned.get(unit) === tenure
    const run = async (): Promise<void> => {
      const limitMs = this.#options.cluster.config.rebalance_timeout * HAND_OVER_SHARE
      const timer = new AbortController()
      const limit = this.#clock.sleep(limitMs, timer.signal).then(() => false)
      const given = this.#handlers!.revoked(revoked).then(
        () => true,
        () => false,
      )
      const isGiven = await Promise.race([given, limit])
      timer.abort()
      const held = [...units].filter(isHeld).map(([unit]) => unit)
      for (const unit of held) this.#owned.delete(unit)
      if (!isGiven && held.length > 0) this.#handlers!.lost(held)
      handOver.isEnded = true
      this.#poke()
    }
    const handOver: HandOver = { units, isEnded: false, ended: Promise.resolve() }
    return Object.assign(handOver, { ended: run() })
  }

  #poke(): void {
    this.#wake.abort()
  }

  /** Heartbeats, until a round is due (true) or this member left (false). */
  async #stay(): Promise<boolean> {
    const { heartbeat_interval: intervalMs, session_timeout: sessionMs } = this.#options.cluster.config
    let waitMs = intervalMs
    while (!this.#isClosed) {
      if (this.#isLeaving && this.#owned.size === 0) return this.#leaveGroup()
      if (this.#isLeaving) this.#handOver ??= this.#startHandOver([...this.#owned.keys()])
      if (this.#handOver?.isEnded === true) {
        this.#handOver = undefined
        if (!this.#isLeaving) return true
        continue
      }
      this.#wake = new AbortController()
      await this.#clock.sleep(waitMs, this.#wake.signal)
      if (this.#isClosed) return false
      waitMs = intervalMs
      try {
        const code = await this.#within(sessionMs, this.#coordinator.heartbeat(this.#identity))
        if (code === CODE.none) continue
        // Who is handing over does that first; the group waits.
        if (code === CODE.rebalanceInProgress && this.#handOver !== undefined) continue
        if (code === CODE.rebalanceInProgress) return true
        await this.#refused(code)
        if (this.#identity.generation < 0) return true
      } catch (error) {
        if (error instanceof SightlineError && !error.retriable) throw error
        await this.#coordinator.reset()
        waitMs = Math.min(intervalMs, RETRY_MS)
      }
    }
    return false
  }

  /** Where the broker can't be reached, the session's end does the same. */
  async #leaveGroup(): Promise<false> {
    await this.#coordinator.leave(this.#identity).catch(() => undefined)
    return false
  }

  async #within<T>(limitMs: number, request: Promise<T>): Promise<T> {
    const timer = new AbortController()
    const late = this.#clock.sleep(limitMs, timer.signal).then((): never => {
      throw new SightlineError('unavailable', `cannot reach the coordinator of group ${this.#options.groupId} within ${limitMs} ms`)
    })
    late.catch(() => undefined)
    try {
      return await Promise.race([request, late])
    } finally {
      timer.abort()
    }
  }

  /**
   * True once accepted; false where the unit is not this member's, or not any longer.
   * Errors: unavailable (whether it was accepted is not known).
   */
  async commit(unit: number, partition: TopicPartition, offset: number, metadata: string): Promise<boolean> {
    const tenure = this.#owned.get(unit)
    const endMs = this.#clock.now() + this.#options.cluster.config.request_timeout
    const what = `commit offset ${offset} of ${partition.topic}/${partition.partition}`
    while (tenure !== undefined && this.#owned.get(unit) === tenure) {
      const identity = this.#identity
      let code: number
      try {
        code = await this.#coordinator.commit(identity, partition, offset, metadata)
      } catch (error) {
        this.#coordinator.forget()
        throw requestError(what, error)
      }
      if (code === CODE.none) return true
      if (code === CODE.unknownMember || code === CODE.fencedInstance) {
        // The next heartbeat says the same; until then this unit is not given up twice.
        this.#poke()
        return false
      }
      const mayPass = code === CODE.illegalGeneration || code === CODE.rebalanceInProgress || isRetriable(code)
      if (!mayPass || this.#clock.now() >= endMs) throw codeError(what, code, `after ${nameOfCode(code)}`)
      if (isCoordinatorElsewhere(code)) this.#coordinator.forget()
      // Either a round is under way and ends with another generation, or a heartbeat tells that it went on without us.
      if (code === CODE.illegalGeneration && identity === this.#identity) this.#poke()
      await this.#clock.sleep(RETRY_MS / 2)
    }
    return false
  }

  /** By `topic/partition`. Errors: unavailable, forbidden. */
  async committed(partitions: readonly TopicPartition[]): Promise<Map<string, CommittedOffset>> {
    const endMs = this.#clock.now() + this.#options.cluster.config.request_timeout
    for (;;) {
      try {
        return await this.#coordinator.committed(partitions)
      } catch (error) {
        const failure = requestError(`read the offsets of group ${this.#options.groupId}`, error)
        if (!failure.retriable || this.#clock.now() >= endMs || this.#isClosed) throw failure
        this.#coordinator.forget()
        await this.#clock.sleep(RETRY_MS)
      }
    }
  }

  /** Hands everything over and leaves the group. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    this.#poke()
    await this.#running
    await this.close()
  }

  /** Ends as a crash would, but for the connections: the group keeps our place until the session times out. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#poke()
    await this.#coordinator.close()
    await this.#running
    this.#first?.reject(new SightlineError('canceled', `cannot join group ${this.#options.groupId}: closing`))
    this.#first?.promise.catch(() => undefined)
  }
}
