/** The Kafka parts, loaded when they are opened: the client library takes half a second of start-up that only those who use Kafka should pay. */
import type { PartitionGroup } from '../group.ts'
import type { KafkaInputs, KafkaInputsOptions } from './inputs.ts'
import type { KafkaGroupOptions } from './kafka-group.ts'
import type { KafkaJournal, KafkaJournalOptions } from './kafka-journal.ts'

export async function openKafkaJournal(options: KafkaJournalOptions): Promise<KafkaJournal> {
  const module = await import('./kafka-journal.ts')
  return module.openKafkaJournal(options)
}

export async function openKafkaGroup(options: KafkaGroupOptions): Promise<PartitionGroup> {
  const module = await import('./kafka-group.ts')
  return module.openKafkaGroup(options)
}

export async function openKafkaInputs(options: KafkaInputsOptions): Promise<KafkaInputs> {
  const module = await import('./inputs.ts')
  return module.openKafkaInputs(options)
}
