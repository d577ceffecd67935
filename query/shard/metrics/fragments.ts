/**
 * The fragments of metrics: raw samples, range functions with partial aggregation beside the data, names, values, series, exemplars,
 * metadata, cardinality.
 */
import { labelsKey, type Labels, type Matcher, type MatcherSpec } from '../../../lib/model/index.ts'
import { compileMatcher } from '../../../lib/regexp/index.ts'
import { SightlineError } from '../../../lib/runtime/errors.ts'
import type { Cardinality, FamilyMetadata, MetricsStore, NamedCount, SeriesExemplars } from '../../metrics/index.ts'
import { evaluateRangeFunction, mergePartials, partialAggregate, rangeFunctionDropsName } from '../../promql/functions/index.ts'
import type { RangeRequest, RangeResult, StepSeries } from '../../promql/index.ts'
import type { Task } from '../../store/index.ts'
import type { FragmentKind, TimeWindow } from '../fragment.ts'
import { decodeLabels, encodeLabels, encodeSeries, seriesTableBuffers, type LabelTable, type SeriesTable } from './series-table.ts'

/** Matchers as they travel, the time range in Unix milliseconds (both inclusive). */
export interface Scope {
  readonly matchers: readonly MatcherSpec[]
  readonly startMs: number
  readonly endMs: number
}

type Kind<Request, Answer> = FragmentKind<MetricsStore, Request, Answer>

const compile = (specs: readonly MatcherSpec[]): Matcher[] => specs.map((spec) => compileMatcher(spec))

/** Tables, one a partition: they are decoded at the front, once. */
export const selectFragment: Kind<Scope & { samplesMax: number }, SeriesTable[]> = {
  name: 'metrics.select',
  signal: 'metrics',
  *execute(store, tenant, { matchers, startMs, endMs, samplesMax }) {
    const series = yield* store.select(tenant, compile(matchers), startMs, endMs, { samplesMax })
    return series.length === 0 ? [] : [encodeSeries(series)]
  },
  merge(answers, { samplesMax }) {
    const tables = answers.flat()
    const samples = tables.reduce((sum, table) => sum + table.values.length, 0)
    if (samples > samplesMax) {
      throw new SightlineError('too_large', `query processing would load too many samples into memory: more than ${samplesMax}`)
    }
    return tables
  },
  earliestMs: ({ startMs }) => startMs,
  transfer: (tables) => tables.flatMap(seriesTableBuffers),
}

export type RangeFragmentRequest = Omit<RangeRequest, 'matchers'> & {
  readonly matchers: readonly MatcherSpec[]
  readonly samplesMax: number
}

/** Series by steps; `unsupported` where a series needs what only raw samples tell (native histograms, say): then the caller selects. */
export interface RangeAnswer {
  readonly unsupported: boolean
  readonly labels: LabelTable
  /** One row of `steps` values a series, one after another. */
  readonly values: Float64Array
  readonly present: Uint8Array
  readonly steps: number
  /** What the range function had to say, each once. */
  readonly remarks: NonNullable<RangeResult['remarks']>
}

