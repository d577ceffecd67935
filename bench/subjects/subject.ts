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
  /** Its processes by role, where it is made of several. */
  readonly parts: readonly Part[]
  /** Of all processes that are ours. */
  cpuSeconds(): number
  rssBytes(): number
  /** Items its own counters say are in its store; undefined where it has none. */
  storedItems(signal: Signal): Promise<number | undefined>
  /** Resolves when what was acknowledged is stored; there where an acknowledgement comes from another process than the one that stores. */
  arrived?(): Promise<void>
  /** What was sent is stored, the checkpoint that follows is over, and nothing more is at work. */
  settle(): Promise<void>
  /** Ends it (one that we didn't start is left alone); returns what it keeps of a signal, undefined where that can't be told. */
  finish(signal: Signal): Promise<Kept | undefined>
}

/** The processes of one role. */
export interface Part {
  readonly role: string
  /** Kafka isn't: it is shown, and in no sum. */
  readonly isOurs: boolean
  cpuSeconds(): number
  rssBytes(): number
}

export interface Kept {
  /** Of the signal's stores, all nodes together. */
  readonly storeBytes: number
  /** Of journals, by who keeps them: not in the figure on disk. A collector's is of all signals. */
  readonly journalBytes: Readonly<Record<string, number>>
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

const QUIET_LIMIT_MS = 10_000

/** Waits until the processes use less than this share of a processor; gives up after ten seconds, and the window is as long as it is. */
export async function quiet(subject: Pick<Subject, 'cpuSeconds'>, share = QUIET_SHARE): Promise<void> {
  const endMs = Date.now() + QUIET_LIMIT_MS
  while (Date.now() < endMs) {
    const before = subject.cpuSeconds()
    await pause(QUIET_MS)
    if (((subject.cpuSeconds() - before) * 1000) / QUIET_MS < share) return
  }
}

export function sumOf<T>(all: readonly T[], value: (one: T) => number): number {
  return all.reduce((sum, one) => sum + value(one), 0)
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
