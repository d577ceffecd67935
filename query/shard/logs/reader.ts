/** A tenant's logs as the front reads them: what LogQL asks of storage, and the label, stream and volume calls of the API. */
import type { Labels } from '../../../lib/model/index.ts'
import type { LogStats, StreamVolume } from '../../logs/index.ts'
import type { LogsQueryable } from '../../logql/index.ts'
import { QueryNotes, type FragmentRunner } from '../fragment.ts'
import {
  labelNamesFragment,
  labelValuesFragment,
  linesFragment,
  samplesFragment,
  seriesFragment,
  statsFragment,
  volumeFragment,
  type StreamsRequest,
} from './fragments.ts'

export interface LogsReader {
  /** What is missing in the answers so far. */
  readonly notes: QueryNotes
  readonly queryable: LogsQueryable
  labelNames(request: StreamsRequest, signal: AbortSignal): Promise<string[]>
  labelValues(name: string, request: StreamsRequest, signal: AbortSignal): Promise<string[]>
  series(request: StreamsRequest, signal: AbortSignal): Promise<Labels[]>
  stats(request: StreamsRequest, signal: AbortSignal): Promise<LogStats>
  /** Bytes and entries of each stream. */
  volume(request: StreamsRequest, signal: AbortSignal): Promise<StreamVolume[]>
}

export function createLogsReader(runner: FragmentRunner, tenant: string): LogsReader {
  const notes = new QueryNotes()
  return {
    notes,
    queryable: {
      lines: (request, signal) => runner.query(linesFragment, tenant, request, signal, notes),
      samples: (request, signal) => runner.query(samplesFragment, tenant, request, signal, notes),
    },
    labelNames: (request, signal) => runner.query(labelNamesFragment, tenant, request, signal, notes),
    labelValues: (name, request, signal) => runner.query(labelValuesFragment, tenant, { ...request, name }, signal, notes),
    series: (request, signal) => runner.query(seriesFragment, tenant, request, signal, notes),
    stats: (request, signal) => runner.query(statsFragment, tenant, request, signal, notes),
    volume: (request, signal) => runner.query(volumeFragment, tenant, request, signal, notes),
  }
}