export const rangeFragment: Kind<RangeFragmentRequest, RangeAnswer> = {
  name: 'metrics.range',
  signal: 'metrics',
  *execute(store, tenant, request): Task<RangeAnswer> {
    const matchers = compile(request.matchers)
    const { startMs, endMs } = windowOf(request)
    const series = yield* store.select(tenant, matchers, startMs, endMs, { samplesMax: request.samplesMax })
    yield
    const evaluation = evaluateRangeFunction(request.func, series, { ...request, matchers })
    if (evaluation === undefined) return encodeSteps(undefined, [], 0)
    yield
    const { aggregate } = request
    const steps = request.stepMs <= 0 ? 1 : Math.floor((request.endMs - request.startMs) / request.stepMs) + 1
    const dropsName = rangeFunctionDropsName(request.func)
    const out = aggregate === undefined ? evaluation.series : partialAggregate(evaluation.series, aggregate, dropsName)
    return encodeSteps(out, evaluation.remarks, steps)
  },
  merge(answers, { aggregate }) {
    if (answers.some((answer) => answer.unsupported)) return answers.find((answer) => answer.unsupported)!
    if (answers.length === 1) return answers[0]!
    const parts = answers.map(decodeSteps)
    const remarks = new Map(answers.flatMap((answer) => answer.remarks).map((remark) => [remark.text, remark]))
    const series = aggregate === undefined ? parts.flat() : mergePartials(parts, aggregate)
    return encodeSteps(series, [...remarks.values()], Math.max(...answers.map((answer) => answer.steps)))
  },
  whole: { window: windowOf, unsupported: () => encodeSteps(undefined, [], 0) },
  earliestMs: (request) => windowOf(request).startMs,
  transfer: ({ labels, values, present }) =>
    [...new Set([labels.labels.buffer, labels.labelStart.buffer, values.buffer, present.buffer])] as ArrayBuffer[],
}

/** The time of the samples that it reads. */
function windowOf({ func, lookbackMs, rangeMs, startMs, endMs, offsetMs }: RangeFragmentRequest): TimeWindow {
  return { startMs: startMs - offsetMs - (func === '' ? lookbackMs : rangeMs) + 1, endMs: endMs - offsetMs }
}

function encodeSteps(series: readonly StepSeries[] | undefined, remarks: RangeAnswer['remarks'], steps: number): RangeAnswer {
  const rows = series ?? []
  const values = new Float64Array(rows.length * steps)
  const present = new Uint8Array(rows.length * steps)
  let unsupported = series === undefined
  for (const [i, row] of rows.entries()) {
    if (row.histograms?.some((histogram) => histogram !== undefined) === true) unsupported = true
    values.set(row.values, i * steps)
    present.set(row.present, i * steps)
  }
  return { unsupported, labels: encodeLabels(rows.map((row) => row.labels)), values, present, steps, remarks }
}

export function decodeSteps(answer: RangeAnswer): StepSeries[] {
  const { steps } = answer
  return decodeLabels(answer.labels).map((labels, i) => ({
    labels,
    values: answer.values.subarray(i * steps, (i + 1) * steps),
    present: answer.present.subarray(i * steps, (i + 1) * steps),
  }))
}

/** Several selectors: a series counts where any of them holds for it. None: everything. */
export interface NamesRequest {
  readonly selectors: readonly (readonly MatcherSpec[])[]
  readonly startMs: number
  readonly endMs: number
  /** 0 = no limit. */
  readonly limit: number
}

export const labelNamesFragment: Kind<NamesRequest, string[]> = {
  name: 'metrics.labelNames',
  signal: 'metrics',
  *execute(store, tenant, { selectors, startMs, endMs, limit }) {
    const names = new Set<string>()
    for (const selector of selectorsOf(selectors))
      for (const name of yield* store.labelNames(tenant, selector, startMs, endMs, limit)) names.add(name)
    return [...names]
  },
  merge: (answers, { limit }) => mergeTexts(answers, limit),
}

export const labelValuesFragment: Kind<NamesRequest & { name: string }, string[]> = {
  name: 'metrics.labelValues',
  signal: 'metrics',
  *execute(store, tenant, { selectors, name, startMs, endMs, limit }) {
    const values = new Set<string>()
    for (const selector of selectorsOf(selectors)) {
      for (const value of yield* store.labelValues(tenant, name, selector, startMs, endMs, limit)) values.add(value)
    }
    return [...values]
  },
  merge: (answers, { limit }) => mergeTexts(answers, limit),
}

