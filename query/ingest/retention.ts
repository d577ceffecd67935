/**
 * What goes when: data past its retention, and the oldest data where the volume runs low. Runs every minute.
 */
import { statfsSync } from 'node:fs'
import type { Cutoffs } from '../shard/index.ts'

export interface RetentionPolicy {
  readonly metricsMs: number
  readonly logsMs: number
  readonly tracesMs: number
  readonly volumePercentMax: number
}

export interface VolumeUse {
  readonly usedBytes: number
  readonly totalBytes: number
}

/** Of the volume that holds the folder; null where the system doesn't say. */
export function volumeUse(dir: string): VolumeUse | null {
  const stats = statfsSync(dir)
  // As `df` counts: blocks reserved for root are neither used nor to be had.
  const usedBytes = (stats.blocks - stats.bfree) * stats.bsize
  const totalBytes = usedBytes + stats.bavail * stats.bsize
  return totalBytes === 0 ? null : { usedBytes, totalBytes }
}

/** A share of the age range that goes at once when the volume is too full; the next round takes more where it was not enough. */
const STEP = 0.1

/**
 * The cut-offs of one round. `keptShare` (1 = all of the retention) shrinks round by round while the volume is over its limit, and grows back when it isn't.
 */
export function cutoffsOf(policy: RetentionPolicy, nowMs: number, keptShare: number): Cutoffs {
  return {
    metrics: nowMs - policy.metricsMs * keptShare,
    logs: nowMs - policy.logsMs * keptShare,
    traces: nowMs - policy.tracesMs * keptShare,
  }
}

export function nextKeptShare(keptShare: number, use: VolumeUse | null, percentMax: number): number {
  const isOver = use !== null && (use.usedBytes / use.totalBytes) * 100 > percentMax
  return isOver ? Math.max(0.01, keptShare * (1 - STEP)) : Math.min(1, keptShare * (1 + STEP / 2))
}
