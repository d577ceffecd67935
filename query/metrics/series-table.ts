import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'

import { RowsBytes, RowsWriter } from '../../lib/wire/rows/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { SeriesIndex } from './series-index.ts'

const TABLE_BYTES_MAX = 1024 * 1024 * 1024

/**
 * Label sets as bytes: a table of pairs, then each series as numbers in it, all zstd. What `decodeSeries` interns comes back in the order of `ids`.
 */
export function encodeSeries(index: SeriesIndex, ids: Uint32Array): Uint8Array {
  const local = new Uint32Array(index.pairCount)
  const used: number[] = []
  const series = new RowsWriter(ids.length * 16 + 16)
  for (const id of ids) {
    const pairs = index.pairsOf(id)
    series.varint(pairs.length)
    for (const pair of pairs) {
      if (local[pair] === 0) local[pair] = used.push(pair)
      series.varint(local[pair]! - 1)
    }
  }
  const out = new RowsWriter(series.length + used.length * 32 + 16)
  out.varint(used.length)
  for (const pair of used) {
    out.text(index.pairName(pair))
    out.text(index.pairValue(pair))
  }
  out.varint(ids.length)
  out.raw(series.finish())
  return zstdCompressSync(out.finish())
}

/** Series interned between two yields: about two milliseconds. */
const SLICE_SERIES = 2000

/** Interns every series of the table into an index; returns their ids there. */
export function* decodeSeries(bytes: Uint8Array, index: SeriesIndex): Generator<void, Uint32Array, void> {
  const input = new RowsBytes(zstdDecompressSync(bytes, { maxOutputLength: TABLE_BYTES_MAX }))
  const pairs: string[] = []
  for (let left = input.count(2); left > 0; left--) pairs.push(input.text(), input.text())
  const ids = new Uint32Array(input.count(1))
  const labels: string[] = []
  for (let i = 0; i < ids.length; i++) {
    labels.length = 0
    for (let left = input.count(1); left > 0; left--) {
      const pair = input.varint()
      if (pair * 2 >= pairs.length) throw new SightlineError('corruption', `cannot read a series table: there is no pair ${pair}`)
      labels.push(pairs[pair * 2]!, pairs[pair * 2 + 1]!)
    }
    ids[i] = index.intern(labels)
    if (i % SLICE_SERIES === SLICE_SERIES - 1) yield
  }
  return ids
}
