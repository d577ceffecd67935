import type { FloatHistogram } from '../../lib/model/index.ts'
import { CELL_ABSENT } from '../../lib/model/index.ts'
import { ChunkReader, type ChunkRef, type Codecs } from './chunk.ts'
import { Column } from './column.ts'
import { CONFLICT, DUPLICATE, STORED, sameSample, type CellOutcome, type Group } from './group.ts'

/**
 * Looks whether a late sample repeats one that is sealed already. Only the chunks of the series' group that are not in a block yet are looked at; a repeat of an
 * older one is stored beside it, and the older one wins when read.
 *
 * Cost: one column is decoded for each late sample whose timestamp a chunk has. Readers are kept during one row.
 */
export class LateRows {
  readonly #codecs: Codecs
  readonly #readers = new Map<ChunkRef, ChunkReader>()

  constructor(codecs: Codecs) {
    this.#codecs = codecs
  }

  /** STORED where no sealed sample of the series has that time. */
  compare(
    group: Group,
    series: number,
    timestampMs: number,
    cell: number,
    value: number,
    histogram: FloatHistogram | undefined,
  ): CellOutcome {
    if (group.parent !== undefined) {
      const outcome = this.compare(group.parent, series, timestampMs, cell, value, histogram)
      if (outcome !== STORED) return outcome
    }
    if (timestampMs > group.sealedMaxMs) return STORED
    for (const chunk of group.chunks) {
      if (timestampMs < chunk.minMs || timestampMs > chunk.maxMs) continue
      const reader = this.#reader(chunk)
      const row = reader.times.indexOf(timestampMs)
      const columnIndex = row < 0 ? -1 : chunk.series.indexOf(series)
      if (columnIndex < 0) continue
      const column = new Column(chunk.rows)
      reader.decode(columnIndex, column, 0)
      const there = column.cell(row)
      if (there === CELL_ABSENT) continue
      return sameSample(there, column.values[row]!, column.histograms?.[row], cell, value, histogram) ? DUPLICATE : CONFLICT
    }
    return STORED
  }

  /** The row is finished: forgets the readers. */
  done(): void {
    if (this.#readers.size > 0) this.#readers.clear()
  }

  #reader(chunk: ChunkRef): ChunkReader {
    let reader = this.#readers.get(chunk)
    if (reader === undefined) {
      reader = new ChunkReader(this.#codecs, chunk)
      this.#readers.set(chunk, reader)
    }
    return reader
  }
}
