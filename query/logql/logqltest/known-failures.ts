/** Evaluations of the upstream scripts that are known to fail, with the reason. A listed one that passes fails the test. */
export const KNOWN_FAILURES: ReadonlyMap<string, string> = new Map<string, string>([])
