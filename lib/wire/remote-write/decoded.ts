import type { RowBatch } from '../rows/index.ts'

/** Things of each kind; one that isn't in `written` is in `dropped`. */
export interface WriteCounts {
  readonly samples: number
  readonly histograms: number
  readonly exemplars: number
}

export interface DecodedWrite {
  readonly batch: RowBatch
  readonly written: WriteCounts
  /** Samples and histograms left out, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** The first few series that were left out, in words. */
  readonly complaints: readonly string[]
}

const COMPLAINTS_MAX = 10

/** Counts while a request is read. */
export class WriteTally {
  samples = 0
  histograms = 0
  exemplars = 0
  readonly dropped: Record<string, number> = {}
  readonly complaints: string[] = []

  drop(reason: string, items: number, complaint: string): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + items
    if (this.complaints.length < COMPLAINTS_MAX) this.complaints.push(complaint)
  }

  finish(batch: RowBatch): DecodedWrite {
    const { samples, histograms, exemplars, dropped, complaints } = this
    return { batch, written: { samples, histograms, exemplars }, dropped, complaints }
  }
}
