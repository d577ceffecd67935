/** Into the topics of Kafka that query nodes read: each record with the mark it has in our journal. */
import type { Journal, JournalRecord } from '../../../lib/journal/index.ts'
import type { RecordDestination } from './destination.ts'

/** @param journal closed by who opened it */
export function kafkaDestination(journal: Pick<Journal, 'partitions' | 'appendAll'>): RecordDestination {
  return {
    partitions: () => Promise.resolve(journal.partitions.logs),
    async deliver(signal, partition, records: readonly JournalRecord[]) {
      await journal.appendAll(signal, partition, records)
      return { taken: records.length, refused: {}, gap: undefined }
    },
    close: () => {},
  }
}
