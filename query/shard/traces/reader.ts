/** A tenant's traces as the front reads them. */
import type { Operation } from '../../traces/index.ts'
import { QueryNotes, type FragmentRunner } from '../fragment.ts'
import {
  dependenciesFragment,
  findFragment,
  operationsFragment,
  searchFragment,
  tagsFragment,
  tagValuesFragment,
  traceByIdFragment,
  type Dependency,
  type FindRequest,
  type TagScope,
  type TagValue,
} from './fragments.ts'
import type { SearchAnswer, SearchRequest } from './search.ts'

export interface TracesReader {
  /** What is missing in the answers so far. */
  readonly notes: QueryNotes
  /** `repeated ResourceSpans` in field 1, undefined where the trace is not known. @param traceId 16 bytes */
  traceById(traceId: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined>
  search(request: SearchRequest, signal: AbortSignal): Promise<SearchAnswer>
  find(request: FindRequest, signal: AbortSignal): Promise<Uint8Array[]>
  operations(signal: AbortSignal): Promise<Operation[]>
  tags(startMs: number, endMs: number, query: string, signal: AbortSignal): Promise<Record<TagScope, string[]>>
  tagValues(scope: TagScope | undefined, name: string, range: TagRange, signal: AbortSignal): Promise<TagValue[]>
  dependencies(startMs: number, endMs: number, signal: AbortSignal): Promise<Dependency[]>
}

export interface TagRange {
  readonly startMs: number
  readonly endMs: number
  /** TraceQL that the spans' traces match. */
  readonly query: string
  readonly limit: number
}

export function createTracesReader(runner: FragmentRunner, tenant: string): TracesReader {
  const notes = new QueryNotes()
  return {
    notes,
    async traceById(traceId, signal) {
      const bytes = await runner.query(traceByIdFragment, tenant, { traceId }, signal, notes)
      return bytes.length === 0 ? undefined : bytes
    },
    search: (request, signal) => runner.query(searchFragment, tenant, request, signal, notes),
    find: async (request, signal) => (await runner.query(findFragment, tenant, request, signal, notes)).map(({ bytes }) => bytes),
    operations: (signal) => runner.query(operationsFragment, tenant, {}, signal, notes),
    tags: (startMs, endMs, query, signal) => runner.query(tagsFragment, tenant, { startMs, endMs, query }, signal, notes),
    tagValues: (scope, name, range, signal) => runner.query(tagValuesFragment, tenant, { scope, name, ...range }, signal, notes),
    dependencies: (startMs, endMs, signal) => runner.query(dependenciesFragment, tenant, { startMs, endMs }, signal, notes),
  }
}
