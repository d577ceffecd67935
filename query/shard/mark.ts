/**
 * What a member of a group leaves with the mark of a partition, for whoever has it next: JSON, so that versions can work side by side.
 */
import { MARK_STATE_BYTES_MAX, type Mark, type ProducerState } from '../../lib/journal/index.ts'
import { SightlineError } from '../../lib/runtime/errors.ts'

/** Records [from, to) of a partition are with `node`. */
export interface Owner {
  readonly node: string
  readonly from: number
  readonly to: number
}

export interface MarkState {
  /** Where the committer began to apply without a break: [since, offset) is with it. */
  readonly since: number
  /** From here on every layout is in the journal that rows after the mark use. */
  readonly learnFrom: number
  readonly producers: readonly ProducerState[]
  /** Who had it before `since`, the newest `OWNERS_MAX`. */
  readonly owners: readonly Owner[]
}

/** A partition that moved more often than this has forgotten the first moves: they only matter to a node that was away since. */
export const OWNERS_MAX = 64

/** With more producers than fit, those unseen for longest are left out: a repeat of theirs would be stored again by the next owner. */
export function encodeMark(state: MarkState): Uint8Array {
  const bytes = Buffer.from(JSON.stringify({ v: 1, ...state }))
  if (bytes.length <= MARK_STATE_BYTES_MAX) return new Uint8Array(bytes)
  return encodeMark({ ...state, producers: state.producers.slice(Math.ceil(state.producers.length / 4)) })
}

/** Errors: corruption. */
export function decodeMark({ state, offset, node }: Mark): MarkState {
  try {
    const { v, ...rest } = JSON.parse(Buffer.from(state).toString()) as MarkState & { v?: number }
    if (v === 1 && Array.isArray(rest.owners) && Array.isArray(rest.producers)) return rest
  } catch {
    // Told below, with what is known.
  }
  throw new SightlineError('corruption', `cannot read the mark at offset ${offset} of node "${node}": its version is unknown`)
}
