/** Where alert and notification state is made durable: the latest value of each key, after any kill. */
export interface StateLog {
  /** The latest value of every key, as the last process left them. */
  entries(): Iterable<readonly [key: string, value: unknown]>
  /** Resolves once all are durable, together. `null` takes a key away. Values are JSON. */
  put(changes: readonly (readonly [key: string, value: unknown])[]): Promise<void>
}

/** A state log that lasts as long as the process: for tests, and where nothing is to be kept. */
export class MemoryStateLog implements StateLog {
  readonly #values = new Map<string, unknown>()

  entries(): Iterable<readonly [string, unknown]> {
    return [...this.#values]
  }

  put(changes: readonly (readonly [string, unknown])[]): Promise<void> {
    for (const [key, value] of changes) {
      if (value === null) this.#values.delete(key)
      else this.#values.set(key, JSON.parse(JSON.stringify(value)))
    }
    return Promise.resolve()
  }
}
