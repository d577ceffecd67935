/** What the Kafka journal and the reader of the input topics count, as metrics of this process. Once a process. */
import { gauge, observedCounter } from '../telemetry/index.ts'
import type { KafkaInputs } from './kafka/inputs.ts'
import type { KafkaJournal } from './kafka/kafka-journal.ts'

export function registerKafkaMetrics(journal: KafkaJournal): void {
  gauge('sightline_kafka_queue_bytes', 'Bytes of records that wait for the brokers.', [], function () {
    this.set(journal.kafkaStats().queueBytes)
  })
  observedCounter(
    'sightline_kafka_records_total',
    'Records by what became of them: appended, given up (not known whether they arrived), foreign (skipped).',
    ['result'],
    async () => {
      const { givenUpRecords, foreignRecords } = journal.kafkaStats()
      return [
        { labels: { result: 'appended' }, value: journal.stats().appendedRecords },
        { labels: { result: 'given_up' }, value: givenUpRecords },
        { labels: { result: 'foreign' }, value: foreignRecords },
      ]
    },
  )
  observedCounter(
    'sightline_kafka_produce_requests_total',
    'Produce requests; retries are batches that were sent again.',
    ['kind'],
    async () => {
      const { produceRequests, produceRetries } = journal.kafkaStats()
      return [
        { labels: { kind: 'request' }, value: produceRequests },
        { labels: { kind: 'retry' }, value: produceRetries },
      ]
    },
  )
}

export function registerInputMetrics(inputs: KafkaInputs): void {
  observedCounter(
    'sightline_input_records_total',
    'Records of input topics: taken, lost (gone before they were read).',
    ['result'],
    async () => {
      const { records, lostRecords } = inputs.stats()
      return [
        { labels: { result: 'taken' }, value: records },
        { labels: { result: 'lost' }, value: lostRecords },
      ]
    },
  )
  gauge('sightline_input_failing_seconds', 'For how long no broker has answered for the input topics.', [], function () {
    this.set(inputs.stats().failingMs / 1000)
  })
}
