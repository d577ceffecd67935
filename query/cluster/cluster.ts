/** All query nodes as one holder of data: this one's shards, and the others over HTTP. */
import { createHttpClient } from '../../lib/http/index.ts'
import type { ClusterConfig } from '../../lib/config/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { kindOf, messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter, gauge, type Log } from '../../lib/telemetry/index.ts'
import type { QueryIngest } from '../ingest/index.ts'
import { QueryNotes, type FragmentKind, type FragmentRunner, type Holding, type Shards, type TimeWindow } from '../shard/index.ts'
import { NodeClient, type NodeStatus } from './node-client.ts'

export interface ClusterOptions {
  readonly config: ClusterConfig
  readonly shards: Shards
  readonly ingest: QueryIngest
  readonly partitionCount: number
  /** This node, as it answers probes. */
  readonly self: () => NodeStatus
  readonly clock: Clock
  readonly log: Log
}

const PROBE_EVERY_MS = 1000
/** Partitions that are nobody's at the moment are asked for again. */
const FRESH_POLL_MS = 50
/** Clocks of nodes may differ by so much. */
const SKEW_MS = 5000

const missingTotal = counter('sightline_query_missing_nodes_total', 'Fragments that a node gave no answer to.', ['node'])
const nodesUp = gauge('sightline_query_nodes_up', 'Query nodes that answer probes, this one included.', [])

export class Cluster implements FragmentRunner {
  readonly #options: ClusterOptions
  readonly #nodes: readonly NodeClient[]
  readonly #startedMs: number
  readonly #client: ReturnType<typeof createHttpClient>
  #timer: NodeJS.Timeout | undefined
  /** Never rejects. */
  #round: Promise<void> | undefined
  #nextRound: Promise<void> | undefined
  #isStopped = false

  /** Errors: bad_data for client settings that can't be used. */
  constructor(options: ClusterOptions) {
    const { config, clock } = options
    this.#options = options
    this.#startedMs = clock.now()
    this.#client = createHttpClient(config.client)
    this.#nodes = config.nodes.map((url) => new NodeClient(url, this.#client, clock))
  }

  /** Probes the others from now on; resolves after the first round. */
  async start(): Promise<void> {
    if (this.#nodes.length === 0) return
    await this.#probe()
    this.#timer = setInterval(() => void this.#probe(), PROBE_EVERY_MS)
    this.#timer.unref()
  }

  async #probe(): Promise<void> {
    const before = new Set(this.#others().filter(({ status }) => status !== undefined))
    await Promise.all(this.#nodes.map((node) => node.probe()))
    for (const node of this.#others()) {
      if (before.has(node) && node.status === undefined) this.#options.log.warn({ node: node.name, error: node.error }, 'a node went away')
      if (!before.has(node) && node.status !== undefined) this.#options.log.info({ node: node.name }, 'a node answers')
    }
    nodesUp.set(1 + this.#others().filter(({ status }) => status !== undefined).length)
  }

  /** All but this process itself, which is in the list of all. */
  #others(): NodeClient[] {
    const { instance, node } = this.#options.self()
    return this.#nodes.filter(({ status, name }) => status?.instance !== instance && !(status === undefined && name === node))
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#client.close()
  }

  /** How many nodes share the work: a tenant's limits are divided by it. */
  get size(): number {
    return Math.max(1, this.#nodes.length)
  }

  async query<Store, Request, Answer>(
    kind: FragmentKind<Store, Request, Answer>,
    tenant: string,
    request: Request,
    signal: AbortSignal,
    notes: QueryNotes = new QueryNotes(),
  ): Promise<Answer> {
    const { shards, config } = this.#options
    const others = this.#others()
    notes.asked = 1 + others.length
    if (others.length === 0) return shards.query(kind, tenant, request, signal)
    const asking = others.map(async (node) => {
      try {
        if (node.status === undefined) throw new SightlineError('unavailable', node.error)
        return await node.query(tenant, { kind: kind.name, request }, config.timeout, signal)
      } catch (error) {
        if (!['unavailable', 'timeout', 'not_found', 'internal'].includes(kindOf(error)) || signal.aborted) throw error
        if (this.#isMissed(node, kind.earliestMs?.(request))) {
          missingTotal.inc({ node: node.name })
          notes.missing.set(node.name, messageOf(error))
        }
        return undefined
      }
    })
    const [own, ...theirs] = await Promise.all([shards.query(kind, tenant, request, signal), ...asking])
    const answered = theirs.filter((one) => one !== undefined)
    if (kind.whole !== undefined) {
      const holdings = [await shards.holdings(), ...answered.map((one) => one.holdings ?? [])]
      if (isSplit(holdings, kind.whole.window(request))) return kind.whole.unsupported(request)
    }
    const answers = [own, ...answered.map(({ answer }) => answer as Answer)]
    return answers.length === 1 ? own : kind.merge(answers, request)
  }

  /** A node has nothing newer than when it was last seen; one that was never seen had nothing since we started. */
  #isMissed(node: NodeClient, earliestMs: number | undefined): boolean {
    if (earliestMs === undefined) return true
    return earliestMs <= Math.max(node.lastSeenMs, this.#startedMs) + SKEW_MS
  }

  /**
   * Resolves once what was in the journal when it was asked is readable wherever it belongs. Errors: unavailable after `timeoutMs`: a partition
   * is nobody's at the moment, or its node doesn't keep up.
   */
  caughtUp(timeoutMs: number): Promise<void> {
    // Whoever asks while a round is under way needs the next one, which all of them share: what they appended may be past what this one waits for.
    this.#nextRound ??= (this.#round ?? Promise.resolve()).then(() => {
      this.#nextRound = undefined
      const round = this.#catchUp(timeoutMs)
      this.#round = round.catch(() => {})
      return round
    })
    return this.#nextRound
  }

  async #catchUp(timeoutMs: number): Promise<void> {
    const { ingest, clock, partitionCount } = this.#options
    const deadlineMs = clock.now() + timeoutMs
    for (;;) {
      const leftMs = Math.max(0, deadlineMs - clock.now())
      const up = this.#others().filter(({ status }) => status !== undefined)
      const rounds = await Promise.all([
        ingest.fresh(leftMs).then((isFresh) => (isFresh ? ingest.owned() : undefined)),
        ...up.map((node) => node.fresh(leftMs).catch(() => undefined)),
      ])
      if (rounds.every((owned) => owned !== undefined) && new Set(rounds.flat()).size === partitionCount) return
      if (clock.now() >= deadlineMs || this.#isStopped) {
        throw new SightlineError(
          'unavailable',
          `incomplete: not all partitions are applied up to now within ${timeoutMs} ms by the nodes of query_cluster`,
        )
      }
      await clock.sleep(FRESH_POLL_MS)
    }
  }

  /** The node that evaluates rules, where it is another and answers. */
  rulesNode(): NodeClient | undefined {
    return this.#others().find(({ status }) => status?.rules === true)
  }
}

/** True where a partition has data of the window with more than one holder. */
function isSplit(holders: readonly (readonly Holding[])[], { startMs, endMs }: TimeWindow): boolean {
  const seen = new Set<number>()
  for (const holdings of holders) {
    for (const { partition, ranges } of holdings) {
      if (!ranges.some(([from, to]) => from <= endMs && to >= startMs)) continue
      if (seen.has(partition)) return true
      seen.add(partition)
    }
  }
  return false
}
