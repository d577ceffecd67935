/** A tenant's metrics as the front reads them: what PromQL asks of storage, and the label, series and exemplar calls of the API. */
import { labelsKey, type Labels, type Matcher, type MatcherSpec, type SeriesSamples } from '../../../lib/model/index.ts'
import { mergeParts, type Cardinality, type FamilyMetadata, type SeriesExemplars } from '../../metrics/index.ts'
import type { MetricsQueryable } from '../../promql/index.ts'
import { QueryNotes, type FragmentRunner } from '../fragment.ts'
import { runToEnd } from '../scheduler.ts'
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
  /** What is missing in the answers so far. */
  readonly notes: QueryNotes
  labelNames(query: NamesQuery, signal: AbortSignal): Promise<string[]>
  labelValues(name: string, query: NamesQuery, signal: AbortSignal): Promise<string[]>
  series(query: NamesQuery, signal: AbortSignal): Promise<Labels[]>
  exemplars(query: Omit<NamesQuery, 'limit'>, signal: AbortSignal): Promise<SeriesExemplars[]>
  metadata(metric: string | undefined, limit: number, signal: AbortSignal): Promise<Map<string, FamilyMetadata[]>>
  cardinality(limit: number, signal: AbortSignal): Promise<Cardinality>
}

/** A partition that moved has parts of its series on several nodes. */
function joinParts(series: readonly SeriesSamples[]): SeriesSamples[] {
  const keys = new Set(series.map(({ labels }) => labelsKey(labels)))
  return keys.size === series.length ? [...series] : runToEnd(mergeParts(series.map((one) => [one])))
}

export function createMetricsReader(runner: FragmentRunner, tenant: string): MetricsReader {
  const notes = new QueryNotes()
  const queryable: MetricsQueryable = {
    async select({ matchers, startMs, endMs }, { signal, samplesMax }) {
      const request = { matchers: specsOf(matchers), startMs, endMs, samplesMax }
      const tables = await runner.query(selectFragment, tenant, request, signal, notes)
      const series = tables.flatMap(decodeSeries)
      return { series: notes.asked === 1 ? series : joinParts(series), warnings: notes.warnings() }
    },
    async range(request, { signal, samplesMax }) {
      const travelled = { ...request, matchers: specsOf(request.matchers), samplesMax }
      const answer = await runner.query(rangeFragment, tenant, travelled, signal, notes)
      if (answer.unsupported) return undefined
      return { series: decodeSteps(answer), warnings: notes.warnings(), infos: [], remarks: answer.remarks }
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
    notes,
    labelNames: (query, signal) => runner.query(labelNamesFragment, tenant, travelling(query), signal, notes),
    labelValues: (name, query, signal) => runner.query(labelValuesFragment, tenant, { ...travelling(query), name }, signal, notes),
    series: async (query, signal) => decodeLabels(await runner.query(seriesFragment, tenant, travelling(query), signal, notes)),
    exemplars: (query, signal) => runner.query(exemplarsFragment, tenant, travelling({ ...query, limit: 0 }), signal, notes),
    metadata: (metric, limit, signal) => runner.query(metadataFragment, tenant, { metric, limit }, signal, notes),
    cardinality: (limit, signal) => runner.query(cardinalityFragment, tenant, { limit }, signal, notes),
  }
}

function specsOf(matchers: readonly Matcher[]): MatcherSpec[] {
  return matchers.map(({ name, op, value }) => ({ name, op, value }))
}
