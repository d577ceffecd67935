/**
 * The journal: a partitioned, append-only log of batches that every durability promise rests on.
 *
 * What is in it: records (`record.ts`), the wire bytes of one batch of one tenant with headers that say who wrote it and where in its own
 * sequence. A partition is one (signal, number). `append` resolves once the record is durable; readers see durable records
 * only, in order, from any offset that is still there. A record is deleted only when every cursor has passed it.
 *
 * The file journal (`file/`) keeps all partitions in one sequence of segment files, so that one sync commits for all of
 * them; its bytes are drawn in `frame.ts` and `file/segment.ts`. `sequence.ts` is the reader's half of "nothing doubled, every gap seen".
 *
 * The Kafka journal (`kafka/`) keeps a topic for each signal; the brokers hold, replicate and delete. There a node may be one of a group that shares the partitions (`group.ts`).
 *
 * Costs: an append is one copy of its headers, a CRC (1–2.5 GB/s) and its share of a sync; a read is one pass over the
 * segments that hold something wanted.
 */
export { openFileJournal, type FileJournalOptions } from './file/file-journal.ts'
export { realDisk, type AppendFile, type JournalDisk } from './file/disk.ts'
export type { KafkaJournal, KafkaJournalOptions, KafkaJournalStats } from './kafka/kafka-journal.ts'
export type { KafkaGroupOptions } from './kafka/kafka-group.ts'
export type { InputRecord, InputsLost, KafkaInputs, KafkaInputsOptions, KafkaInputsStats } from './kafka/inputs.ts'
export { registerInputMetrics, registerKafkaMetrics } from './kafka-metrics.ts'
export { openKafkaGroup, openKafkaInputs, openKafkaJournal } from './kafka/open.ts'
export { MARK_STATE_BYTES_MAX, type GroupHandlers, type Mark, type PartitionGroup } from './group.ts'
export type { Appended, Cursor, Journal, JournalStats, ReadFrom } from './journal.ts'
export { decodeFrames, encodeFrames } from './frames.ts'
export { partitionKey, SIGNALS, type PartitionKey, type Signal } from './partition.ts'
export { RECORD_BYTES_MAX, type AppendRecord, type Encoding, type JournalRecord, type ProducerMark } from './record.ts'
export { SequenceTracker, type Gap, type ProducerState, type Verdict } from './sequence.ts'
