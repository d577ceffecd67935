/** Merging small segments: spans of a trace come to lie together, traces by their start. */
import { newSpanFields, readSpan } from '../../lib/wire/otlp/traces/index.ts'
import type { Task } from '../store/index.ts'
import { latin1, SpanBlockBuilder, type SpanBlock } from './block.ts'
import type { SpanBlockRef } from './block-ref.ts'
import { refOf } from './tenant.ts'

interface Place {
  readonly block: SpanBlock
  readonly row: number
  readonly trace: string
}

/** The rows of all blocks in new blocks, by trace; traces by their first start, spans of a trace by theirs. */
export function* mergeBlocks(refs: readonly SpanBlockRef[], decode: (ref: SpanBlockRef) => SpanBlock): Task<SpanBlockRef[]> {
  const places: Place[] = []
  const firstStart = new Map<string, number>()
  for (const ref of refs) {
    const block = decode(ref)
    for (let row = 0; row < block.count; row++) {
      const trace = latin1(block.traceIds.subarray(row * 16, row * 16 + 16))
      places.push({ block, row, trace })
      firstStart.set(trace, Math.min(firstStart.get(trace) ?? Infinity, block.startMs[row]!))
    }
    yield
  }
  places.sort(
    (a, b) =>
      firstStart.get(a.trace)! - firstStart.get(b.trace)! ||
      (a.trace < b.trace ? -1 : a.trace > b.trace ? 1 : 0) ||
      a.block.startMs[a.row]! - b.block.startMs[b.row]! ||
      a.block.startSubNs[a.row]! - b.block.startSubNs[b.row]!,
  )
  yield
  const appendedMs = Math.max(...refs.map((ref) => ref.appendedMs))
  const out: SpanBlockRef[] = []
  let builder = new SpanBlockBuilder()
  for (const place of places) {
    if (builder.isFull) {
      out.push(refOf(builder, appendedMs))
      builder = new SpanBlockBuilder()
      yield
    }
    addRow(builder, place)
  }
  if (builder.count > 0) out.push(refOf(builder, appendedMs))
  return out
}

function addRow(builder: SpanBlockBuilder, { block, row }: Place): void {
  const [from, to] = [block.spanStart[row]!, block.spanStart[row + 1]!]
  const fields = readSpan(block.spanBytes, from, to, newSpanFields())
  const wrapper = builder.wrapper(block.wrappers[block.wrapperOf[row]!]!)
  builder.add(fields, wrapper, block.spanBytes, from, to, block.names[block.nameOf[row]!]!)
}
