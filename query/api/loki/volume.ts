/** Bytes of streams, added up by the labels a client asks for. */
import { labelsKeep, labelsKey, type Labels } from '../../../lib/model/index.ts'

export interface VolumeOptions {
  /** Labels to group by; none = all of a stream's. */
  readonly names: readonly string[]
  /** One entry a label name instead of one a label set. */
  readonly byNames: boolean
  readonly limit: number
}

interface Volume {
  readonly labels: Labels
  readonly bytes: number
}

/** The largest first. */
export function volumesOf(streams: readonly Volume[], { names, byNames, limit }: VolumeOptions): Volume[] {
  const wanted = new Set(names)
  const sums = new Map<string, { labels: Labels; bytes: number }>()
  const add = (labels: Labels, bytes: number): void => {
    const key = labelsKey(labels)
    const sum = sums.get(key)
    if (sum === undefined) sums.set(key, { labels, bytes })
    else sum.bytes += bytes
  }
  for (const { labels, bytes } of streams) {
    const kept = wanted.size === 0 ? labels : labelsKeep(labels, wanted)
    if (!byNames) add(kept, bytes)
    else for (let i = 0; i < kept.length; i += 2) add([kept[i]!, ''], bytes)
  }
  const order = (a: Volume, b: Volume): number => b.bytes - a.bytes || (labelsKey(a.labels) < labelsKey(b.labels) ? -1 : 1)
  return [...sums.values()].sort(order).slice(0, limit)
}
