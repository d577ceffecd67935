import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { JournalRecord, ProducerMark } from '../../lib/journal/index.ts'
import { labelsOf } from '../../lib/model/index.ts'
import { encodeRows, groupOf, layoutOf } from '../../lib/wire/rows/index.ts'
import { LocalShard, type ShardCallbacks, type ShardOptions } from './local-shard.ts'
import { metricsHost } from './metrics/index.ts'
import { selectFragment } from './metrics/fragments.ts'
import { decodeSeries, type SeriesTable } from './metrics/series-table.ts'

const folders: string[] = []

afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
})

const NOW = 1_700_000_000_000
const labels = labelsOf({ __name__: 'm', job: 'j', instance: 'i' })
const layout = layoutOf(groupOf(labels), [labels])

function record(offset: number, mark: Partial<ProducerMark> = {}, payload?: Uint8Array): JournalRecord {
  const row = { layout, timestampMs: NOW + offset * 1000, values: Float64Array.of(offset) }
  return {
    signal: 'metrics',
    partition: 0,
    offset,
    appendedMs: NOW + offset * 1000,
    encoding: 'rows',
    tenant: 'default',
    items: 1,
    position: '',
    mark: { producer: 'p', epoch: 'e', sequence: offset, previous: offset - 1, ...mark },
    payload: payload ?? encodeRows({ rows: [row], metadata: [] }, () => false),
  }
}

async function open(dir: string, more: Partial<ShardOptions> = {}, callbacks: Partial<ShardCallbacks> = {}): Promise<LocalShard> {
  const limits = { seriesMax: 0, streamsMax: 0, futureMaxMs: 600_000, repeatWindowMs: 3_600_000, queryBytesMax: 0 }
  const options: ShardOptions = {
    dir,
    journal: 'j1',
    partitions: [0, 1],
    limits,
    checkpointIntervalMs: 60_000,
    checkpointBytes: 1e9,
    ...more,
  }
  return LocalShard.open(options, [metricsHost], { onCheckpoint: () => {}, onError: () => {}, ...callbacks })
}

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sightline-shard-'))
  folders.push(dir)
  return dir
}

async function valuesIn(shard: LocalShard): Promise<number[]> {
  const request = { matchers: [{ name: '__name__', op: '=', value: 'm' }], startMs: 0, endMs: NOW * 2, samplesMax: 1e6 }
  const tables = (await shard.query(selectFragment.name, 'default', request)) as SeriesTable[]
  return tables.flatMap(decodeSeries).flatMap((series) => [...series.values])
}

describe('a shard', () => {
  test('drops repeats and counts gaps of a producer, and still does after a restart', async () => {
    const dir = newFolder()
    const shard = await open(dir)
    shard.append(record(0))
    shard.append(record(1))
    shard.append(record(2, { sequence: 1, previous: 0 }))
    shard.append(record(3, { sequence: 5, previous: 4 }))
    expect(await valuesIn(shard)).toEqual([0, 1, 3])
    expect(shard.status()[0]!.ledger).toMatchObject({ records: 4, stored: 3, repeatedRecords: 1, gaps: 1 })
    await shard.close()
    const again = await open(dir)
    expect(again.status()[0]).toMatchObject({ nextOffset: 4, checkpointOffset: 4 })
    again.append(record(4, { sequence: 5, previous: 4 }))
    again.append(record(5, { sequence: 6, previous: 5 }))
    expect(await valuesIn(again)).toEqual([0, 1, 3, 5])
    expect(again.status()[0]!.ledger).toMatchObject({ records: 6, stored: 4, repeatedRecords: 2, gaps: 1 })
    await again.close()
  })

  test('passes over records that its checkpoint contains', async () => {
    const dir = newFolder()
    const shard = await open(dir)
    for (let i = 0; i < 3; i++) shard.append(record(i))
    await shard.close()
    const again = await open(dir)
    for (let i = 0; i < 5; i++) again.append(record(i))
    expect(await valuesIn(again)).toEqual([0, 1, 2, 3, 4])
    expect(again.status()[0]!.ledger.records).toBe(5)
    await again.close()
  })

  test('a record that is no record costs itself and is counted', async () => {
    const shard = await open(newFolder())
    shard.append(record(0))
    shard.append(record(1, {}, Uint8Array.of(1, 2, 3)))
    shard.append(record(2))
    expect(await valuesIn(shard)).toEqual([0, 2])
    expect(shard.status()[0]!.ledger).toMatchObject({ stored: 2, dropped: { malformed: 1 } })
    await shard.close()
  })

  test('tells of each checkpoint, and refuses the folder of another journal', async () => {
    const dir = newFolder()
    const checkpoints: string[] = []
    const shard = await open(dir, {}, { onCheckpoint: (key, offset) => checkpoints.push(`${key} ${offset}`) })
    shard.append(record(0))
    await shard.checkpointAll()
    expect(checkpoints).toContain('metrics/0 1')
    await shard.close()
    await expect(open(dir, { journal: 'another' })).rejects.toMatchObject({ kind: 'conflict' })
  })

  test('a fragment it does not know is answered as unsupported', async () => {
    const shard = await open(newFolder())
    await expect(shard.query('metrics.unheardOf', 'default', {})).rejects.toThrow('unsupported')
    await shard.close()
  })

  test('tenants see their own only', async () => {
    const shard = await open(newFolder())
    shard.append({ ...record(0), tenant: 'other' })
    expect(await valuesIn(shard)).toEqual([])
    await shard.close()
  })
})
