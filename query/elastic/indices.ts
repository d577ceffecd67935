/**
 * The data streams: their templates, and their backing indices as they come and go. Rollover and retention are ours: a cluster may have no life cycle of its own, and ours knows
 * `retention.logs`.
 */
import { kindOf } from '../../lib/runtime/errors.ts'
import { ElasticError, type ElasticConnection } from './connection.ts'
import type { ElasticSettings } from './settings.ts'
import { PAIR_LENGTH_MAX } from './document.ts'
import { WORD_LENGTH_MAX } from './words.ts'

export interface DataStreams {
  readonly logs: string
  /** Documents that a mapping refused. */
  readonly refused: string
}

export function dataStreamsOf(settings: ElasticSettings): DataStreams {
  return { logs: `${settings.indexPrefix}-logs`, refused: `${settings.indexPrefix}-logs-refused` }
}

/** Before any template a user might have for `logs-*` and the like. */
const TEMPLATE_PRIORITY = 500
const TEMPLATE_VERSION = 1

const INDEXED = { type: 'keyword', doc_values: false, ignore_above: PAIR_LENGTH_MAX }

/** Field types of the core only; nothing is mapped that isn't named here. */
const LOG_MAPPING = {
  dynamic: false,
  properties: {
    '@timestamp': { type: 'date_nanos' },
    tenant: { type: 'keyword' },
    stream: { type: 'keyword' },
    labels: INDEXED,
    line: { type: 'text', analyzer: 'sightline_words', index_options: 'docs', norms: false },
    long: { type: 'boolean', doc_values: false },
    metadata: INDEXED,
    level: { type: 'keyword' },
    bytes: { type: 'integer', index: false },
    journal: { type: 'keyword' },
    partition: { type: 'integer' },
    offset: { type: 'long' },
    position: { type: 'integer', index: false },
  },
}

const REFUSED_MAPPING = {
  dynamic: false,
  properties: {
    '@timestamp': { type: 'date' },
    tenant: { type: 'keyword' },
    reason: { type: 'keyword', ignore_above: PAIR_LENGTH_MAX },
    journal: { type: 'keyword' },
    partition: { type: 'integer' },
    offset: { type: 'long' },
    document: { type: 'object', enabled: false },
  },
}

/** A backing index. */
interface BackingIndex {
  readonly name: string
  readonly createdMs: number
}

export class LogIndices {
  readonly names: DataStreams
  readonly #connection: ElasticConnection
  #preparing: Promise<void> | undefined
  /** Oldest first, as far as known; the last takes documents now. */
  #backing: readonly BackingIndex[] = []

  constructor(connection: ElasticConnection) {
    this.#connection = connection
    this.names = dataStreamsOf(connection.settings)
  }

  /** What was stored before this time may lie in an older index than the one that is written to; there an id is not looked for. −Infinity without an older one. */
  get rolledOverMs(): number {
    return this.#backing.length > 1 ? this.#backing.at(-1)!.createdMs : -Infinity
  }

