import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { AssignerProtocol } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { recordOf } from '../contract.ts'
import { MARK_STATE_BYTES_MAX, openKafkaGroup, type KafkaJournal, type PartitionGroup } from '../index.ts'
import type { GroupMemberArguments } from './group-member.testkit.ts'
import { GroupReader, type GroupEvent, type GroupReaderOptions } from './group-reader.testkit.ts'
import { eventually, kafkaConfigOf, KafkaServer, newPrefix, PATIENCE_MS, openJournal, whyNoKafka, withAdmin } from './kafka.testkit.ts'

const reason = whyNoKafka()
const PARTITIONS = 6
/** Nobody is thrown out because the machine is busy. */
const STEADY = { session_timeout: '20s', rebalance_timeout: '20s', heartbeat_interval: '200ms' }
const SHORT_SESSION = { ...STEADY, session_timeout: '3s' }
const SHORT_REBALANCE = { ...STEADY, rebalance_timeout: '3s' }

interface JoinOptions extends Partial<GroupReaderOptions> {
  readonly times?: Record<string, string>
}

class Member {
  readonly reader: GroupReader
  readonly group: PartitionGroup
  readonly #journal: KafkaJournal

  private constructor(journal: KafkaJournal, group: PartitionGroup, reader: GroupReader) {
    this.#journal = journal
    this.group = group
    this.reader = reader
  }

  static async join(server: KafkaServer, prefix: string, node: string, { times = STEADY, ...more }: JoinOptions = {}): Promise<Member> {
    const config = kafkaConfigOf(server, prefix, times)
    const journal = await openJournal(server, prefix, { config, partitions: PARTITIONS, producer: node })
    const onFatal = (error: Error): void => void member.fatal.push(error)
    const group = await openKafkaGroup({ config, partitions: PARTITIONS, node, onFatal })
    const member = new Member(journal, group, new GroupReader(journal, group, { commitEveryMs: 50, ...more }))
    await group.join(member.reader)
    return member
  }

  readonly fatal: Error[] = []

  get owned(): number[] {
    return this.reader.owned
  }

  async leave(): Promise<void> {
    await this.group.leave()
    await this.#journal.close()
  }

  async close(): Promise<void> {
    this.reader.stop()
    await this.group.close()
    expect(this.reader.failures).toEqual([])
    await this.#journal.close()
  }
}

/** A member in a process of its own. */
class Child {
  readonly events: (GroupEvent | { event: 'fatal'; message: string })[] = []
  readonly #process: ChildProcess

  constructor(server: KafkaServer, prefix: string, node: string, commitEveryMs: number, times = STEADY) {
    const args: GroupMemberArguments = { config: kafkaConfigOf(server, prefix, times), node, partitions: PARTITIONS, commitEveryMs }
    const script = join(import.meta.dirname, 'group-member.testkit.ts')
    this.#process = spawn(process.execPath, [script, JSON.stringify(args)], { stdio: ['ignore', 'pipe', 'inherit'] })
    let rest = ''
    this.#process.stdout!.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.events.push(JSON.parse(line))
    })
  }

  of(...names: GroupEvent['event'][]): GroupEvent[] {
    return this.events.filter((event): event is GroupEvent => (names as string[]).includes(event.event))
  }

  get owned(): number[] {
    return this.of('assigned')
      .flatMap((event) => ('partitions' in event ? event.partitions : []))
      .sort((a, b) => a - b)
  }

  /** Alive, and silent. */
  freeze(): void {
    this.#process.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
  }
}

