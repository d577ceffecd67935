/** The Kafka parts, loaded when they are opened: the client library takes half a second of start-up that only those who use Kafka should pay. */
import type { KafkaJournal, KafkaJournalOptions } from './kafka-journal.ts'

export async function openKafkaJournal(options: KafkaJournalOptions): Promise<KafkaJournal> {
  const module = await import('./kafka-journal.ts')
  return module.openKafkaJournal(options)
}
