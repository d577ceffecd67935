import { counter } from '../../lib/telemetry/index.ts'

export type ReceiverName = 'remote_write' | 'loki_push' | 'otlp_http' | 'otlp_grpc' | 'kafka'
export type ReceivedSignal = 'metrics' | 'logs' | 'traces'

const received = counter('sightline_receiver_items_total', 'Samples, log records and spans that receivers made durable.', [
  'receiver',
  'signal',
])
const dropped = counter('sightline_receiver_items_dropped_total', 'Samples, log records and spans that receivers left out of requests.', [
  'receiver',
  'signal',
  'reason',
])

export function countReceived(
  receiver: ReceiverName,
  signal: ReceivedSignal,
  items: number,
  left: Readonly<Record<string, number>> = {},
): void {
  received.inc({ receiver, signal }, items)
  for (const [reason, count] of Object.entries(left)) dropped.inc({ receiver, signal, reason }, count)
}
