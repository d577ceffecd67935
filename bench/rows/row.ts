/**
 * A row: one load and what is measured of it, for every subject of the run in turn (A B A B …).
 *
 * A row starts the subjects it needs, warms them up, measures rounds, checks that what was sent is stored, and takes the subjects down. Its figures are
 * medians of the rounds. It knows nothing of how the subjects are made (layouts) or who they are.
 */
import type { SenderProcess } from '../load/sender-process.ts'
import type { StartOptions, Subject } from '../subjects/subject.ts'

export const SECTIONS = ['metrics', 'logs', 'traces', 'collector'] as const
export type Section = (typeof SECTIONS)[number]

export interface Row {
  readonly name: string
  readonly section: Section
  run(context: RowContext): Promise<RowResult>
}

export interface RowContext {
  /** Sightline first, then the peer where there is one. */
  start(options: Partial<Omit<StartOptions, 'profileFolder'>>): Promise<Subject[]>
  readonly sender: SenderProcess
  readonly isQuick: boolean
  readonly seed: number
  /** After the warm-up. */
  readonly rounds: number
  /** Times the items of the load. */
  readonly scale: number
  /** No further round is begun after this time; one is always measured. */
  readonly endMs: number
}

export interface Figure {
  /** Of what: `ingest`, or the name of a query. */
  readonly what: string
  readonly unit: string
  readonly better: 'more' | 'less'
  /** By subject. */
  readonly values: Readonly<Record<string, Measured>>
}

/** Of one subject: the median, and the rounds it is of. */
export interface Measured {
  readonly value: number
  readonly rounds: readonly number[]
  /** The same by role, where the system is made of several. Kafka is named and not in the value. */
  readonly parts?: Readonly<Record<string, { readonly value: number; readonly rounds: readonly number[] }>>
}

export interface RowResult {
  readonly row: string
  readonly section: Section
  readonly parameters: Readonly<Record<string, string | number>>
  readonly figures: readonly Figure[]
  /** By subject: how many items were sent, and how many its own API or counters say it has. */
  readonly counts: Readonly<Record<string, { readonly sent: number; readonly stored: number | undefined }>>
  /** By subject: bytes of the journals that were kept at the end, by who keeps them. */
  readonly journalBytes: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** By subject: why it has no figures here. */
  readonly missing: Readonly<Record<string, string>>
}

/** A whole number of a load, scaled. */
export function scaled(context: Pick<RowContext, 'isQuick' | 'scale'>, full: number, quick: number, atLeast = 1): number {
  return Math.max(atLeast, Math.round((context.isQuick ? quick : full) * context.scale))
}
