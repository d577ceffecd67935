/** Which partition data belongs to. These rules never change for a given partition count: what moved would be split in two. */
import { hashText, type Labels } from '../model/index.ts'

/** Metrics: by group, that is (job, instance), or the whole label set where either is missing. A scrape stays together. */
export function metricsPartition(tenant: string, group: string, count: number): number {
  return hashText(tenant, group) % count
}

/**
 * Logs: by stream labels but for `stream` (stdout or stderr), so that both halves of one container's file lie in one partition and one
 * record can carry a byte range of the file whole.
 */
export function logsPartition(tenant: string, labels: Labels, count: number): number {
  const parts = [tenant]
  for (let i = 0; i < labels.length; i += 2) if (labels[i] !== 'stream') parts.push(labels[i]!, labels[i + 1]!)
  return hashText(...parts) % count
}

/** Traces: by trace id (16 bytes), so that a trace is whole in one partition. Ids are random in their low bytes, but not all senders'. */
export function tracesPartition(traceId: Uint8Array, count: number): number {
  let hash = 0x811c9dc5
  for (const byte of traceId) hash = Math.imul(hash ^ byte, 0x01000193)
  hash ^= hash >>> 15
  return (hash >>> 0) % count
}
