/**
 * What is measured: one running system, whatever processes it is made of, seen from outside. Sightline in some layout, a peer that the bench started, or one
 * that runs already and is known by its URL.
 *
 * A row asks only for what it needs; where a subject can't do it, `why` says so and the table has the sentence instead of a figure.
 */
export type Signal = 'metrics' | 'logs' | 'traces'
export type Intake = 'remote-write' | 'otlp-metrics' | 'loki-push' | 'otlp-logs' | 'otlp-traces' | 'scrape' | 'tail'
export type Language = 'promql' | 'logql' | 'traceql'
export type Ability = Intake | Language

export interface Subject {
  readonly name: string
  readonly version: string
  /** Where each load goes (a URL, the tailed folder, '' for scraping), and the base URL of each language's API. */
  readonly places: Readonly<Partial<Record<Ability, string>>>
  /** Of all its processes. */
  cpuSeconds(): number
  rssBytes(): number
  /** Items its own counters say are in its store; undefined where it has none. */
  storedItems(signal: Signal): Promise<number | undefined>
  /** What was sent is stored, the checkpoint that follows is over, and nothing more is at work. */
  settle(): Promise<void>
  /** Ends it (one that we didn't start is left alone); returns the bytes it keeps of a signal, undefined where that can't be told. */
  finish(signal: Signal): Promise<number | undefined>
}

export interface StartOptions {
  /** What to scrape, each second. */
  readonly scrape?: { readonly address: string; readonly targets: number }
  /** Below it each subject tails a folder of its own. */
  readonly tailRoot?: string
  /** Between two checkpoints of a Sightline: short, so that each round pays for one. */
  readonly checkpointMs: number
  /** Folder for the processors' profiles of a Sightline. */
  readonly profileFolder?: string
}

/** Something that can be started for a row, on a folder of its own. */
export type StartSubject = (options: StartOptions) => Promise<Subject>

export function whyNot(subject: Subject, ability: Ability): string {
  return `${subject.name} has no ${ability} here`
}

const QUIET_MS = 250
const QUIET_SHARE = 0.08

/** Waits until the processes use less than a twelfth of a processor; gives up after `limitMs`, and the window is as long as it is. */
export async function quiet(subject: Pick<Subject, 'cpuSeconds'>, limitMs = 10_000): Promise<void> {
  const endMs = Date.now() + limitMs
  while (Date.now() < endMs) {
    const before = subject.cpuSeconds()
    await pause(QUIET_MS)
    if (((subject.cpuSeconds() - before) * 1000) / QUIET_MS < QUIET_SHARE) return
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The sum of a metric's series in Prometheus text whose line begins with `prefix`; undefined where there is none. */
export function metricIn(text: string, prefix: string): number | undefined {
  const found = text.split('\n').filter((line) => line.startsWith(prefix))
  return found.length === 0 ? undefined : found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** GET as text; an error with status and text where it isn't a 2xx. */
export async function textOf(url: string): Promise<string> {
  const response = await fetch(url)
  const text = await response.text()
  if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${text.slice(0, 300)}`)
  return text
}
