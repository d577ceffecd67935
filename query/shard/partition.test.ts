import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { JournalRecord, Mark } from '../../lib/journal/index.ts'
import { labelsOf } from '../../lib/model/index.ts'
import { LogBatchBuilder } from '../../lib/wire/otlp/logs/index.ts'
import { LayoutAnnouncer, layoutOf } from '../../lib/wire/rows/index.ts'
import type { PartitionStore, StoreOpenOptions } from '../store/index.ts'
import { logsHost } from './logs/index.ts'
import { encodeMark } from './mark.ts'
import { metricsHost } from './metrics/index.ts'
import { Partition, type CommitMark } from './partition.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'partition-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Keeps the offsets it was given; its state is what a manifest brings back. */
class OffsetStore implements PartitionStore {
  readonly offsets: number[]
  readonly learnt: number[] = []

  constructor({ state }: StoreOpenOptions) {
    this.offsets = [...((state as number[] | undefined) ?? [])]
  }
  append(_tenant: string, { offset }: { offset: number }) {
    this.offsets.push(offset)
    return { stored: 1, dropped: {} }
  }
  learn(_tenant: string, { offset }: { offset: number }) {
    this.learnt.push(offset)
  }
  checkpoint() {
    return Promise.resolve({ files: [], state: [...this.offsets] })
  }
  release() {
    return Promise.resolve()
  }
  // eslint-disable-next-line require-yield
  *compact() {
    return false
  }
  dropBefore() {
    return 0
  }
  memoryBytes() {
    return 0
  }
  close() {
    return Promise.resolve()
  }
}

const record = (offset: number): JournalRecord => ({
  signal: 'metrics',
  partition: 0,
  offset,
  appendedMs: offset * 1000,
  encoding: 'rows',
  tenant: 'default',
  items: 1,
  position: '',
  mark: { producer: 'p', epoch: 'e', sequence: offset, previous: offset - 1 },
  payload: new Uint8Array(1),
})

async function opened(node: string, commit: CommitMark): Promise<{ partition: Partition; store: () => OffsetStore }> {
  const partition = await Partition.open({
    signal: 'metrics',
    number: 0,
    dir: join(dir, node),
    journal: 'j',
    limits: { seriesMax: 0, streamsMax: 0, futureMaxMs: 0, repeatWindowMs: 0, queryBytesMax: 0 },
    openStore: (options) => Promise.resolve(new OffsetStore(options)),
    commit,
    onTrouble: () => {},
  })
  return { partition, store: () => partition.store as OffsetStore }
}

/** A record a second with one line each. */
function lineRecord(offset: number): JournalRecord {
  const builder = new LogBatchBuilder({ partitionOf: () => 0 })
  builder.add(labelsOf({ app: 'a' }), 1_700_000_000_000 + offset * 1000, 0, `line ${offset}`, undefined)
  const { payload } = builder.finish()[0]!
  return { ...record(offset), signal: 'logs', encoding: 'otlp', appendedMs: 1_700_000_000_000 + offset * 1000, payload }
}

/** A row a record. */
function rowRecord(offset: number): JournalRecord {
  const layout = layoutOf('j', [labelsOf({ __name__: 'm', job: 'j', instance: 'i' })])
  const appendedMs = 1_700_000_000_000 + offset * 1000
  const batch = { rows: [{ layout, timestampMs: appendedMs, values: Float64Array.of(offset) }], metadata: [] }
  const { payload } = new LayoutAnnouncer().encode(batch, appendedMs)[0]!
  return { ...record(offset), appendedMs, payload }
}

describe('a candidate of a process that was killed', () => {
  const hosts = { metrics: { host: metricsHost, make: rowRecord }, logs: { host: logsHost, make: lineRecord } }

  test.each(['metrics', 'logs'] as const)('%s: its files outlive the start, whatever it turns out to be', async (signal) => {
    const { host, make } = hosts[signal]
    const open = (at: string, commit: CommitMark): Promise<Partition> =>
      Partition.open({
        signal,
        number: 0,
        dir: join(dir, at),
        journal: 'j',
        limits: { seriesMax: 1000, streamsMax: 1000, futureMaxMs: 0, repeatWindowMs: 0, queryBytesMax: 1 << 30 },
        openStore: (options, place) => host.openStore(options, place),
        commit,
        onTrouble: (error) => expect.unreachable(String(error)),
      })
    const first = await open('a', (_key, { offset }) => Promise.resolve(offset === 3 ? true : undefined))
    await first.own('a', undefined)
    for (let i = 0; i < 3; i++) first.append(make(i))
    await first.checkpoint()
    for (let i = 3; i < 6; i++) first.append(make(i))
    await first.checkpoint()
    for (const [to, stored] of [
      [6, 6],
      [3, 3],
    ] as const) {
      cpSync(join(dir, 'a'), join(dir, `copy-${to}`), { recursive: true })
      const copy = await open(`copy-${to}`, () => Promise.resolve(true))
      expect(copy).toMatchObject({ isUndecided: true, needsCheckpoint: false })
      copy.markChanged()
      const state = encodeMark({ since: to, learnFrom: to, producers: [], owners: [{ node: 'a', from: 0, to }] })
      await copy.decide('a', { node: 'b', offset: 9, state })
      expect(copy).toMatchObject({ isUndecided: false, nextOffset: stored })
      expect(copy.ledger.stored).toBe(stored)
      // It goes on, in files of its own.
      await copy.own('a', { node: 'b', offset: 9, state })
      copy.append(make(9))
      expect(await copy.checkpoint()).toBe(10)
    }
  })
})

