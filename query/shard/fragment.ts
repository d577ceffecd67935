/**
 * A fragment is the leaf of a query plan: work that is done where the data lies. Each kind says how one partition's store executes it
 * and how the answers of several partitions, workers or nodes become one. Requests and answers are plain data (they cross threads, later
 * the network); their large arrays are transferred, not copied.
 */
import type { Task } from '../store/index.ts'

export type DataSignal = 'metrics' | 'logs' | 'traces'

export const DATA_SIGNALS: readonly DataSignal[] = ['metrics', 'logs', 'traces']

export interface FragmentKind<Store, Request, Answer> {
  /** `metrics.select`, `logs.lines`, …: names the kind between threads. */
  readonly name: string
  readonly signal: DataSignal
  /** The store is one partition's. Errors are thrown and reach the caller with their kind. */
  execute(store: Store, tenant: string, request: Request): Task<Answer>
  /** Never called with an empty list; called once a worker and once at the front. */
  merge(answers: readonly Answer[], request: Request): Answer
  /**
   * Where the answer is right only if each series lies with one holder for the whole time it needs: that time, and what stands for "select instead".
   */
  readonly whole?: { window(request: Request): TimeWindow; unsupported(request: Request): Answer }
  /** The earliest data it reads, Unix milliseconds; absent: all. A node that has nothing as new isn't missed. */
  earliestMs?(request: Request): number
  /** Buffers of the answer that may move to the other thread instead of being copied. */
  transfer?(answer: Answer): ArrayBuffer[]
}

/** Unix milliseconds, both inclusive. */
export interface TimeWindow {
  readonly startMs: number
  readonly endMs: number
}

/** What a query has to say beside its answer. One a request. */
export class QueryNotes {
  /** Nodes that gave no answer, and why: what they hold is missing. */
  readonly missing = new Map<string, string>()
  /** Nodes that were asked, this one among them. */
  asked = 1

  warnings(): string[] {
    return [...this.missing].map(([node, why]) => `incomplete: node "${node}" gave no answer (${why}), what only it holds is missing`)
  }
}

/** A kind whose types are only known to its caller: what a registry by name holds. */
export type AnyFragmentKind = FragmentKind<never, never, unknown>

/** Asks all holders of a tenant's data. */
export interface FragmentRunner {
  query<Store, Request, Answer>(
    kind: FragmentKind<Store, Request, Answer>,
    tenant: string,
    request: Request,
    signal: AbortSignal,
    notes?: QueryNotes,
  ): Promise<Answer>
}
