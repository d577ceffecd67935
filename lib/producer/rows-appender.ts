/**
 * Appends row batches: splits them by partition, announces layouts, and takes an announcement back where its append failed.
 */
import type { Clock } from '../runtime/clock.ts'
import { LayoutAnnouncer, type FamilyMetadata, type Row, type RowBatch } from '../wire/rows/index.ts'
import type { Appender } from './appender.ts'
import { metricsPartition } from './partition.ts'

export interface RowsAppender {
  /** Resolves once all rows are durable; until then they must stay what they are. Errors: as `Appender.append`. */
  append(tenant: string, batch: RowBatch): Promise<void>
}

/** Announcers kept, one a (tenant, partition); the one unused for longest goes first and its layouts are sent in full again. */
const LANES_MAX = 4096

interface Lane {
  readonly announcer: LayoutAnnouncer
  /** The append under way: the next one of this lane is encoded after it, so that no row travels ahead of a layout that was refused. */
  last: Promise<void>
}

export function createRowsAppender(appender: Appender, clock: Clock): RowsAppender {
  const lanes = new Map<string, Lane>()

  const laneOf = (key: string): Lane => {
    const lane = lanes.get(key) ?? { announcer: new LayoutAnnouncer(), last: Promise.resolve() }
    lanes.delete(key)
    lanes.set(key, lane)
    if (lanes.size > LANES_MAX) lanes.delete(lanes.keys().next().value!)
    return lane
  }

  const appendPart = async (lane: Lane, tenant: string, partition: number, batch: RowBatch): Promise<void> => {
    const records = lane.announcer.encode(batch, clock.now())
    try {
      await appender.append(
        'metrics',
        tenant,
        records.map(({ payload, items }) => ({ partition, encoding: 'rows' as const, payload, items })),
      )
    } catch (error) {
      lane.announcer.forget()
      throw error
    }
  }

  return {
    async append(tenant, batch) {
      const parts = splitByPartition(tenant, batch, appender.partitionCount('metrics'))
      const results = await Promise.allSettled(
        [...parts].map(([partition, part]) => {
          const lane = laneOf(`${partition} ${tenant}`)
          const done = lane.last.then(() => appendPart(lane, tenant, partition, part))
          lane.last = done.catch(() => {})
          return done
        }),
      )
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    },
  }
}

/** Rows by their group's partition. Metadata goes with the first row's partition, without rows to the first: it is asked for everywhere. */
function splitByPartition(tenant: string, batch: RowBatch, count: number): Map<number, RowBatch> {
  const parts = new Map<number, { rows: Row[]; metadata: readonly FamilyMetadata[] }>()
  for (const row of batch.rows) {
    const partition = metricsPartition(tenant, row.layout.group, count)
    const part = parts.get(partition)
    if (part === undefined) parts.set(partition, { rows: [row], metadata: parts.size === 0 ? batch.metadata : [] })
    else part.rows.push(row)
  }
  if (parts.size === 0 && batch.metadata.length > 0) parts.set(0, { rows: [], metadata: batch.metadata })
  return parts
}