  /** Makes what is missing, once. Errors: what the cluster says; the next call tries again. */
  prepared(): Promise<void> {
    this.#preparing ??= this.#prepare().catch((error: unknown) => {
      this.#preparing = undefined
      throw error
    })
    return this.#preparing
  }

  /** Something is not as it was: the next `prepared` looks again. */
  forget(): void {
    this.#preparing = undefined
  }

  /** An answer named the index that took a document. */
  noteWrittenTo(index: string): void {
    if (index !== this.#backing.at(-1)?.name && index !== '') this.forget()
  }

  async #prepare(): Promise<void> {
    await this.#putTemplate(this.names.logs, LOG_MAPPING)
    await this.#putTemplate(this.names.refused, REFUSED_MAPPING)
    await this.#createDataStream(this.names.logs)
    await this.#createDataStream(this.names.refused)
    this.#backing = await this.#backingIndices()
    // What lies in an index that was just rolled over may not be visible yet.
    if (this.#backing.length > 1) await this.refresh()
  }

  async #putTemplate(name: string, mappings: object): Promise<void> {
    const { shards, replicas } = this.#connection.settings
    const analysis = {
      tokenizer: { sightline_words: { type: 'standard', max_token_length: WORD_LENGTH_MAX } },
      analyzer: { sightline_words: { type: 'custom', tokenizer: 'sightline_words' } },
    }
    const index = { number_of_shards: shards, number_of_replicas: replicas, refresh_interval: '1s', analysis }
    await this.#connection.request({
      method: 'PUT',
      path: `/_index_template/${name}`,
      body: {
        index_patterns: [name],
        data_stream: {},
        priority: TEMPLATE_PRIORITY,
        version: TEMPLATE_VERSION,
        template: { settings: { index }, mappings },
        _meta: { description: 'Made by Sightline; it is written again at each start.' },
      },
    })
  }

  async #createDataStream(name: string): Promise<void> {
    try {
      await this.#connection.request({ method: 'PUT', path: `/_data_stream/${name}` })
    } catch (error) {
      if (!(error instanceof ElasticError) || error.type !== 'resource_already_exists_exception') throw error
    }
  }

  /** Oldest first; the last is written to. */
  async #backingIndices(): Promise<BackingIndex[]> {
    const answer = await this.#connection.request<Record<string, { settings: { index: { creation_date: string } } }>>({
      method: 'GET',
      path: `/${this.names.logs}/_settings/index.creation_date`,
    })
    return Object.entries(answer)
      .map(([name, { settings }]) => ({ name, createdMs: Number(settings.index.creation_date) }))
      .sort((a, b) => generationOf(a.name) - generationOf(b.name))
  }

  /** Everything indexed so far can be found. */
  async refresh(): Promise<void> {
    await this.#connection.request({ method: 'POST', path: `/${this.names.logs}/_refresh` })
  }

  /** Begins a new backing index where the present one is old or large enough; of several that ask at once the first does it. */
  async rollOver(): Promise<boolean> {
    const { rolloverAgeMs, rolloverBytes } = this.#connection.settings
    const conditions = {
      ...(rolloverAgeMs > 0 ? { max_age: `${rolloverAgeMs}ms` } : {}),
      ...(rolloverBytes > 0 ? { max_size: `${rolloverBytes}b` } : {}),
    }
    if (Object.keys(conditions).length === 0) return false
    const path = `/${this.names.logs}/_rollover`
    const { rolled_over } = await this.#connection.request<{ rolled_over: boolean }>({ method: 'POST', path, body: { conditions } })
    if (rolled_over) this.forget()
    return rolled_over
  }

  /** Deletes backing indices that hold nothing newer than the cut-off. The one that is written to stays. Returns how many went. */
  async deleteBefore(cutoffMs: number): Promise<number> {
    const closed = (await this.#backingIndices()).slice(0, -1)
    let deleted = 0
    for (const { name, createdMs } of closed) {
      if (createdMs >= cutoffMs) break
      const newestMs = await this.#newestMs(name)
      if (newestMs !== null && newestMs >= cutoffMs) continue
      try {
        await this.#connection.request({ method: 'DELETE', path: `/${name}` })
        deleted++
      } catch (error) {
        // Another node was first.
        if (kindOf(error) !== 'not_found') throw error
      }
    }
    return deleted
  }

  async #newestMs(index: string): Promise<number | null> {
    const answer = await this.#connection.request<{ aggregations: { newest: { value: number | null } } }>({
      method: 'POST',
      path: `/${index}/_search`,
      body: { size: 0, aggs: { newest: { max: { field: '@timestamp' } } } },
    })
    return answer.aggregations.newest.value
  }
}

/** The number at the end of `.ds-<name>-<date>-000001`. */
function generationOf(index: string): number {
  return Number(/\d+$/.exec(index)?.[0] ?? 0)
}
