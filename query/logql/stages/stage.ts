import type { Entry } from './entry.ts'

/** A compiled step of a pipeline. */
export interface LineStage {
  /** False drops the line. */
  process(entry: Entry): boolean
  /**
   * What it looks at: `line` only the line's bytes, `labels` only labels (its outcome is the same for every line with the same stored labels, if
   * all stages before are so too), `both` else.
   */
  readonly reads: 'line' | 'labels' | 'both'
}
