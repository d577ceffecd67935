import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type { FragmentRunner } from '../shard/fragment.ts'
import { runToEnd } from '../shard/index.ts'
import { createLogsReader } from '../shard/logs/index.ts'
import { Partition } from '../shard/partition.ts'
import { describeLogStore } from './contract.ts'
import { openLogStore } from './index.ts'

const dir = mkdtempSync(join(tmpdir(), 'sightline-logs-contract-'))

afterAll(() => rmSync(dir, { recursive: true, force: true }))

describeLogStore('embedded', async () => {
  let partition: Partition
  const runner: FragmentRunner = {
    query: async (kind, tenant, request) => kind.merge([runToEnd(kind.execute(partition.store as never, tenant, request))], request),
  }
  const limits = { seriesMax: 1000, streamsMax: 1000, futureMaxMs: 600_000, repeatWindowMs: 3_600_000, queryBytesMax: 0 }
  return {
    async open() {
      const openStore = (options: Parameters<typeof openLogStore>[0]): ReturnType<typeof openLogStore> => openLogStore(options)
      partition = await Partition.open({ signal: 'logs', number: 0, dir, journal: 'j', limits, openStore, onTrouble: () => {} })
      return partition
    },
    crash: (one) => one.store.close(),
    reader: (tenant) => createLogsReader(runner, tenant),
    visible: async () => {},
  }
})
