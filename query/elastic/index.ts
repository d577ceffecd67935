/**
 * Logs in Elasticsearch: the store a deployment chooses for its scale and its search. It is a *shared* store: every partition's worker writes to it (`elasticLogsHost`), and the
 * front asks it once (`createElasticLogsReader`), whatever node a line came through.
 *
 * Writing (`store.ts`, `bulk-writer.ts`): a journal record becomes a document a line; a checkpoint is the offset up to which Elasticsearch has confirmed or refused every one, so the journal
 * replays what it has not. Ids are made of where a line stands, or of what it is where clients may send it again; what may be stored already is looked for before it is sent.
 *
 * Reading (`reader.ts`, `page-scan.ts`): LogQL is evaluated here; Elasticsearch narrows down by tenant, time, labels and words, always to at least what is wanted (`search-query.ts`, `words.ts`).
 *
 * Only core field types and APIs are used. Format: docs/formats/elasticsearch.md. Why words and not n-grams: docs/adr/0007.
 */
export { ElasticConnection } from './connection.ts'
export { elasticLogsHost } from './host.ts'
export { dataStreamsOf, type DataStreams } from './indices.ts'
export { registerElasticMetrics, type ReadCounters } from './metrics.ts'
export { createElasticLogsReader } from './reader.ts'
export { elasticSettings, type ElasticSettings } from './settings.ts'
