/**
 * What other Sightlines ship to us: records of their journals, with their marks.
 *
 *   GET  /sightline/api/v1/journal                       who we are, versions we speak, partitions of each signal
 *   POST /sightline/api/v1/journal/<signal>/<partition>  journal frames (docs/formats/journal.md), `content-encoding: zstd`
 *        200 {appended, repeated}            all of it is durable here
 *        409 {producer, epoch, lastSequence} records are missing before one of these: the next after `lastSequence` is wanted; what lies before the
 *                                            gap is durable. With `?gaps=accept` the sender says that they are gone, and the gap is counted.
 *        400 {record}                        damaged, or of another partition: nothing was taken
 *        403 {record, tenant}                the credentials are not good for the tenant of that record: nothing was taken
 *        413, 429, 503 with Retry-After      as everywhere
 */
import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import { checkTenant, errorHeaders, ingestStatus, type RawAnswer, type RawRequest, type RawRoute } from '../../lib/http/index.ts'
import { decodeFrames, type JournalRecord, type Signal } from '../../lib/journal/index.ts'
import type { MarkedAppender } from '../../lib/producer/index.ts'
import { kindOf, messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter } from '../../lib/telemetry/index.ts'

const JOURNAL_PATH = '/sightline/api/v1/journal'
const JOURNAL_VERSION = 1

type DataSignal = Exclude<Signal, 'control'>
const DATA_SIGNALS: readonly DataSignal[] = ['metrics', 'logs', 'traces']

const receivedRecords = counter('sightline_journal_received_records_total', 'Records shipped to us by what became of them.', [
  'signal',
  'result',
])

export function journalRoutes(to: MarkedAppender): RawRoute[] {
  return DATA_SIGNALS.flatMap((signal) =>
    Array.from({ length: to.partitionCount(signal) }, (_, partition) => ({
      method: 'POST' as const,
      path: `${JOURNAL_PATH}/${signal}/${partition}`,
      permission: 'write' as const,
      handle: (request: RawRequest) => receive(to, signal, partition, request),
      answerError: (error: unknown) => refusal(error),
    })),
  )
}

/** @param node how this process is called */
export function journalPlugin(to: MarkedAppender, node: string): FastifyPluginAsync {
  const instance = randomUUID()
  return async (app) => {
    app.get(JOURNAL_PATH, { config: { permission: 'write' } }, async () => ({
      node,
      instance,
      versions: [JOURNAL_VERSION],
      partitions: Object.fromEntries(DATA_SIGNALS.map((signal) => [signal, to.partitionCount(signal)])),
    }))
  }
}

async function receive(to: MarkedAppender, signal: DataSignal, partition: number, request: RawRequest): Promise<RawAnswer> {
  const records = decodeFrames(request.body)
  for (const [i, record] of records.entries()) {
    const problem = problemOf(record, signal, partition)
    if (problem !== '') return answer(400, { error: `cannot take record ${i}: ${problem}`, record: i })
    if (!request.allows(record.tenant)) {
      receivedRecords.inc({ signal, result: 'forbidden' })
      return answer(403, {
        error: `cannot take record ${i}: the credentials are not for tenant "${record.tenant}"`,
        record: i,
        tenant: record.tenant,
      })
    }
  }
  const { appended, repeated, gap } = await to.appendMarked(signal, partition, records, request.query.get('gaps') === 'accept')
  receivedRecords.inc({ signal, result: 'appended' }, appended)
  receivedRecords.inc({ signal, result: 'repeated' }, repeated)
  if (gap === undefined) return answer(200, { appended, repeated })
  receivedRecords.inc({ signal, result: 'gap' })
  return answer(409, {
    error: `cannot take record ${appended + repeated}: records of producer "${gap.producer}" after sequence ${gap.lastSequence} are missing`,
    appended,
    ...gap,
  })
}

function problemOf(record: JournalRecord, signal: DataSignal, partition: number): string {
  if (record.signal !== signal || record.partition !== partition) return `it is of ${record.signal}/${record.partition}`
  const { producer, epoch, sequence } = record.mark
  if (producer === '' || epoch === '' || !Number.isSafeInteger(sequence) || sequence < 0) return 'it has no mark of its producer'
  try {
    checkTenant(record.tenant)
    return ''
  } catch (error) {
    return messageOf(error)
  }
}

function answer(status: number, body: object): RawAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

function refusal(error: unknown): RawAnswer {
  const kind = error instanceof SightlineError ? error.kind : kindOf(error)
  const { status, headers, body } = answer(ingestStatus(kind), { error: messageOf(error) })
  return { status, headers: { ...headers, ...errorHeaders(error, kind) }, body: body! }
}
