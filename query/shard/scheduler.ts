/**
 * The small scheduler of a shard's thread. Tasks are generators; each gets a slice of at most `SLICE_MS` in turn, and between two slices the
 * event loop runs, so that appends go first and a small query waits for slices, never for queries. Background tasks run while no query does,
 * and one slice in `BACKGROUND_SHARE` otherwise.
 */
import { SightlineError } from '../../lib/runtime/errors.ts'
import type { Task } from '../store/index.ts'

const SLICE_MS = 5
const BACKGROUND_SHARE = 10

interface Job {
  readonly task: Task<unknown>
  readonly signal: AbortSignal | undefined
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

export class Scheduler {
  #queries: Job[] = []
  #background: Job[] = []
  #running = false
  #slices = 0

  run<T>(task: Task<T>, signal?: AbortSignal): Promise<T> {
    return this.#add(this.#queries, task, signal)
  }

  runInBackground<T>(task: Task<T>, signal?: AbortSignal): Promise<T> {
    return this.#add(this.#background, task, signal)
  }

  #add<T>(jobs: Job[], task: Task<T>, signal: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      jobs.push({ task, signal, resolve, reject })
      if (!this.#running) {
        this.#running = true
        setImmediate(() => this.#turn())
      }
    })
  }

  #turn(): void {
    this.#slices++
    const isBackgroundTurn = this.#queries.length === 0 || this.#slices % BACKGROUND_SHARE === 0
    const jobs = isBackgroundTurn && this.#background.length > 0 ? this.#background : this.#queries
    const job = jobs.shift()
    if (job !== undefined && !runSlice(job)) jobs.push(job)
    if (this.#queries.length + this.#background.length > 0) setImmediate(() => this.#turn())
    else this.#running = false
  }
}

/** Runs one slice; true where the job has ended. */
function runSlice(job: Job): boolean {
  const { task, signal, resolve, reject } = job
  if (signal?.aborted === true) {
    task.return(undefined)
    reject(new SightlineError('canceled', 'cannot finish the query: it was canceled'))
    return true
  }
  const endMs = performance.now() + SLICE_MS
  try {
    do {
      const step = task.next()
      if (step.done === true) {
        resolve(step.value as never)
        return true
      }
    } while (performance.now() < endMs)
    return false
  } catch (error) {
    reject(error)
    return true
  }
}

/** Runs a task to its end without a scheduler, for tests and start-up. */
export function runToEnd<T>(task: Task<T>): T {
  for (;;) {
    const step = task.next()
    if (step.done === true) return step.value
  }
}