describe.skipIf(reason !== undefined)('a Kafka group', { timeout: PATIENCE_MS }, () => {
  let server: KafkaServer
  const running: { close(): Promise<void> }[] = []

  beforeAll(async () => {
    server = await KafkaServer.start()
  }, PATIENCE_MS)

  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.close()))
  })

  afterAll(async () => {
    await server?.stop()
  })

  async function join(prefix: string, node: string, more: JoinOptions = {}): Promise<Member> {
    const member = await Member.join(server, prefix, node, more)
    running.push(member)
    return member
  }

  async function writer(prefix: string): Promise<KafkaJournal> {
    const journal = await openJournal(server, prefix, { partitions: PARTITIONS, producer: 'writer' })
    running.push(journal)
    return journal
  }

  async function fill(journal: KafkaJournal, partition: number, count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, i) => journal.append('logs', partition, recordOf(`${partition}:${i}`))))
  }

  test('two and three members share the partitions evenly; numbers lie together over the topics, as an independent client sees it', async () => {
    const prefix = newPrefix()
    const a = await join(prefix, 'a')
    expect(a.owned).toEqual([0, 1, 2, 3, 4, 5])
    const b = await join(prefix, 'b')
    await eventually(() => expect([a.owned.length, b.owned.length]).toEqual([3, 3]))
    const kept = a.owned
    const c = await join(prefix, 'c')
    await eventually(() => expect([a.owned.length, b.owned.length, c.owned.length]).toEqual([2, 2, 2]))
    expect([...a.owned, ...b.owned, ...c.owned].toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5])
    for (const partition of a.owned) expect(kept).toContain(partition)
    const { groups } = await withAdmin(server, (admin) => admin.describeGroups([prefix]))
    expect(groups[0]!.members).toHaveLength(3)
    for (const { memberAssignment } of groups[0]!.members) {
      const { assignment } = AssignerProtocol.MemberAssignment.decode(memberAssignment)!
      const numbers = ['metrics', 'logs', 'traces'].map((signal) => assignment[`${prefix}.${signal}`])
      expect(numbers[1]).toEqual(numbers[0])
      expect(numbers[2]).toEqual(numbers[0])
      expect(assignment[`${prefix}.control`]).toEqual(numbers[0]!.includes(0) ? [0] : undefined)
    }
    await b.leave()
    await eventually(() => expect([a.owned.length, c.owned.length]).toEqual([3, 3]))
  })

  test('a member that joins gets partitions only after their owner has handed them over; the owner keeps the rest all the while', async () => {
    const prefix = newPrefix()
    const gate = Promise.withResolvers<void>()
    const a = await join(prefix, 'a', { handOver: () => gate.promise })
    const b = await join(prefix, 'b')
    await eventually(() => expect(a.reader.events.some(({ event }) => event === 'revoked')).toBe(true))
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(b.owned).toEqual([])
    expect(await a.reader.commit(0)).toBe(true)
    gate.resolve()
    await eventually(() => expect(b.owned).toEqual([3, 4, 5]))
    expect(a.owned).toEqual([0, 1, 2])
    expect(a.reader.events.filter(({ event }) => event === 'lost')).toEqual([])
    await eventually(() => expect(b.reader.events.some((event) => event.event === 'mark' && event.node === 'a')).toBe(true))
  })

  test('moved back and forth under load: what the accepted marks of all members cover is everything, once', async () => {
    const prefix = newPrefix()
    const journal = await writer(prefix)
    const written: string[] = []
    let stopped = false
    const load = Array.from({ length: PARTITIONS }, async (_, partition) => {
      for (let i = 0; !stopped; i++) {
        const text = `${partition}:${i}`
        await journal.append('logs', partition, recordOf(text))
        written.push(text)
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    })
    const slow = (ms: number) => ({ handOver: () => new Promise<void>((resolve) => setTimeout(resolve, ms)) })
    const a = await join(prefix, 'a', slow(100))
    const b = await join(prefix, 'b', slow(300))
    await eventually(() => expect(b.owned).toHaveLength(3))
    const c = await join(prefix, 'c')
    await eventually(() => expect(c.owned).toHaveLength(2))
    await a.leave()
    await eventually(() => expect([b.owned.length, c.owned.length]).toEqual([3, 3]))
    const again = await join(prefix, 'a')
    await eventually(() => expect(again.owned).toHaveLength(2))
    await c.leave()
    await eventually(() => expect([again.owned.length, b.owned.length]).toEqual([3, 3]))
    stopped = true
    await Promise.all(load)
    for (const member of [b, again]) {
      await eventually(() => {
        for (const [partition, next] of member.reader.next) expect(next).toBe(journal.endOffset('logs', partition))
      })
    }
    await again.leave()
    await eventually(() => expect(b.owned).toHaveLength(PARTITIONS))
    await b.leave()
    const kept = [a, b, c, again].flatMap((member) => member.reader.kept)
    expect(written.length).toBeGreaterThan(500)
    expect(kept.length).toBe(written.length)
    expect(kept.toSorted()).toEqual(written.toSorted())
    expect(
      [a, b, c, again].flatMap((member) => member.reader.events.filter(({ event }) => event === 'lost' || event === 'refused')),
    ).toEqual([])
  })

  test('slower than the rebalance timeout: lost, its commit is refused and its state changes nothing; it goes on with the rest and gets more later', async () => {
    const prefix = newPrefix()
    const journal = await writer(prefix)
    await fill(journal, 4, 100)
    const gate = Promise.withResolvers<void>()
    const a = await join(prefix, 'a', { times: SHORT_REBALANCE, handOver: () => gate.promise })
    await eventually(() => expect(a.reader.next.get(4)).toBe(100))
    expect(await a.group.commit('logs/4', { offset: 60, state: Buffer.from('a at 60') })).toBe(true)
    const b = await join(prefix, 'b', { times: SHORT_REBALANCE })
    await eventually(() => expect(a.reader.events).toContainEqual({ event: 'lost', partitions: [3, 4, 5] }))
    await eventually(() => expect(b.owned).toEqual([3, 4, 5]))
    expect(a.owned).toEqual([0, 1, 2])
    expect(await a.group.commit('logs/4', { offset: 100, state: Buffer.from('a at 100, too late') })).toBe(false)
    const isMark = (event: GroupEvent): boolean => event.event === 'mark' && event.partition === 4
    await eventually(() => expect(b.reader.events.find(isMark)).toMatchObject({ offset: 60, node: 'a', state: 'a at 60' }))
    await eventually(() => expect(b.reader.next.get(4)).toBe(100))
    expect(await b.group.commit('logs/4', { offset: 80, state: Buffer.from('b at 80') })).toBe(true)
    expect(await a.group.commit('logs/0', { offset: 0, state: Buffer.from('still mine') })).toBe(true)
    gate.resolve()
    await b.leave()
    await eventually(() => expect(a.owned).toEqual([0, 1, 2, 3, 4, 5]))
    await eventually(() => expect(a.reader.next.get(4)).toBe(100))
  })

  test('a stale member that the broker has thrown out: state and commit are refused, the last accepted mark keeps its state', async () => {
    const prefix = newPrefix()
    const config = kafkaConfigOf(server, prefix, STEADY)
    const a = await join(prefix, 'a')
    for (const [offset, state] of [
      [1, 'one'],
      [2, 'two'],
      [3, 'three'],
    ] as const) {
      expect(await a.group.commit('logs/1', { offset, state: Buffer.from(state) })).toBe(true)
    }
    // Another process takes the name: the broker fences the first, which does not know it yet.
    const lost: number[][] = []
    const successor = await openKafkaGroup({ config, partitions: PARTITIONS, node: 'a', onFatal: () => {} })
    running.push(successor)
    await successor.join({ assigned: () => {}, revoked: async () => {}, lost: (partitions) => void lost.push([...partitions]) })
    expect(await a.group.commit('logs/1', { offset: 9, state: Buffer.from('nine, fenced') })).toBe(false)
    const mark = (await successor.committed(['logs/1'])).get('logs/1')!
    expect([mark.offset, mark.node, Buffer.from(mark.state).toString()]).toEqual([3, 'a', 'three'])
    await eventually(() =>
      expect(a.fatal[0]).toMatchObject({ kind: 'conflict', message: expect.stringContaining('another process joined with this name') }),
    )
    expect(a.owned).toEqual([])
    expect(await successor.commit('logs/1', { offset: 4, state: Buffer.from('four') })).toBe(true)
    expect(lost).toEqual([])
  })

  test('marks of every key come back with states of any size up to the limit; a partition without one is absent', async () => {
    const prefix = newPrefix()
    const a = await join(prefix, 'a')
    const large = new Uint8Array(MARK_STATE_BYTES_MAX).fill(5)
    const keys = ['metrics/0', 'logs/0', 'traces/5', 'control/0'] as const
    for (const [i, key] of keys.entries()) {
      const state = i === 1 ? large : Buffer.from(i === 2 ? '' : key)
      expect(await a.group.commit(key, { offset: 10 + i, state })).toBe(true)
    }
    await expect(a.group.commit('logs/0', { offset: 1, state: new Uint8Array(MARK_STATE_BYTES_MAX + 1) })).rejects.toMatchObject({
      kind: 'too_large',
    })
    const marks = await a.group.committed([...keys, 'traces/1'])
    expect([...marks.keys()]).toEqual([...keys])
    expect(Buffer.from(marks.get('logs/0')!.state).equals(Buffer.from(large))).toBe(true)
    expect(marks.get('traces/5')).toMatchObject({ offset: 12, node: 'a', state: new Uint8Array() })
    expect(Buffer.from(marks.get('control/0')!.state).toString()).toBe('control/0')
  })

  test('an offset that a tool committed is a mark of nobody', async () => {
    const prefix = newPrefix()
    await fill(await writer(prefix), 2, 10)
    const a = await join(prefix, 'a')
    await a.group.commit('logs/2', { offset: 7, state: Buffer.from('x') })
    await a.leave()
    await withAdmin(server, (admin) =>
      admin.setOffsets({ groupId: prefix, topic: `${prefix}.logs`, partitions: [{ partition: 2, offset: '5' }] }),
    )
    const b = await join(prefix, 'b')
    expect((await b.group.committed(['logs/2'])).get('logs/2')).toEqual({ offset: 5, node: '', state: new Uint8Array() })
  })

  test('killed with rows past its mark and back within the session timeout: the same partitions, no rebalance, from the mark on', async () => {
    const prefix = newPrefix()
    const journal = await writer(prefix)
    const a = await join(prefix, 'a')
    const first = new Child(server, prefix, 'b', 100)
    running.push({ close: () => first.kill() })
    await eventually(() => expect(first.owned).toEqual([3, 4, 5]))
    for (let i = 0; i < 20; i++) {
      await fill(journal, 4, 10)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const rebalances = a.reader.events.filter(({ event }) => event === 'assigned' || event === 'revoked').length
    await first.kill()
    const accepted = Math.max(...first.of('accepted').map((event) => ('offset' in event ? event.offset : 0)))
    const applied = Math.max(...first.of('applied').map((event) => ('offset' in event ? event.offset : 0)))
    expect(applied).toBeGreaterThan(0)
    const second = new Child(server, prefix, 'b', 100)
    running.push({ close: () => second.kill() })
    await eventually(() => expect(second.owned).toEqual([3, 4, 5]))
    await eventually(() => expect(second.of('mark')).toHaveLength(3))
    const mark = second.of('mark').find((event) => event.event === 'mark' && event.partition === 4)!
    // The last commit may have been accepted without the killed process having heard of it.
    expect(mark).toMatchObject({ node: 'b' })
    expect('offset' in mark && mark.offset).toBeGreaterThanOrEqual(accepted)
    expect('state' in mark && JSON.parse(mark.state)).toMatchObject({ at: 'offset' in mark ? mark.offset : -1 })
    expect(a.reader.events.filter(({ event }) => event === 'assigned' || event === 'revoked')).toHaveLength(rebalances)
  })

  test('killed and away for longer: another takes over from its last accepted mark; on its return the marks say what is not its own', async () => {
    const prefix = newPrefix()
    const journal = await writer(prefix)
    const a = await join(prefix, 'a', { times: SHORT_SESSION })
    const first = new Child(server, prefix, 'b', 60_000, SHORT_SESSION)
    running.push({ close: () => first.kill() })
    await eventually(() => expect(first.owned).toEqual([3, 4, 5]))
    await fill(journal, 4, 50)
    await eventually(() => expect(first.of('applied')).toContainEqual({ event: 'applied', partition: 4, offset: 50 }))
    expect(first.of('accepted')).toEqual([])
    await first.kill()
    await eventually(() => expect(a.owned).toEqual([0, 1, 2, 3, 4, 5]))
    await fill(journal, 4, 10)
    await eventually(() => expect(a.reader.next.get(4)).toBe(60))
    expect(await a.reader.commit(4)).toBe(true)
    const second = new Child(server, prefix, 'b', 60_000, SHORT_SESSION)
    running.push({ close: () => second.kill() })
    await eventually(() => expect(second.owned).toHaveLength(3))
    await eventually(() => expect(second.of('mark')).toHaveLength(3))
    const mark = second.of('mark').find((event) => event.event === 'mark' && event.partition === 4)
    expect(mark).toMatchObject({ offset: 60, node: 'a', state: expect.stringContaining('"rows":60') })
  })

  test('silent for longer than the session timeout: on waking it is told that its partitions are lost, can commit none of them, and joins again', async () => {
    const prefix = newPrefix()
    const journal = await writer(prefix)
    const a = await join(prefix, 'a', { times: SHORT_SESSION })
    const b = new Child(server, prefix, 'b', 50, SHORT_SESSION)
    running.push({ close: () => b.kill() })
    await eventually(() => expect(b.owned).toEqual([3, 4, 5]))
    await fill(journal, 4, 30)
    await eventually(() => expect(b.of('applied')).toContainEqual({ event: 'applied', partition: 4, offset: 30 }))
    b.freeze()
    await eventually(() => expect(a.owned).toEqual([0, 1, 2, 3, 4, 5]))
    await fill(journal, 4, 20)
    await eventually(() => expect(a.reader.next.get(4)).toBe(50))
    expect(await a.reader.commit(4)).toBe(true)
    const before = b.events.length
    b.thaw()
    await eventually(() => expect(b.of('lost')).toContainEqual({ event: 'lost', partitions: [3, 4, 5] }))
    await eventually(() => expect([a.owned.length, b.owned.length]).toEqual([3, 6]))
    const woken = b.events.slice(before)
    const untilLost = woken.slice(
      0,
      woken.findIndex(({ event }) => event === 'lost'),
    )
    expect(untilLost.filter(({ event }) => event === 'accepted')).toEqual([])
  })

  test('a broker that restarts: members go on, nothing is lost, commits go through again', async () => {
    const prefix = newPrefix()
    const journal = await writer(prefix)
    const [a, b] = [await join(prefix, 'a'), await join(prefix, 'b')]
    await eventually(() => expect([a.owned.length, b.owned.length]).toEqual([3, 3]))
    await fill(journal, 0, 20)
    await server.kill()
    await server.restart()
    await fill(journal, 0, 20)
    const owner = a.owned.includes(0) ? a : b
    await eventually(() => expect(owner.reader.next.get(0)).toBe(40))
    await eventually(async () => expect(await owner.reader.commit(0)).toBe(true))
    expect([...a.owned, ...b.owned].toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5])
  })
})
