/**
 * How many queries of a tenant run at once; a few more wait their turn, the rest are refused.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'

interface Lane {
  running: number
  readonly waiting: (() => void)[]
}

/** Waiting queries for each that may run. */
const WAITING_PER_SLOT = 10

export class QueryGate {
  readonly #lanes = new Map<string, Lane>()
  readonly #slots: (tenant: string) => number

  constructor(slots: (tenant: string) => number) {
    this.#slots = slots
  }

  /**
   * As `run`, with a deadline from the moment it runs: `work` gets a signal that aborts then or when the client goes away.
   * Errors: also timeout.
   */
  async runWithin<T>(tenant: string, signal: AbortSignal, timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.run(tenant, signal, async () => {
      const deadline = AbortSignal.timeout(timeoutMs)
      try {
        return await work(AbortSignal.any([signal, deadline]))
      } catch (error) {
        if (deadline.aborted)
          throw new SightlineError('timeout', `the query took longer than ${timeoutMs} ms; narrow it or its time range`, { cause: error })
        throw error
      }
    })
  }

  /** Errors: too_many where the waiting room is full, canceled where the client left it. */
  async run<T>(tenant: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(tenant) ?? { running: 0, waiting: [] }
    this.#lanes.set(tenant, lane)
    const slots = this.#slots(tenant)
    if (lane.running >= slots) {
      if (lane.waiting.length >= slots * WAITING_PER_SLOT) {
        throw new SightlineError(
          'too_many',
          `cannot run the query: ${lane.running} of tenant "${tenant}" run and ${lane.waiting.length} wait`,
          { retryAfterMs: 1000 },
        )
      }
      await new Promise<void>((resolve) => lane.waiting.push(resolve))
    } else lane.running++
    try {
      if (signal.aborted) throw new SightlineError('canceled', 'cannot run the query: the client went away')
      return await work()
    } finally {
      // The slot goes straight to the next in line.
      const next = lane.waiting.shift()
      if (next !== undefined) next()
      else {
        lane.running--
        if (lane.running === 0) this.#lanes.delete(tenant)
      }
    }
  }
}
