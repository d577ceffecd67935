/** An OTLP request of one signal made durable: the same for HTTP and gRPC. */
import { logsPartition, tracesPartition } from '../../lib/producer/index.ts'
import { normaliseLogs } from '../../lib/wire/otlp/logs/index.ts'
import { decodeOtlpMetrics } from '../../lib/wire/otlp/metrics/index.ts'
import { splitTraces } from '../../lib/wire/otlp/traces/index.ts'
import { ProtoWriter } from '../../lib/wire/protobuf/index.ts'
import { countReceived, type ReceivedSignal, type ReceiverName } from './counters.ts'
import { TenantBooks, type Destination } from './destination.ts'

/** What was left out; `rejected` 0 means that all of the request is durable. */
export interface ExportOutcome {
  readonly rejected: number
  readonly message: string
}

export type OtlpExport = (receiver: ReceiverName, signal: ReceivedSignal, tenant: string, request: Uint8Array) => Promise<ExportOutcome>

interface Exported {
  readonly items: number
  readonly rejected: Readonly<Record<string, number>>
  readonly details?: readonly string[]
}

export function createOtlpExport(to: Destination): OtlpExport {
  const books = new TenantBooks()
  const signals: Readonly<Record<ReceivedSignal, (tenant: string, request: Uint8Array) => Promise<Exported>>> = {
    traces: (tenant, request) => exportTraces(to, tenant, request),
    logs: (tenant, request) => exportLogs(to, tenant, request),
    metrics: (tenant, request) => exportMetrics(to, books, tenant, request),
  }
  return async (receiver, signal, tenant, request) => {
    const { items, rejected, details = [] } = await signals[signal](tenant, request)
    const count = Object.values(rejected).reduce((sum, each) => sum + each, 0)
    countReceived(receiver, signal, items - count, rejected)
    if (count === 0) return { rejected: 0, message: '' }
    const reasons = Object.entries(rejected).map(([reason, each]) => `${reason} ${each}`)
    return { rejected: count, message: [`left out of ${items}: ${reasons.join(', ')}`, ...details].join('; ') }
  }
}

async function exportTraces(to: Destination, tenant: string, request: Uint8Array): Promise<Exported> {
  const count = to.appender.partitionCount('traces')
  const split = splitTraces(request, (traceId) => tracesPartition(traceId, count), { resourceAttributes: to.externalLabels() })
  if (split.batches.length > 0) {
    await to.appender.append(
      'traces',
      tenant,
      split.batches.map(({ partition, payload, items }) => ({ partition, encoding: 'otlp' as const, payload, items })),
    )
  }
  return split
}

async function exportLogs(to: Destination, tenant: string, request: Uint8Array): Promise<Exported> {
  const count = to.appender.partitionCount('logs')
  const normalised = normaliseLogs(request, {
    partitionOf: (labels) => logsPartition(tenant, labels, count),
    nowMs: to.clock.now(),
    externalLabels: to.externalLabels(),
  })
  if (normalised.batches.length > 0) {
    await to.appender.append(
      'logs',
      tenant,
      normalised.batches.map(({ partition, payload, items }) => ({ partition, encoding: 'otlp' as const, payload, items })),
    )
  }
  return normalised
}

async function exportMetrics(to: Destination, books: TenantBooks, tenant: string, request: Uint8Array): Promise<Exported> {
  const decoded = decodeOtlpMetrics(request, books.of(tenant), to.externalLabels())
  await to.rows.append(tenant, decoded.batch)
  return { items: decoded.points, rejected: decoded.rejected, details: decoded.complaints }
}

/** An Export<Signal>ServiceResponse: 1 partial success { 1 rejected, 2 message }; empty where nothing was left out. */
export function responseProtobuf({ rejected, message }: ExportOutcome): Buffer {
  const writer = new ProtoWriter(64)
  if (rejected > 0) {
    const mark = writer.begin(1)
    writer.uint(1, rejected)
    writer.text(2, message)
    writer.end(mark)
  }
  return Buffer.from(writer.take())
}

const REJECTED_NAMES: Readonly<Record<ReceivedSignal, string>> = {
  traces: 'rejectedSpans',
  logs: 'rejectedLogRecords',
  metrics: 'rejectedDataPoints',
}

export function responseJson(signal: ReceivedSignal, { rejected, message }: ExportOutcome): string {
  if (rejected === 0) return '{}'
  return JSON.stringify({ partialSuccess: { [REJECTED_NAMES[signal]]: String(rejected), errorMessage: message } })
}
