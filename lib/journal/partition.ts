/** `control` carries silences, rule and notification state, deletions; it has one partition. */
export type Signal = 'metrics' | 'logs' | 'traces' | 'control'

export const SIGNALS: readonly Signal[] = ['metrics', 'logs', 'traces', 'control']

/** `logs/3`: names a partition in maps, folders and metrics. */
export type PartitionKey = `${Signal}/${number}`

export function partitionKey(signal: Signal, partition: number): PartitionKey {
  return `${signal}/${partition}`
}