describe('a partition in a group', () => {
  test('what was accepted stays, what was refused is dropped, and the next owner goes on at the last mark', async () => {
    let mark: Mark | undefined
    let owner = 'a'
    const commitAs =
      (node: string): CommitMark =>
      (_key, next) => {
        if (owner === node) mark = { ...next, node }
        return Promise.resolve(owner === node)
      }
    const a = await opened('a', commitAs('a'))
    expect(await a.partition.own('a', undefined)).toEqual({ key: 'metrics/0', readFrom: 0, offset: 0 })
    for (let i = 0; i < 10; i++) a.partition.append(record(i))
    expect(await a.partition.checkpoint()).toBe(10)
    for (let i = 10; i < 15; i++) a.partition.append(record(i))

    // The group goes on without a; it doesn't know yet.
    owner = 'b'
    const b = await opened('b', commitAs('b'))
    const from = await b.partition.own('b', mark)
    expect(from).toEqual({ key: 'metrics/0', readFrom: 0, offset: 10 })
    for (let i = from.readFrom; i < 20; i++) b.partition.append(record(i))
    expect(b.store()).toMatchObject({ learnt: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], offsets: [10, 11, 12, 13, 14, 15, 16, 17, 18, 19] })
    // It knows of the producer, so nothing of it is a gap or a repeat.
    expect(b.partition.ledger).toMatchObject({ records: 10, gaps: 0, repeatedRecords: 0 })

    expect(await a.partition.checkpoint()).toBe(10)
    expect(a.partition.isOwned).toBe(false)
    expect(a.store().offsets).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(a.partition.ledger.records).toBe(10)

    await b.partition.handOver()
    owner = 'a'
    expect(await a.partition.own('a', mark)).toMatchObject({ offset: 20 })
    expect([...a.store().offsets, ...b.store().offsets].sort((x, y) => x - y)).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  test('a commit that was never answered is kept where nobody else came, over a restart', async () => {
    let isDead = false
    const commit: CommitMark = (_key, next) => {
      if (!isDead) return Promise.resolve(true)
      void next
      return new Promise(() => {})
    }
    const first = await opened('a', commit)
    await first.partition.own('a', undefined)
    for (let i = 0; i < 5; i++) first.partition.append(record(i))
    isDead = true
    void first.partition.checkpoint()
    await new Promise((resolve) => setTimeout(resolve, 100))

    const again = await opened('a', commit)
    expect(again.store().offsets).toEqual([])
    expect(await again.partition.own('a', undefined)).toMatchObject({ offset: 5 })
    expect(again.store().offsets).toEqual([0, 1, 2, 3, 4])
  })

  test('a commit whose outcome is not known leaves the candidate, which is good where the mark of the next owner says so', async () => {
    const commit: CommitMark = (_key, { offset }) => Promise.resolve(offset === 3 ? true : undefined)
    const { partition } = await opened('a', commit)
    await partition.own('a', undefined)
    for (let i = 0; i < 3; i++) partition.append(record(i))
    await partition.checkpoint()
    for (let i = 3; i < 6; i++) partition.append(record(i))
    expect(await partition.checkpoint()).toBe(3)
    for (const [to, offsets] of [
      [6, [0, 1, 2, 3, 4, 5]],
      [3, [0, 1, 2]],
    ] as const) {
      const owners = [{ node: 'a', from: 0, to }]
      const state = encodeMark({ since: to, learnFrom: to, producers: [], owners })
      cpSync(join(dir, 'a'), join(dir, `copy-${to}`), { recursive: true })
      const copy = await opened(`copy-${to}`, commit)
      await copy.partition.own('a', { node: 'b', offset: 9, state })
      expect(copy.store().offsets).toEqual(offsets)
    }
  })

  test('lost while a commit is under way: only what was accepted is left', async () => {
    let answer: ((accepted: boolean) => void) | undefined
    const commit: CommitMark = () => new Promise((resolve) => (answer = resolve))
    const { partition, store } = await opened('a', commit)
    await partition.own('a', undefined)
    partition.append(record(0))
    const checkpoint = partition.checkpoint()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const losing = partition.lose()
    answer!(false)
    await Promise.all([checkpoint, losing])
    expect(store().offsets).toEqual([])
    expect(partition).toMatchObject({ isOwned: false, nextOffset: 0 })
  })
})
