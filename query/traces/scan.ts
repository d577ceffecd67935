/**
 * Whole traces, newest first. A block's columns tell which of its traces fulfil the conditions; the spans of each are then gathered from every block that
 * holds it, so that a trace is handed out once and whole.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { TraceConditions, TraceScan, TraceScanTask, TraceView } from '../store/index.ts'
import { hex, latin1, traceHash, type SpanBlock } from './block.ts'
import type { SpanBlockRef } from './block-ref.ts'
import { StoredSpan } from './span-view.ts'
import type { TenantTraces } from './tenant.ts'

export interface SpanBlockSource {
  decode(ref: SpanBlockRef): SpanBlock
  mayContain(ref: SpanBlockRef, needle: Uint8Array): boolean
}

/** Traces one scan hands out at most: it remembers them, to give none twice. */
const TRACES_MAX = 1_000_000
/** Between two suspensions. */
const ROWS_PER_SLICE = 2048

export function* scanTraces(tenant: TenantTraces, scan: TraceScan, source: SpanBlockSource): TraceScanTask {
  const blocks = tenant.snapshot()
  const needles = (scan.conditions.needles ?? []).map((needle) => Buffer.from(needle))
  const inRange = blocks.filter((ref) => ref.maxMs >= scan.startMs && ref.minMs <= scan.endMs).sort((a, b) => b.maxMs - a.maxMs)
  const given = new Set<string>()
  for (const ref of inRange) {
    yield undefined
    if (needles.some((needle) => !source.mayContain(ref, needle))) continue
    const block = source.decode(ref)
    const fulfils = conditionOn(block, scan)
    for (let row = block.count - 1; row >= 0; row--) {
      if (row % ROWS_PER_SLICE === 0) yield undefined
      if (!fulfils(row)) continue
      const key = latin1(block.traceIds.subarray(row * 16, row * 16 + 16))
      if (given.has(key)) continue
      if (given.size >= TRACES_MAX)
        throw new SightlineError(
          'too_large',
          `cannot search: more than ${TRACES_MAX} traces match; narrow the time range or the conditions`,
        )
      given.add(key)
      yield gatherTrace(block.traceIds.subarray(row * 16, row * 16 + 16), tenant, blocks, source)
    }
  }
}

/** The trace with all its spans, by start; undefined where there is none. */
export function gatherTrace(
  traceId: Uint8Array,
  tenant: TenantTraces,
  blocks: readonly SpanBlockRef[],
  source: SpanBlockSource,
): TraceView & { spans: StoredSpan[] } {
  const spans: StoredSpan[] = []
  for (const ref of tenant.blocksWith(traceHash(traceId), blocks)) {
    const block = source.decode(ref)
    for (let row = 0; row < block.count; row++) if (sameId(block.traceIds, row * 16, traceId)) spans.push(new StoredSpan(block, row))
  }
  spans.sort((a, b) => a.startMs - b.startMs || a.startSubNs - b.startSubNs)
  return { traceId: hex(traceId, 0, 16), spans }
}

export function sameId(ids: Uint8Array, at: number, id: Uint8Array, from = 0, length = 16): boolean {
  for (let i = 0; i < length; i++) if (ids[at + i] !== id[from + i]) return false
  return true
}

/** A test of rows by the block's columns. */
function conditionOn(block: SpanBlock, { startMs, endMs, conditions }: TraceScan): (row: number) => boolean {
  const { statusCode, kind, durationMinNs = -1, durationMaxNs = Infinity } = conditions
  const name = conditions.name === undefined ? undefined : block.names.indexOf(conditions.name)
  const wrappers = servicesOf(block, conditions)
  if (name === -1) return () => false
  return (row) =>
    block.startMs[row]! >= startMs &&
    block.startMs[row]! <= endMs &&
    (name === undefined || block.nameOf[row] === name) &&
    (wrappers === undefined || wrappers[block.wrapperOf[row]!] === 1) &&
    (statusCode === undefined || block.statusCode[row] === statusCode) &&
    (kind === undefined || block.kind[row] === kind) &&
    block.durationNs[row]! >= durationMinNs &&
    block.durationNs[row]! <= durationMaxNs
}

function servicesOf(block: SpanBlock, { service }: TraceConditions): Uint8Array | undefined {
  return service === undefined ? undefined : Uint8Array.from(block.wrappers, (wrapper) => (wrapper.service === service ? 1 : 0))
}
