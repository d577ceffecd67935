/** Time as an argument, so that tests can hold it. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number
  /** Resolves after `ms`, or at once when `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal?.addEventListener('abort', done, { once: true })
    }),
}

/** A clock that stands still until it is told to move; sleepers wake in the order of their times. */
export class FakeClock implements Clock {
  #nowMs: number
  #sleepers: { atMs: number; wake: () => void }[] = []

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      this.#sleepers.push({ atMs: this.#nowMs + ms, wake: resolve })
      signal?.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Moves the time forward, waking each sleeper at its instant and letting it run before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      this.#sleepers.sort((a, b) => a.atMs - b.atMs)
      const next = this.#sleepers[0]
      if (next === undefined || next.atMs > endMs) break
      this.#sleepers.shift()
      this.#nowMs = next.atMs
      next.wake()
      await settle()
    }
    this.#nowMs = endMs
    await settle()
  }
}

/** Lets pending promise reactions and immediates run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}
