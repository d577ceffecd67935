import type { Labels } from '../../model/index.ts'

export interface PushVisitor {
  /** A stream of so many entries begins; false skips them. `labels` is in order and has no empty values. */
  stream(labels: Labels, entries: number): boolean
  /** An entry of the last stream; `line` is text or UTF-8 bytes lent for the call. */
  entry(timeMs: number, subNs: number, line: string | Uint8Array, metadata: Labels): void
  /** A stream, or the rest of one, that can't be read. `entries`: how many are lost by it. */
  refused(reason: 'invalid_labels' | 'invalid_entry', complaint: string, entries: number): void
}
