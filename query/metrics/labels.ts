/**
 * Label names, label values and series of a head and blocks. Time is looked at as Prometheus does it: a block counts where it overlaps the range; with matchers, a
 * series of the head counts where its group has rows in the range.
 */
import { labelsKey, type Labels, type Matcher } from '../../lib/model/index.ts'
import type { Task } from '../store/index.ts'
import type { Block } from './block.ts'
import type { Head } from './head.ts'
import { matchSeries } from './match.ts'
import type { SeriesIndex } from './series-index.ts'

const SLICE_SERIES = 20_000

interface BlockHolder {
  readonly block: Block | undefined
}

/** Sorted; `limit` 0 means none. */
export function* labelNamesOf(
  head: Head | undefined,
  blocks: readonly BlockHolder[],
  tenant: string,
  matchers: readonly Matcher[],
  startMs: number,
  endMs: number,
  limit: number,
): Task<string[]> {
  const out = new Set<string>()
  for (const { index, ids } of yield* matched(head, blocks, tenant, matchers, startMs, endMs)) {
    const seen = new Uint8Array(index.pairCount)
    for (let i = 0; i < ids.length; i++) {
      for (const pair of index.pairsOf(ids[i]!)) {
        if (seen[pair] === 1) continue
        seen[pair] = 1
        out.add(index.pairName(pair))
      }
      if (i % SLICE_SERIES === SLICE_SERIES - 1) yield
    }
  }
  return limited([...out].sort(), limit)
}

export function* labelValuesOf(
  head: Head | undefined,
  blocks: readonly BlockHolder[],
  tenant: string,
  name: string,
  matchers: readonly Matcher[],
  startMs: number,
  endMs: number,
  limit: number,
): Task<string[]> {
  const out = new Set<string>()
  for (const { index, ids } of yield* matched(head, blocks, tenant, matchers, startMs, endMs)) {
    if (!index.names.has(name)) continue
    const seen = new Uint8Array(index.pairCount)
    for (let i = 0; i < ids.length; i++) {
      for (const pair of index.pairsOf(ids[i]!)) {
        if (index.pairName(pair) !== name) continue
        if (seen[pair] === 0) out.add(index.pairValue(pair))
        seen[pair] = 1
        break
      }
      if (i % SLICE_SERIES === SLICE_SERIES - 1) yield
    }
  }
  return limited([...out].sort(), limit)
}

/** In no order. */
export function* seriesOf(
  head: Head | undefined,
  blocks: readonly BlockHolder[],
  tenant: string,
  matchers: readonly Matcher[],
  startMs: number,
  endMs: number,
  limit: number,
): Task<Labels[]> {
  const out = new Map<string, Labels>()
  let work = 0
  for (const { index, ids } of yield* matched(head, blocks, tenant, matchers, startMs, endMs)) {
    for (const id of ids) {
      if (limit > 0 && out.size >= limit) return [...out.values()]
      const labels = index.labelsOf(id)
      out.set(labelsKey(labels), labels)
      if (++work % 5000 === 0) yield
    }
  }
  return [...out.values()]
}

/** The series of each holder; the head's index stays as it is until this and the caller's next steps are done with it, even if the head makes a new one. */
function* matched(
  head: Head | undefined,
  blocks: readonly BlockHolder[],
  tenant: string,
  matchers: readonly Matcher[],
  startMs: number,
  endMs: number,
): Task<{ index: SeriesIndex; ids: Uint32Array }[]> {
  const out: { index: SeriesIndex; ids: Uint32Array }[] = []
  if (head !== undefined) {
    head.beginRead()
    try {
      const ids = yield* matchSeries(head.index, matchers)
      out.push({ index: head.index, ids: ids.filter((id) => head.hasRows(id, startMs, endMs)) })
    } finally {
      head.endRead()
    }
  }
  for (const { block } of blocks) {
    const index = yield* block!.indexOf(tenant)
    out.push({ index, ids: yield* matchSeries(index, matchers) })
  }
  return out
}

function limited(values: string[], limit: number): string[] {
  return limit > 0 ? values.slice(0, limit) : values
}
