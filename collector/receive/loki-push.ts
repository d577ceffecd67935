/** Loki's push API: what Promtail, Alloy, Fluent Bit and the Docker driver send. */
import type { RawAnswer, RawRequest, RawRoute } from '../../lib/http/index.ts'
import { hasLabel, labelsEqual, labelsWith, type Labels } from '../../lib/model/index.ts'
import { logsPartition } from '../../lib/producer/index.ts'
import { parseStreamLabels, readPushJson, readPushProtobuf, type PushVisitor } from '../../lib/wire/loki-push/index.ts'
import { LogBatchBuilder, withServiceName } from '../../lib/wire/otlp/logs/index.ts'
import { snappyDecode } from '../../lib/wire/snappy/index.ts'
import { countReceived } from './counters.ts'
import type { Destination } from './destination.ts'

const COMPLAINTS_MAX = 10
/** Label texts whose sets are remembered. */
const LABEL_TEXTS_MAX = 20_000

export function lokiPushRoutes(to: Destination): RawRoute[] {
  const known = new LabelTexts()
  return [{ method: 'POST', path: '/loki/api/v1/push', permission: 'write', handle: (request) => receive(to, known, request) }]
}

async function receive(to: Destination, known: LabelTexts, request: RawRequest): Promise<RawAnswer> {
  const gathered = new Gathered(to, request.tenant)
  const isJson = /^application\/json\b/i.test(request.headers['content-type'] ?? '')
  const streams = isJson
    ? readPushJson(request.body, gathered)
    : readPushProtobuf(snappyDecode(request.body, to.bodyBytesMax), gathered, (text) => known.parse(text))
  if (streams === 0) return answerText(422, 'error at least one valid stream is required for ingestion')
  const { batches, items } = gathered.finish()
  if (batches.length > 0) await to.appender.append('logs', request.tenant, batches)
  countReceived('loki_push', 'logs', items, gathered.dropped)
  if (gathered.complaints.length === 0) return { status: 204 }
  return answerText(400, `${items} entries were stored; left out: ${gathered.complaints.join('; ')}`)
}

/** The entries of one request as journal records, and what was left out. */
class Gathered implements PushVisitor {
  readonly dropped: Record<string, number> = {}
  readonly complaints: string[] = []
  readonly #builder: LogBatchBuilder
  readonly #external: Labels
  #labels: Labels = []
  #items = 0

  constructor(to: Destination, tenant: string) {
    const count = to.appender.partitionCount('logs')
    this.#external = to.externalLabels()
    this.#builder = new LogBatchBuilder({ partitionOf: (labels) => logsPartition(tenant, labels, count) })
  }

  stream(own: Labels, entries: number): boolean {
    if (own.length === 0) {
      this.refused('invalid_labels', 'error at least one label pair is required per stream', entries)
      return false
    }
    let labels = own
    for (let i = 0; i < this.#external.length; i += 2) {
      if (!hasLabel(labels, this.#external[i]!)) labels = labelsWith(labels, this.#external[i]!, this.#external[i + 1]!)
    }
    labels = withServiceName(labels)
    if (!labelsEqual(labels, this.#labels)) this.#labels = labels
    return true
  }

  entry(timeMs: number, subNs: number, line: string | Uint8Array, metadata: Labels): void {
    if (this.#builder.add(this.#labels, timeMs, subNs, line, metadata)) this.#items++
    else this.#drop('too_large', `a line of ${line.length} bytes is too large`, 1)
  }

  refused(reason: 'invalid_labels' | 'invalid_entry', complaint: string, entries: number): void {
    this.#drop(reason, complaint, entries)
  }

  finish(): { batches: { partition: number; encoding: 'otlp'; payload: Uint8Array; items: number }[]; items: number } {
    const batches = this.#builder.finish().map((batch) => ({ ...batch, encoding: 'otlp' as const }))
    return { batches, items: this.#items }
  }

  #drop(reason: string, complaint: string, entries: number): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + entries
    if (this.complaints.length < COMPLAINTS_MAX) this.complaints.push(complaint)
  }
}

/** Label sets by the text they came in: senders repeat their streams' labels in every request. */
class LabelTexts {
  readonly #sets = new Map<string, Labels>()

  parse(text: string): Labels {
    const known = this.#sets.get(text)
    if (known !== undefined) return known
    const labels = parseStreamLabels(text)
    if (this.#sets.size >= LABEL_TEXTS_MAX) this.#sets.clear()
    this.#sets.set(text, labels)
    return labels
  }
}

function answerText(status: number, body: string): RawAnswer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}
