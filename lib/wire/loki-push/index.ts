/**
 * Loki's push API: requests in JSON and in protobuf (after snappy) as streams of entries, handed out one at a time.
 *
 * A stream's labels are in Prometheus' syntax (protobuf) or an object (JSON); entries have a time in nanoseconds, a line and structured
 * metadata. A stream that can't be read is reported with its reason, and its neighbours are read on. Bytes of any content end in values,
 * reports or an error of kind `bad_data`.
 */
export { parseStreamLabels } from './labels.ts'
export { readPushJson } from './json.ts'
export { readPushProtobuf } from './protobuf.ts'
export type { PushVisitor } from './visitor.ts'
