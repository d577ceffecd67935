/** Waiting for what another process does: tried again until it holds or the time is up; then the last failure is the test's. */
export async function eventually<T>(check: () => T | Promise<T>, deadlineMs = 15_000, everyMs = 100): Promise<T> {
  const endMs = Date.now() + deadlineMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > endMs) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
