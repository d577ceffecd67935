/**
 * Logs on shards: the store and its fragments for the worker (`logsHost`), and for the front a tenant's `LogsQueryable` with the calls the Loki API
 * needs beside it (`createLogsReader`).
 *
 * Queries travel as text and are compiled where they run. A worker answers with at most `limit` entries, or with partial results per label set and step
 * that add up over partitions; both are bounded by what the request says.
 */
import { openLogStore } from '../../logs/index.ts'
import type { AnyFragmentKind } from '../fragment.ts'
import type { SignalHost } from '../local-shard.ts'
import {
  labelNamesFragment,
  labelValuesFragment,
  linesFragment,
  samplesFragment,
  seriesFragment,
  statsFragment,
  volumeFragment,
} from './fragments.ts'

export { createLogsReader, type LogsReader } from './reader.ts'
export type { StreamsRequest } from './fragments.ts'

export const logsHost: SignalHost = {
  signal: 'logs',
  openStore: (options) => openLogStore(options),
  kinds: [
    linesFragment,
    samplesFragment,
    labelNamesFragment,
    labelValuesFragment,
    seriesFragment,
    statsFragment,
    volumeFragment,
  ] as unknown as AnyFragmentKind[],
}
