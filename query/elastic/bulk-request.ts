/** The requests of the writer: create documents, find out which exist, put refused ones aside. */
import type { BulkItem, ItemOwner, ItemResult } from './bulk-item.ts'
import { reasonOf, type ElasticCause, type ElasticConnection } from './connection.ts'
import type { DataStreams } from './indices.ts'

export interface BulkAnswer {
  /** As many as items were sent, in their order. */
  readonly results: readonly ItemAnswer[]
  /** The backing index that took documents, '' where none did. */
  readonly index: string
}

export type ItemAnswer =
  | { readonly kind: 'created' | 'exists' }
  /** Nothing helps: the document can't be indexed. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not now; `isInDoubt` where it may have been stored all the same. */
  | { readonly kind: 'later'; readonly reason: string; readonly isInDoubt: boolean }

interface RawItem {
  readonly create: { readonly _index?: string; readonly status: number; readonly error?: ElasticCause }
}

export async function createAll(connection: ElasticConnection, index: string, items: readonly BulkItem[]): Promise<BulkAnswer> {
  let lines = ''
  for (const { id, document } of items) lines += `{"create":{"_id":"${id}"}}\n${document}\n`
  const answer = await connection.request<{ items: readonly RawItem[] }>({
    method: 'POST',
    path: `/${index}/_bulk`,
    query: { filter_path: 'items.*.status,items.*.error,items.*._index' },
    lines,
  })
  const created = answer.items.find((item) => item.create.status === 201)
  return { results: answer.items.map((item) => answerOf(item.create)), index: created?.create._index ?? '' }
}

function answerOf({ status, error }: RawItem['create']): ItemAnswer {
  if (status === 201 || status === 200) return { kind: 'created' }
  if (status === 409) return { kind: 'exists' }
  const reason = error === undefined ? `status ${status}` : reasonOf(error)
  if (status === 400) return { kind: 'refused', reason }
  return { kind: 'later', reason, isInDoubt: status !== 429 }
}

/** Ids asked for at once: below `index.max_result_window`. */
const IDS_PER_REQUEST = 5000

interface Hits<Fields> {
  readonly hits: { readonly hits?: readonly { readonly _id: string; readonly fields: Fields }[] }
}

/** Which items are in any backing index: `stored` where it is the item itself, `duplicate` where another one has its id. Call after a refresh. */
export async function findExisting(
  connection: ElasticConnection,
  index: string,
  items: readonly BulkItem[],
): Promise<Map<BulkItem, ItemResult>> {
  const found = new Map<BulkItem, ItemResult>()
  for (let from = 0; from < items.length; from += IDS_PER_REQUEST) {
    const part = items.slice(from, from + IDS_PER_REQUEST)
    const answer = await connection.request<Hits<{ journal: [string]; partition: [number]; offset: [number]; position: [number] }>>({
      method: 'POST',
      path: `/${index}/_search`,
      query: { filter_path: 'hits.hits._id,hits.hits.fields', allow_partial_search_results: false },
      body: {
        size: part.length * 2,
        query: { ids: { values: part.map(({ id }) => id) } },
        _source: false,
        docvalue_fields: ['journal', 'partition', 'offset', 'position'],
      },
    })
    const placeOf = new Map((answer.hits?.hits ?? []).map(({ _id, fields }) => [_id, fields]))
    for (const item of part) {
      const place = placeOf.get(item.id)
      if (place === undefined) continue
      const { journal, partition } = item.owner
      const isItself =
        place.journal[0] === journal &&
        place.partition[0] === partition &&
        place.offset[0] === item.offset &&
        place.position[0] === item.position
      found.set(item, isItself ? 'stored' : 'duplicate')
    }
  }
  return found
}

/** The highest offset of a partition that is stored, −1 without any past its checkpoint. Call after a refresh. */
export async function highestOffset(
  connection: ElasticConnection,
  index: string,
  { journal, partition, fromOffset }: ItemOwner,
): Promise<number> {
  const filter = [{ term: { journal } }, { term: { partition } }, { range: { offset: { gte: fromOffset } } }]
  const answer = await connection.request<{ aggregations: { highest: { value: number | null } } }>({
    method: 'POST',
    path: `/${index}/_search`,
    query: { allow_partial_search_results: false },
    body: { size: 0, query: { bool: { filter } }, aggs: { highest: { max: { field: 'offset' } } } },
  })
  return answer.aggregations.highest.value ?? -1
}

/** Puts a document aside with the reason. Errors: as of the request, and where the dead-letter stream refuses it too. */
export async function putAside(connection: ElasticConnection, names: DataStreams, item: BulkItem, reason: string): Promise<void> {
  const { owner, tenant, offset, position, appendedMs, id } = item
  const head = {
    '@timestamp': new Date(appendedMs).toISOString(),
    tenant,
    reason,
    journal: owner.journal,
    partition: owner.partition,
    offset,
    position,
  }
  const document = `${JSON.stringify(head).slice(0, -1)},"document":${item.document}}`
  const { results } = await createAll(connection, names.refused, [{ ...item, id, document }])
  const [result] = results
  if (result?.kind === 'later' || result?.kind === 'refused') throw new Error(`cannot put a refused document aside: ${result.reason}`)
}
