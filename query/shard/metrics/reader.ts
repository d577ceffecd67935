/** A tenant's metrics as the front reads them: what PromQL asks of storage, and the label, series and exemplar calls of the API. */
import type { Labels, Matcher, MatcherSpec } from '../../../lib/model/index.ts'
import type { Cardinality, FamilyMetadata, SeriesExemplars } from '../../metrics/index.ts'
import type { MetricsQueryable } from '../../promql/index.ts'
import type { FragmentRunner } from '../fragment.ts'
import {
  cardinalityFragment,
  decodeSteps,
  exemplarsFragment,
  labelNamesFragment,
  labelValuesFragment,
  metadataFragment,
  rangeFragment,
  selectFragment,
  seriesFragment,
} from './fragments.ts'
import { decodeLabels, decodeSeries } from './series-table.ts'

export interface NamesQuery {
  /** A series counts where any selector holds; none = all. */
  readonly selectors: readonly (readonly Matcher[])[]
  readonly startMs: number
  readonly endMs: number
  /** 0 = no limit. */
  readonly limit: number
}

export interface MetricsReader {
  readonly queryable: MetricsQueryable
  labelNames(query: NamesQuery, signal: AbortSignal): Promise<string[]>
  labelValues(name: string, query: NamesQuery, signal: AbortSignal): Promise<string[]>
  series(query: NamesQuery, signal: AbortSignal): Promise<Labels[]>
  exemplars(query: Omit<NamesQuery, 'limit'>, signal: AbortSignal): Promise<SeriesExemplars[]>
  metadata(metric: string | undefined, limit: number, signal: AbortSignal): Promise<Map<string, FamilyMetadata[]>>
  cardinality(limit: number, signal: AbortSignal): Promise<Cardinality>
}

export function createMetricsReader(runner: FragmentRunner, tenant: string): MetricsReader {
  const queryable: MetricsQueryable = {
    async select({ matchers, startMs, endMs }, { signal, samplesMax }) {
      const tables = await runner.query(selectFragment, tenant, { matchers: specsOf(matchers), startMs, endMs, samplesMax }, signal)
      return { series: tables.flatMap(decodeSeries), warnings: [] }
    },
    async range(request, { signal, samplesMax }) {
      const answer = await runner.query(rangeFragment, tenant, { ...request, matchers: specsOf(request.matchers), samplesMax }, signal)
      if (answer.unsupported) return undefined
      return { series: decodeSteps(answer), warnings: [], infos: [], remarks: answer.remarks }
    },
  }
  const travelling = ({ selectors, startMs, endMs, limit }: NamesQuery): Parameters<typeof labelNamesFragment.merge>[1] => ({
    selectors: selectors.map(specsOf),
    startMs,
    endMs,
    limit,
  })
  return {
    queryable,
    labelNames: (query, signal) => runner.query(labelNamesFragment, tenant, travelling(query), signal),
    labelValues: (name, query, signal) => runner.query(labelValuesFragment, tenant, { ...travelling(query), name }, signal),
    series: async (query, signal) => decodeLabels(await runner.query(seriesFragment, tenant, travelling(query), signal)),
    exemplars: (query, signal) => runner.query(exemplarsFragment, tenant, travelling({ ...query, limit: 0 }), signal),
    metadata: (metric, limit, signal) => runner.query(metadataFragment, tenant, { metric, limit }, signal),
    cardinality: (limit, signal) => runner.query(cardinalityFragment, tenant, { limit }, signal),
  }
}

function specsOf(matchers: readonly Matcher[]): MatcherSpec[] {
  return matchers.map(({ name, op, value }) => ({ name, op, value }))
}
