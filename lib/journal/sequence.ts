/**
 * What a reader remembers of each producer of a partition: the last sequence of its present epoch. Repeats are dropped, gaps are
 * counted with their range, so that "nothing lost, nothing doubled" is something to look up.
 */
import type { ProducerMark } from './record.ts'

export interface ProducerState {
  readonly producer: string
  readonly epoch: string
  readonly sequence: number
}

export interface Gap {
  readonly producer: string
  readonly epoch: string
  /** First and last missing sequence are not known (a producer's sequences skip): what is known are the ends of the hole. */
  readonly afterSequence: number
  readonly beforeSequence: number
}

export type Verdict = 'new' | 'repeat' | 'gap'

/** Producers a partition remembers; the one unseen for longest is forgotten first, and a repeat of it would then be stored again. */
const PRODUCERS_MAX = 10_000

export class SequenceTracker {
  #last = new Map<string, { epoch: string; sequence: number }>()

  constructor(states: readonly ProducerState[] = []) {
    for (const state of states) this.#last.set(state.producer, { epoch: state.epoch, sequence: state.sequence })
  }

  /** Decides about a record and remembers it unless it is a repeat. `gap`: the record is new, but one before it never came. */
  observe(mark: ProducerMark): Verdict {
    const last = this.#last.get(mark.producer)
    const sameEpoch = last !== undefined && last.epoch === mark.epoch
    if (sameEpoch && mark.sequence <= last.sequence) return 'repeat'
    const expected = sameEpoch ? last.sequence : -1
    this.#last.delete(mark.producer)
    this.#last.set(mark.producer, { epoch: mark.epoch, sequence: mark.sequence })
    if (this.#last.size > PRODUCERS_MAX) this.#last.delete(this.#last.keys().next().value!)
    // A writer that had no answer for a record goes on from the one before it: that is no gap.
    return mark.previous <= expected ? 'new' : 'gap'
  }

  /** True where `observe` would call it a repeat. */
  isRepeat(mark: ProducerMark): boolean {
    const last = this.#last.get(mark.producer)
    return last !== undefined && last.epoch === mark.epoch && mark.sequence <= last.sequence
  }

  stateOf(producer: string): ProducerState | undefined {
    const last = this.#last.get(producer)
    return last === undefined ? undefined : { producer, epoch: last.epoch, sequence: last.sequence }
  }

  /** The gap that `observe` would find before this record; undefined where there is none. */
  gapBefore(mark: ProducerMark): Gap | undefined {
    const last = this.#last.get(mark.producer)
    const expected = last !== undefined && last.epoch === mark.epoch ? last.sequence : -1
    if (mark.previous <= expected || mark.sequence <= expected) return undefined
    return { producer: mark.producer, epoch: mark.epoch, afterSequence: expected, beforeSequence: mark.sequence }
  }

  /** For the checkpoint's manifest. */
  states(): ProducerState[] {
    return [...this.#last].map(([producer, { epoch, sequence }]) => ({ producer, epoch, sequence }))
  }
}
