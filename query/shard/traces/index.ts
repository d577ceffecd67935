/**
 * Traces on shards: the store and its fragments for the worker (`tracesHost`), and for the front a tenant's `TracesReader`. TraceQL runs beside the data, on
 * whole traces; what crosses threads are results.
 */
import { openTraceStore } from '../../traces/index.ts'
import type { AnyFragmentKind } from '../fragment.ts'
import type { SignalHost } from '../local-shard.ts'
import {
  dependenciesFragment,
  findFragment,
  operationsFragment,
  searchFragment,
  tagsFragment,
  tagValuesFragment,
  traceByIdFragment,
} from './fragments.ts'

export type { Dependency, FindRequest, TagScope, TagValue } from './fragments.ts'
export { createTracesReader, type TagRange, type TracesReader } from './reader.ts'
export type { FoundSpan, FoundSpanset, FoundTrace, SearchAnswer, SearchRequest } from './search.ts'

export const tracesHost: SignalHost = {
  signal: 'traces',
  openStore: (options) => openTraceStore(options),
  kinds: [
    traceByIdFragment,
    searchFragment,
    findFragment,
    operationsFragment,
    tagsFragment,
    tagValuesFragment,
    dependenciesFragment,
  ] as unknown as AnyFragmentKind[],
}