export const seriesFragment: Kind<NamesRequest, LabelTable> = {
  name: 'metrics.series',
  signal: 'metrics',
  *execute(store, tenant, { selectors, startMs, endMs, limit }) {
    const byKey = new Map<string, Labels>()
    for (const selector of selectorsOf(selectors)) {
      for (const labels of yield* store.series(tenant, selector, startMs, endMs, limit)) byKey.set(labelsKey(labels), labels)
    }
    return encodeLabels([...byKey.values()])
  },
  merge(answers, { limit }) {
    const byKey = new Map<string, Labels>()
    for (const labels of answers.flatMap(decodeLabels)) if (limit === 0 || byKey.size < limit) byKey.set(labelsKey(labels), labels)
    return encodeLabels([...byKey.values()])
  },
}

export const exemplarsFragment: Kind<Omit<NamesRequest, 'limit'>, SeriesExemplars[]> = {
  name: 'metrics.exemplars',
  signal: 'metrics',
  execute: (store, tenant, { selectors, startMs, endMs }) => store.exemplars(tenant, selectors.map(compile), startMs, endMs),
  merge: (answers) => answers.flat(),
}

export const metadataFragment: Kind<{ metric: string | undefined; limit: number }, Map<string, FamilyMetadata[]>> = {
  name: 'metrics.metadata',
  signal: 'metrics',
  execute: (store, tenant, { metric, limit }) => store.metadata(tenant, metric, limit),
  merge(answers, { limit }) {
    const out = new Map<string, FamilyMetadata[]>()
    for (const [family, variants] of answers.flatMap((answer) => [...answer])) {
      const known = out.get(family)
      if (known === undefined) {
        if (limit === 0 || out.size < limit) out.set(family, [...variants])
        continue
      }
      for (const variant of variants) if (!known.some((one) => sameMetadata(one, variant))) known.push(variant)
    }
    return out
  },
}

export const cardinalityFragment: Kind<{ limit: number }, Cardinality> = {
  name: 'metrics.cardinality',
  signal: 'metrics',
  // Each partition tells more than is asked for: a name may be large in all of them and largest in none.
  execute: (store, tenant, { limit }) => store.cardinality(tenant, limit * 10),
  merge(answers, { limit }) {
    const sum = (of: (answer: Cardinality) => number): number => answers.reduce((total, answer) => total + of(answer), 0)
    const top = (of: (answer: Cardinality) => readonly NamedCount[], combine: (a: number, b: number) => number): NamedCount[] => {
      const counts = new Map<string, number>()
      for (const { name, value } of answers.flatMap(of)) counts.set(name, counts.has(name) ? combine(counts.get(name)!, value) : value)
      const all = [...counts].map(([name, value]) => ({ name, value })).sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1))
      return all.slice(0, limit * 10)
    }
    const add = (a: number, b: number): number => a + b
    const withData = answers.filter((answer) => answer.maxMs > 0)
    return {
      numSeries: sum((answer) => answer.numSeries),
      numLabelPairs: sum((answer) => answer.numLabelPairs),
      numChunks: sum((answer) => answer.numChunks),
      minMs: Math.min(...withData.map((answer) => answer.minMs), withData.length === 0 ? 0 : Infinity),
      maxMs: Math.max(...withData.map((answer) => answer.maxMs), 0),
      seriesCountByMetricName: top((answer) => answer.seriesCountByMetricName, add),
      // Partitions share values: the largest is a lower bound of the union.
      labelValueCountByLabelName: top((answer) => answer.labelValueCountByLabelName, Math.max),
      memoryInBytesByLabelName: top((answer) => answer.memoryInBytesByLabelName, add),
      seriesCountByLabelValuePair: top((answer) => answer.seriesCountByLabelValuePair, add),
    }
  },
}

function selectorsOf(selectors: readonly (readonly MatcherSpec[])[]): Matcher[][] {
  return selectors.length === 0 ? [[]] : selectors.map(compile)
}

function mergeTexts(answers: readonly (readonly string[])[], limit: number): string[] {
  const all = [...new Set(answers.flat())].sort()
  return limit === 0 ? all : all.slice(0, limit)
}

function sameMetadata(a: FamilyMetadata, b: FamilyMetadata): boolean {
  return a.type === b.type && a.help === b.help && a.unit === b.unit
}
