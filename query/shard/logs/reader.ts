/** A tenant's logs as the front reads them: what LogQL asks of storage, and the label, stream and volume calls of the API. */
import type { Labels } from '../../../lib/model/index.ts'
import type { LogStats, StreamVolume } from '../../logs/index.ts'
import type { LogsQueryable } from '../../logql/index.ts'
import type { FragmentRunner } from '../fragment.ts'
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
  readonly queryable: LogsQueryable
  labelNames(request: StreamsRequest, signal: AbortSignal): Promise<string[]>
  labelValues(name: string, request: StreamsRequest, signal: AbortSignal): Promise<string[]>
  series(request: StreamsRequest, signal: AbortSignal): Promise<Labels[]>
  stats(request: StreamsRequest, signal: AbortSignal): Promise<LogStats>
  /** Bytes and entries of each stream. */
  volume(request: StreamsRequest, signal: AbortSignal): Promise<StreamVolume[]>
}

export function createLogsReader(runner: FragmentRunner, tenant: string): LogsReader {
  return {
    queryable: {
      lines: (request, signal) => runner.query(linesFragment, tenant, request, signal),
      samples: (request, signal) => runner.query(samplesFragment, tenant, request, signal),
    },
    labelNames: (request, signal) => runner.query(labelNamesFragment, tenant, request, signal),
    labelValues: (name, request, signal) => runner.query(labelValuesFragment, tenant, { ...request, name }, signal),
    series: (request, signal) => runner.query(seriesFragment, tenant, request, signal),
    stats: (request, signal) => runner.query(statsFragment, tenant, request, signal),
    volume: (request, signal) => runner.query(volumeFragment, tenant, request, signal),
  }
}
