/**
 * Metrics on shards: the store and its fragments for the worker (`metricsHost`), and for the front a tenant's `MetricsQueryable`
 * with the calls the Prometheus API needs beside it.
 */
import { openMetricsStore } from '../../metrics/index.ts'
import type { AnyFragmentKind } from '../fragment.ts'
import type { SignalHost } from '../local-shard.ts'
import {
  cardinalityFragment,
  exemplarsFragment,
  labelNamesFragment,
  labelValuesFragment,
  metadataFragment,
  rangeFragment,
  selectFragment,
  seriesFragment,
} from './fragments.ts'

export { createMetricsReader, type MetricsReader, type NamesQuery } from './reader.ts'

export const metricsHost: SignalHost = {
  signal: 'metrics',
  openStore: (options) => openMetricsStore(options),
  kinds: [
    selectFragment,
    rangeFragment,
    labelNamesFragment,
    labelValuesFragment,
    seriesFragment,
    exemplarsFragment,
    metadataFragment,
    cardinalityFragment,
  ] as unknown as AnyFragmentKind[],
}
