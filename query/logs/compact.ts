/**
 * Merging small segments: checkpoints write what a minute brought, searches want megabytes. Neighbours in journal order are merged into one file with
 * blocks sorted by stream and time.
 */
import type { Task } from '../store/index.ts'
import { BlockBuilder, metaCount, type Block } from './block.ts'
import { sharesOf, type BlockRef } from './block-ref.ts'

/** The rows of all blocks, by stream and time, in new blocks. Rows of the same stream and instant keep their order. */
export function* mergeBlocks(refs: readonly BlockRef[], decode: (ref: BlockRef) => Block): Task<BlockRef[]> {
  const blocks: Block[] = []
  for (const ref of refs) {
    blocks.push(decode(ref))
    yield
  }
  const total = blocks.reduce((sum, block) => sum + block.count, 0)
  const blockOf = new Uint32Array(total)
  const rowOf = new Uint32Array(total)
  let n = 0
  for (const [b, block] of blocks.entries()) {
    for (let row = 0; row < block.count; row++, n++) {
      blockOf[n] = b
      rowOf[n] = row
    }
  }
  const order = Uint32Array.from(blockOf.keys()).sort((x, y) => {
    const [a, b] = [blocks[blockOf[x]!]!, blocks[blockOf[y]!]!]
    const [i, j] = [rowOf[x]!, rowOf[y]!]
    return a.streamOf[i]! - b.streamOf[j]! || a.timeMs[i]! - b.timeMs[j]! || a.subNs[i]! - b.subNs[j]! || x - y
  })
  yield
  const appendedMs = Math.max(...refs.map((ref) => ref.appendedMs))
  const out: BlockRef[] = []
  let builder = new BlockBuilder()
  const close = (): void => {
    const block = builder.block()
    out.push({
      minMs: builder.minMs,
      maxMs: builder.maxMs,
      count: block.count,
      rawBytes: block.lineBytes.length,
      appendedMs,
      shares: sharesOf(block),
      block,
      stored: undefined,
    })
    builder = new BlockBuilder()
  }
  for (const at of order) {
    const block = blocks[blockOf[at]!]!
    const row = rowOf[at]!
    const lineLength = block.lineStart[row + 1]! - block.lineStart[row]!
    if (!builder.hasRoom(lineLength, block.timeMs[row]!)) {
      close()
      yield
    }
    addRow(builder, block, row)
  }
  if (builder.count > 0) close()
  return out
}

function addRow(builder: BlockBuilder, block: Block, row: number): void {
  const meta = metaCount(block) === 0 ? 0 : block.metaOf[row]!
  const line = block.lineBytes.subarray(block.lineStart[row]!, block.lineStart[row + 1]!)
  const metadata = block.metaBytes.subarray(block.metaStart[meta]!, block.metaStart[meta + 1]!)
  const bytes = Buffer.concat([line, metadata])
  builder.add(block.streamOf[row]!, block.timeMs[row]!, block.subNs[row]!, bytes, 0, line.length, line.length, bytes.length)
}
