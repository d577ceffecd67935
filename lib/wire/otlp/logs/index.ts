/**
 * OTLP logs, and the form in which our journal carries them.
 *
 * **Normalised**: one ResourceLogs a stream whose resource attributes are exactly the stream labels (all strings), with one
 * ScopeLogs named `sightline.stream`; a LogRecord has its time, a severity number, the line as a string body, and the
 * structured metadata as string attributes. It is plain OTLP: anybody's decoder reads it. Receivers make it with
 * `LogBatchBuilder` (tailer, Loki push) or `normaliseLogs` (genuine OTLP); the log store reads it with `walkStreams`.
 *
 * Invariants: a payload is at most PAYLOAD_BYTES_MAX, its records in the order they were added per stream; every record
 * carries `detected_level`; labels and metadata have ascending names and no empty values. Any bytes give a value or an error of
 * kind `bad_data`. The mapping from OTLP is Loki's (docs: "Ingesting logs to Loki using OpenTelemetry Collector").
 */
export { LogBatchBuilder, type LogBatch, type LogBatchOptions } from './batch.ts'
export { LEVEL_FIELDS, detectLevel, levelOfSeverity, normaliseLevel, type Level } from './level.ts'
export { normaliseLogs, type NormaliseOptions, type NormalisedLogs } from './normalise.ts'
export { PROMOTED_ATTRIBUTES, withServiceName } from './promote.ts'
export { decodeLabels, decodeMetadata, walkStreams, type StreamVisitor } from './walk.ts'
